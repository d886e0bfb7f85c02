/** Memory of a kernel in the lab, through /proc/kcore: an ELF core file whose segments are the kernel's addresses. */
import { InfrastructureError } from '../errors.ts';

/** Reads a piece of a file of the lab. */
export type ReadFile = (path: string, offset: bigint, bytes: number) => Promise<Buffer>;

const kcore = '/proc/kcore';
/** The head of a core file and its table of segments lie in the first page. */
const headBytes = 4096;
const PT_LOAD = 1;

/** The table of segments, which stays the same while a kernel runs and loads no module. */
export async function readSegments(readFile: ReadFile): Promise<Buffer> {
  return readFile(kcore, 0n, headBytes);
}

/** @throws InfrastructureError for an address that is in no segment. */
export async function readKernelMemory(
  readFile: ReadFile,
  segments: Buffer,
  address: bigint,
  bytes: number,
): Promise<Buffer> {
  const offset = offsetOf(segments, address);
  if (offset === null) throw new InfrastructureError(`${kcore} has no address 0x${address.toString(16)}`);
  return readFile(kcore, offset, bytes);
}

/** Where an address is in a core file that begins so; null where it is in no segment. */
export function offsetOf(head: Buffer, address: bigint): bigint | null {
  const table = Number(head.readBigUInt64LE(32));
  const [entryBytes, count] = [head.readUInt16LE(54), head.readUInt16LE(56)];
  for (let index = 0; index < count; index++) {
    const at = table + index * entryBytes;
    if (at + entryBytes > head.length || head.readUInt32LE(at) !== PT_LOAD) continue;
    const [offset, start, size] = [8, 16, 40].map((field) => head.readBigUInt64LE(at + field)) as [
      bigint,
      bigint,
      bigint,
    ];
    if (address >= start && address - start < size) return offset + (address - start);
  }
  return null;
}

/** Where a section of a module lies. */
export async function sectionAddress(readFile: ReadFile, module: string, section: string): Promise<bigint> {
  const path = `/sys/module/${module}/sections/${section}`;
  const text = (await readFile(path, 0n, 64)).toString('latin1').trim();
  if (!/^0x[0-9a-f]+$/.test(text)) throw new InfrastructureError(`${path} holds no address: ${text}`);
  return BigInt(text);
}
