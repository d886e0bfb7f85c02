/** Bytes against what an independent disassembler reads, and against words written by hand from SDM volume 3. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  entryCode,
  entryTables,
  exceptionCount,
  hypercallPagePatterns,
  instructionBytes,
  otherInstruction,
  writeEntryInstructions,
  writeEntryTables,
} from '../../../src/guest/entry-image.ts';
import { disassemble } from './disassemble.ts';

let memory: Buffer;

beforeEach(() => {
  memory = Buffer.alloc(0x10000);
  writeEntryTables(memory, 'vmmcall');
});

const textOf = (start: number, end: number, bitness: 64 | 32 | 16) =>
  disassemble(memory.subarray(start, end), start, bitness);

describe('layout', () => {
  it('should give the places that exceptions and pushed return addresses rely on', () => {
    expect(entryCode).toEqual({ native: 0xb000, other: 0xb010, back: 0xb020, stubs: 0xb100 });
    expect(entryTables).toEqual({
      idt64: 0xa000,
      idt32: 0xa200,
      interruptVectorTable: 0xa300,
      tss64: 0xa400,
      tss32: 0xa480,
    });
  });
});

describe('writeEntryTables', () => {
  it.each([64, 32, 16] as const)(
    'should be read as the two instructions and the exits behind them, with %i bits',
    (bitness) => {
      expect(textOf(0xb000, 0xb005, bitness)).toEqual(['b000  vmmcall', 'b003  out 12h,al']);
      expect(textOf(0xb010, 0xb015, bitness)).toEqual(['b010  vmcall', 'b013  out 12h,al']);
      expect(textOf(0xb020, 0xb022, bitness)).toEqual(['b020  out 12h,al']);
    },
  );

  it.each([64, 32, 16] as const)('should end every exception in an exit of its own, with %i bits', (bitness) => {
    for (let vector = 0; vector < 32; vector++) {
      const stub = 0xb100 + 8 * vector;
      expect(textOf(stub, stub + 2, bitness)).toEqual([`${stub.toString(16)}  out 13h,al`]);
    }
  });

  it('should have a gate for #UD and #GP in each table, as written by hand', () => {
    const hex = (start: number, length: number) => memory.toString('hex', start, start + length);
    // 64-bit interrupt gates: offset 15:0, selector 0x08, present, type 0xe.
    expect(hex(0xa000 + 16 * 6, 16)).toBe('30b10800008e00000000000000000000');
    expect(hex(0xa000 + 16 * 13, 16)).toBe('68b10800008e00000000000000000000');
    // 32-bit interrupt gates, selector 0x28.
    expect(hex(0xa200 + 8 * 6, 8)).toBe('30b12800008e0000');
    expect(hex(0xa200 + 8 * 13, 8)).toBe('68b12800008e0000');
    // Real mode: IP and CS of 0xb10, whose base is that of the stubs.
    expect(hex(0xa300 + 4 * 6, 4)).toBe('3000100b');
    expect(hex(0xa300 + 4 * 13, 4)).toBe('6800100b');
  });

  it('should lead every gate of every table to the stub of its vector', () => {
    expect(exceptionCount).toBe(32);
    for (let vector = 0; vector < 32; vector++) {
      const stub = 0xb100 + 8 * vector;
      expect(memory.readUInt16LE(0xa000 + 16 * vector)).toBe(stub);
      expect(memory.readUInt16LE(0xa200 + 8 * vector)).toBe(stub);
      expect(16 * memory.readUInt16LE(0xa302 + 4 * vector) + memory.readUInt16LE(0xa300 + 4 * vector)).toBe(stub);
    }
  });

  it('should have stacks in both TSSes and a 4 MiB page at 0', () => {
    expect(memory.readBigUInt64LE(0xa404)).toBe(0xd000n);
    expect(memory.readUInt32LE(0xa484)).toBe(0xd000);
    expect(memory.readUInt16LE(0xa488)).toBe(0x10);
    expect(memory.readUInt32LE(0x9000)).toBe(0xe7);
  });

  it('should end what an emulator translates behind each exit', () => {
    for (const exit of [0xb005, 0xb015, 0xb022, 0xb102, 0xb1fa]) expect(memory[exit]).toBe(0xf4);
    expect(memory.subarray(0xb200, 0xc000).every((byte) => byte === 0xf4)).toBe(true);
  });

  it('should write nothing outside of its three pages', () => {
    expect(memory.subarray(0, 0x9000).every((byte) => byte === 0)).toBe(true);
    expect(memory.subarray(0x9004, 0xa000).every((byte) => byte === 0)).toBe(true);
    expect(memory.subarray(0xa4e8, 0xb000).every((byte) => byte === 0)).toBe(true);
    expect(memory.subarray(0xc000).every((byte) => byte === 0)).toBe(true);
  });
});

describe('writeEntryInstructions', () => {
  it('should put an instruction back that KVM has replaced', () => {
    const before = Buffer.from(memory);
    instructionBytes('vmmcall').copy(memory, entryCode.other);
    expect(memory.equals(before)).toBe(false);

    writeEntryInstructions(memory, 'vmmcall');

    expect(memory.equals(before)).toBe(true);
  });

  it('should have the other instruction first where that is the vendor’s', () => {
    writeEntryInstructions(memory, 'vmcall');
    expect(textOf(0xb000, 0xb005, 64)).toEqual(['b000  vmcall', 'b003  out 12h,al']);
    expect(textOf(0xb010, 0xb015, 64)).toEqual(['b010  vmmcall', 'b013  out 12h,al']);
  });
});

describe('instructionBytes', () => {
  it('should be what a disassembler reads as the instruction', () => {
    expect(disassemble(instructionBytes('vmcall'), 0)).toEqual(['0  vmcall']);
    expect(disassemble(instructionBytes('vmmcall'), 0)).toEqual(['0  vmmcall']);
    expect([otherInstruction('vmcall'), otherInstruction('vmmcall')]).toEqual(['vmmcall', 'vmcall']);
  });
});

describe('hypercallPagePatterns', () => {
  /** The offset that the patterns give for a page, as the hand looks for them; null where none of them is there. */
  const offsetIn = (page: Buffer, instruction: 'vmcall' | 'vmmcall'): number | null => {
    const found = hypercallPagePatterns(instruction).filter(({ bytes }) =>
      page.subarray(0, bytes.length).equals(bytes),
    );
    expect(found.length).toBeLessThan(2);
    return found[0]?.offset ?? null;
  };

  it.each<[string, string, number | null]>([
    ['KVM’s page', '0f01d9c3', 0],
    ['KVM’s page with Xen: or eax, 0x80000000 first', '0d000000800f01d9c3', 5],
    ['an empty page', '00000000000000000000', null],
    ['the page of another vendor', '0f01c1c3', null],
    ['a page without the return', '0f01d990', null],
    ['a page whose first byte was overwritten', 'fe01d9c3', null],
    ['a page with another immediate', '0d000000400f01d9c3', null],
    ['the Xen prefix alone', '0d00000080000000000000', null],
  ])('should find the instruction in %s', (_, code, offset) => {
    expect(offsetIn(Buffer.concat([Buffer.from(code, 'hex'), Buffer.alloc(16)]), 'vmmcall')).toBe(offset);
  });

  it('should agree with a disassembler about what stands there', () => {
    const page = Buffer.from('0d000000800f01c1c3', 'hex');
    expect(disassemble(page, 0, 64)).toEqual(['0  or eax,80000000h', '5  vmcall', '8  ret']);
    expect(offsetIn(page, 'vmcall')).toBe(5);
  });
});
