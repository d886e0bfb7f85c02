/**
 * An option ROM that enters a kernel by PVH: the BIOS calls it when it has set up the devices and its tables. Sources: Xen,
 * docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h; PCI firmware specification, "option ROM header".
 */
export interface Boot {
  readonly entry: number;
  readonly commandLine: string;
  readonly initrd: { readonly address: number; readonly bytes: number };
  readonly memory: readonly MemoryRange[];
}

export interface MemoryRange {
  readonly address: number;
  readonly bytes: number;
  readonly kind: keyof typeof memoryKinds;
}

/** Types of ranges as BIOSes number them (ACPI, "Address Range Types"). */
const memoryKinds = { ram: 1, reserved: 2, acpi: 3 } as const;

/** Where the BIOS looks for option ROMs, behind those of video cards. */
export const romAddress = 0xd_0000;
const romBytes = 4096;
/** Where it copies itself to in low memory: the kernel's first instructions use the start info as their stack. */
const copyAddress = 0x6_0000;
const places = { tables: 0x60, startInfo: 0x80, module: 0x100, memory: 0x140, commandLine: 0x400 } as const;
const startInfoMagic = 0x336e_c578;

export function bootRom({ entry, commandLine, initrd, memory }: Boot): Buffer {
  const rom = Buffer.alloc(romBytes);
  const at = (place: number): number => copyAddress + place;
  rom.set([0x55, 0xaa, romBytes / 512]);
  writeCode(rom, entry);
  writeDescriptors(rom);
  const text = Buffer.from(`${commandLine}\0`, 'latin1');
  if (places.commandLine + text.length >= romBytes) throw new Error(`a command line of ${text.length} bytes`);
  text.copy(rom, places.commandLine);
  // struct hvm_start_info, version 1.
  [startInfoMagic, 1, 0, 1].forEach((value, index) => rom.writeUInt32LE(value, places.startInfo + 4 * index));
  // The kernel looks for the ACPI tables itself.
  [at(places.module), at(places.commandLine), 0, at(places.memory)].forEach((pointer, index) =>
    rom.writeBigUInt64LE(BigInt(pointer), places.startInfo + 16 + 8 * index),
  );
  rom.writeUInt32LE(memory.length, places.startInfo + 48);
  // struct hvm_modlist_entry, struct hvm_memmap_table_entry.
  rom.writeBigUInt64LE(BigInt(initrd.address), places.module);
  rom.writeBigUInt64LE(BigInt(initrd.bytes), places.module + 8);
  memory.forEach(({ address, bytes, kind }, index) => {
    const place = places.memory + 24 * index;
    rom.writeBigUInt64LE(BigInt(address), place);
    rom.writeBigUInt64LE(BigInt(bytes), place + 8);
    rom.writeUInt32LE(memoryKinds[kind], place + 16);
  });
  // All bytes of a ROM add up to 0.
  rom[romBytes - 1] = -rom.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return rom;
}

/** From real mode, CS at the ROM, into flat 32-bit mode with EBX at the start info. */
function writeCode(rom: Buffer, entry: number): void {
  const protectedStart = 0x20;
  const real = [
    [0xfa], // cli
    [0x2e, 0x66, 0x0f, 0x01, 0x16, ...word(places.tables)], // lgdt cs:[tables]
    [0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0], // mov eax, cr0; or al, 1; mov cr0, eax
    [0x66, 0xea, ...double(romAddress + protectedStart), ...word(8)], // jmp 8:protectedStart
  ].flat();
  const flat = [
    [0xb8, ...double(16)], // mov eax, 16
    [0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0], // mov ds, eax; mov es, eax; mov ss, eax
    [0xbe, ...double(romAddress), 0xbf, ...double(copyAddress)], // mov esi, rom; mov edi, copy
    [0xb9, ...double(romBytes / 4), 0xfc, 0xf3, 0xa5], // mov ecx, words; cld; rep movsd
    [0xbb, ...double(copyAddress + places.startInfo)], // mov ebx, startInfo
    [0xb8, ...double(entry), 0xff, 0xe0], // mov eax, entry; jmp eax
  ].flat();
  rom.set(real, 3);
  rom.set(flat, protectedStart);
  if (3 + real.length > protectedStart) throw new Error('the code of the ROM overlaps');
}

/** The address of the table, and behind it the table: none, flat code, flat data. */
function writeDescriptors(rom: Buffer): void {
  const table = places.tables + 8;
  rom.writeUInt16LE(3 * 8 - 1, places.tables);
  rom.writeUInt32LE(romAddress + table, places.tables + 2);
  rom.writeBigUInt64LE(0x00cf_9b00_0000_ffffn, table + 8);
  rom.writeBigUInt64LE(0x00cf_9300_0000_ffffn, table + 16);
}

function word(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff];
}

function double(value: number): number[] {
  return [...word(value & 0xffff), ...word(value >>> 16)];
}
