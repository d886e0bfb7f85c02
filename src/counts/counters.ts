/**
 * Counters that gcc puts into code (`-fprofile-arcs`): where each function's are in a module, and what of them goes into
 * the file that gcov reads. The kernel need not know of them (CONFIG_GCOV_KERNEL): they are read from its memory.
 * Source: gcc's gcov-io.h and coverage.cc; the kernel's kernel/gcov/gcc_4_7.c writes the same file.
 */
import { localSymbols } from './elf.ts';

/** Counters of one function of one object. */
export interface FunctionCounters {
  /** Source file without its folder, `hyperv.c`. */
  readonly file: string;
  readonly name: string;
  readonly section: string;
  /** Of the first counter in its section. */
  readonly offset: number;
  readonly count: number;
  /** By which gcov knows the function. */
  readonly ident: number;
  readonly lineChecksum: number;
  readonly cfgChecksum: number;
}

const countersPrefix = '__gcov0.';
const infoPrefix = '__gcov_.';
export const counterBytes = 8;

/** The counters of a module that was built with them; none of one that was not. */
export function countersOf(module: Buffer): FunctionCounters[] {
  const symbols = localSymbols(module, (name) => name.startsWith(countersPrefix) || name.startsWith(infoPrefix));
  const infos = new Map<string, Buffer>();
  for (const { name, file, bytes } of symbols) {
    if (name.startsWith(infoPrefix)) infos.set(`${file}/${name.slice(infoPrefix.length)}`, bytes);
  }
  return symbols.flatMap(({ name, file, section, value, size }): FunctionCounters[] => {
    if (!name.startsWith(countersPrefix)) return [];
    const plain = name.slice(countersPrefix.length);
    const info = infos.get(`${file}/${plain}`);
    if (info === undefined) return [];
    // struct gcov_fn_info: key, ident, lineno_checksum, cfg_checksum.
    const [ident, lineChecksum, cfgChecksum] = [8, 12, 16].map((at) => info.readUInt32LE(at)) as [
      number,
      number,
      number,
    ];
    const count = size / counterBytes;
    return [{ file, name: plain, section, offset: value, count, ident, lineChecksum, cfgChecksum }];
  });
}

const dataMagic = 0x67636461;
const functionTag = 0x0100_0000;
const arcsTag = 0x01a1_0000;

/**
 * The `.gcda` file of an object.
 *
 * @param note its `.gcno` file, for version and stamp.
 */
export function dataFile(
  note: Buffer,
  functions: readonly { readonly counters: FunctionCounters; readonly values: readonly bigint[] }[],
): Buffer {
  const [version, stamp] = [note.readUInt32LE(4), note.readUInt32LE(8)];
  const isNew = majorOf(version) >= 12;
  // Lengths are in bytes from gcc 12 on, and in words before; then there is a checksum too, which nobody looks at.
  const unit = isNew ? 4 : 1;
  const words: Buffer[] = [word(dataMagic), word(version), word(stamp), ...(isNew ? [word(0)] : [])];
  for (const { counters, values } of functions) {
    const { ident, lineChecksum, cfgChecksum } = counters;
    words.push(word(functionTag), word(3 * unit), word(ident), word(lineChecksum), word(cfgChecksum));
    const bytes = Buffer.alloc(values.length * counterBytes);
    for (const [index, value] of values.entries()) bytes.writeBigUInt64LE(value, index * counterBytes);
    words.push(word(arcsTag), word(values.length * 2 * unit), bytes);
  }
  return Buffer.concat([...words, word(0)]);
}

/** 12 of `B22*`, as gcc writes its version in four letters. */
function majorOf(version: number): number {
  const [first, second] = [version >>> 24, (version >>> 16) & 0xff];
  return (first - 'A'.charCodeAt(0)) * 10 + (second - '0'.charCodeAt(0));
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
