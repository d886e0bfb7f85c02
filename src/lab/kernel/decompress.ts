/** Modules as they lie on a disk: plain, or compressed by gzip, xz or zstd. */
import { readFileSync } from 'node:fs';
import * as zlib from 'node:zlib';
import { execa } from 'execa';
import { InfrastructureError } from '../../errors.ts';
import { findProgram } from '../../system/packages/tools.ts';

/** Endings of compressed modules. */
export const compressions = ['.xz', '.gz', '.zst'] as const;
export type Compression = 'xz' | 'gz' | 'zst';

/** In Node from 22.15 and 23.8 on; the types are of an older one. */
const { zstdDecompressSync } = zlib as { readonly zstdDecompressSync?: (bytes: Buffer) => Buffer };

/** Whether .zst takes a program of its own, which may not be there. */
export function needsZstd(): boolean {
  return zstdDecompressSync === undefined && findProgram('zstd') === null;
}

/** What of this computer a decompression may use, and what it is of, for complaints. */
interface DecompressOptions {
  readonly name: string;
  readonly busybox: string;
}

/**
 * The bytes of a module, decompressed here, because that takes long in an emulated computer.
 *
 * @throws InfrastructureError for a file that is not what its name says.
 */
export async function readDecompressed(path: string, busybox: string): Promise<Buffer> {
  const compression = compressions.find((suffix) => path.endsWith(suffix));
  const bytes = readFileSync(path);
  return compression === undefined
    ? bytes
    : decompress(bytes, compression.slice(1) as Compression, { name: path, busybox });
}

/** @throws InfrastructureError for bytes that are no such thing, or where the program for them is missing. */
export async function decompress(
  bytes: Buffer,
  compression: Compression,
  { name, busybox }: DecompressOptions,
): Promise<Buffer> {
  try {
    if (compression === 'gz') return zlib.gunzipSync(bytes);
    if (compression === 'xz') return await outputOf(busybox, ['xzcat'], bytes);
    if (zstdDecompressSync !== undefined) return zstdDecompressSync(bytes);
  } catch (error) {
    throw new InfrastructureError(`${name} cannot be decompressed: ${(error as Error).message.split('\n')[0]}`);
  }
  const zstd = findProgram('zstd');
  if (zstd === null) {
    throw new InfrastructureError(`${name}: Node ${process.version} reads no zstd; install the package zstd`);
  }
  return outputOf(zstd, ['-q', '-d', '-c'], bytes);
}

async function outputOf(program: string, args: readonly string[], input: Buffer): Promise<Buffer> {
  const { stdout } = await execa(program, args, { encoding: 'buffer', input });
  return Buffer.from(stdout);
}
