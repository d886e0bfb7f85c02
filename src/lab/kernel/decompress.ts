/** Modules as they lie on a disk: plain, or compressed by gzip, xz or zstd. */
import { readFileSync } from 'node:fs';
import * as zlib from 'node:zlib';
import { execa } from 'execa';
import { InfrastructureError } from '../../errors.ts';
import { findProgram } from '../../system/tools.ts';

/** Endings of compressed modules. */
export const compressions = ['.xz', '.gz', '.zst'] as const;

/** In Node from 22.15 and 23.8 on; the types are of an older one. */
const { zstdDecompressSync } = zlib as { readonly zstdDecompressSync?: (bytes: Buffer) => Buffer };

/** Whether .zst takes a program of its own, which may not be there. */
export function needsZstd(): boolean {
  return zstdDecompressSync === undefined && findProgram('zstd') === null;
}

/**
 * The bytes of a module, decompressed here, because that takes long in an emulated computer.
 *
 * @throws InfrastructureError for a file that is not what its name says.
 */
export async function readDecompressed(path: string, busybox: string): Promise<Buffer> {
  try {
    if (path.endsWith('.gz')) return zlib.gunzipSync(readFileSync(path));
    if (path.endsWith('.xz')) return await outputOf(busybox, ['xzcat', path]);
    if (!path.endsWith('.zst')) return readFileSync(path);
    if (zstdDecompressSync !== undefined) return zstdDecompressSync(readFileSync(path));
  } catch (error) {
    throw new InfrastructureError(`${path} cannot be decompressed: ${(error as Error).message.split('\n')[0]}`);
  }
  const zstd = findProgram('zstd');
  if (zstd === null) {
    throw new InfrastructureError(`${path}: Node ${process.version} reads no zstd; install the package zstd`);
  }
  return outputOf(zstd, ['-q', '-d', '-c', path]);
}

async function outputOf(program: string, args: readonly string[]): Promise<Buffer> {
  const { stdout } = await execa(program, args, { encoding: 'buffer', stdin: 'ignore' });
  return Buffer.from(stdout);
}
