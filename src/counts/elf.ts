/** What an ELF relocatable object, such as a kernel module, says of its sections and symbols. Source: ELF-64, elf.h. */
import { InfrastructureError } from '../errors.ts';

export interface Section {
  readonly name: string;
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

export interface ObjectSymbol {
  readonly name: string;
  /** Source file that the symbol is of: local symbols stand behind a symbol of their file. */
  readonly file: string;
  readonly section: string;
  /** Offset in its section. */
  readonly value: number;
  readonly size: number;
  /** The bytes; empty in a section that has none in the file. */
  readonly bytes: Buffer;
}

const SHT_SYMTAB = 2;
const SHT_NOBITS = 8;
const STT_FILE = 4;
const STB_LOCAL = 0;

/** The local symbols of an object whose names are wanted, in order. @throws InfrastructureError for another file. */
export function localSymbols(elf: Buffer, isWanted: (name: string) => boolean): ObjectSymbol[] {
  const sections = sectionsOf(elf);
  const table = sections.find(({ type }) => type === SHT_SYMTAB);
  if (table === undefined) throw new InfrastructureError('an object without symbols');
  const names = sections[table.link]!.offset;
  const found: ObjectSymbol[] = [];
  let file = '';
  for (let at = table.offset; at < table.offset + table.size; at += 24) {
    const info = elf.readUInt8(at + 4);
    if (info >> 4 !== STB_LOCAL) break;
    const name = textAt(elf, names + elf.readUInt32LE(at));
    if ((info & 15) === STT_FILE) file = name;
    const section = sections[elf.readUInt16LE(at + 6)];
    if (section === undefined || !isWanted(name)) continue;
    const [value, size] = [Number(elf.readBigUInt64LE(at + 8)), Number(elf.readBigUInt64LE(at + 16))];
    const start = section.offset + value;
    const bytes = section.type === SHT_NOBITS ? Buffer.alloc(0) : elf.subarray(start, start + size);
    found.push({ name, file, section: section.name, value, size, bytes });
  }
  return found;
}

function sectionsOf(elf: Buffer): Section[] {
  if (elf.length < 64 || elf.readUInt32BE(0) !== 0x7f454c46 || elf[4] !== 2) {
    throw new InfrastructureError('not a 64-bit ELF object');
  }
  const table = Number(elf.readBigUInt64LE(40));
  const [entryBytes, count, nameIndex] = [58, 60, 62].map((at) => elf.readUInt16LE(at)) as [number, number, number];
  const heads = Array.from({ length: count }, (_, index) => {
    const at = table + index * entryBytes;
    const [offset, size] = [24, 32].map((field) => Number(elf.readBigUInt64LE(at + field))) as [number, number];
    return {
      nameAt: elf.readUInt32LE(at),
      type: elf.readUInt32LE(at + 4),
      offset,
      size,
      link: elf.readUInt32LE(at + 40),
    };
  });
  const names = heads[nameIndex]!.offset;
  return heads.map(({ nameAt, ...head }) => ({ name: textAt(elf, names + nameAt), ...head }));
}

function textAt(elf: Buffer, at: number): string {
  return elf.subarray(at, elf.indexOf(0, at)).toString('latin1');
}
