import { describe, expect, it } from 'vitest';
import { type Boot, bootRom, romAddress } from '../../../../../src/lab/emulator/bochs/boot-rom.ts';

const boot: Boot = {
  entry: 0x100_0a30,
  commandLine: 'console=ttyS0 quiet',
  initrd: { address: 0x800_0000, bytes: 0x12_3456 },
  memory: [
    { address: 0, bytes: 0x9_fc00, kind: 'ram' },
    { address: 0xd000_0000, bytes: 0x80_0000, kind: 'reserved' },
  ],
};

describe('bootRom', () => {
  it('should be an option ROM: signature, length in sectors, and bytes that add up to 0', () => {
    const rom = bootRom(boot);
    expect(rom.subarray(0, 3)).toEqual(Buffer.from([0x55, 0xaa, rom.length / 512]));
    expect(rom.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
    expect(romAddress % 2048).toBe(0);
  });

  it('should hold the start info of PVH, with addresses in a copy that can be written', () => {
    const rom = bootRom(boot);
    const start = rom.indexOf(Buffer.from('78c56e33', 'hex'));
    const pointers = [16, 24, 40].map((offset) => Number(rom.readBigUInt64LE(start + offset)));
    const copy = pointers[0]! & ~0xfff;
    expect(copy).toBeLessThan(0x9_fc00);
    const [module, text, memory] = pointers.map((pointer) => pointer - copy) as [number, number, number];
    expect(rom.readBigUInt64LE(module)).toBe(0x800_0000n);
    expect(rom.readBigUInt64LE(module + 8)).toBe(0x12_3456n);
    expect(rom.toString('latin1', text, text + 20)).toBe('console=ttyS0 quiet\0');
    expect(rom.readUInt32LE(start + 48)).toBe(2);
    expect(rom.readBigUInt64LE(memory + 24)).toBe(0xd000_0000n);
    expect([16, 40].map((offset) => rom.readUInt32LE(memory + offset))).toEqual([1, 2]);
  });

  it('should refuse a command line that has no room', () => {
    expect(() => bootRom({ ...boot, commandLine: 'x'.repeat(4000) })).toThrow('a command line of 4001 bytes');
  });
});
