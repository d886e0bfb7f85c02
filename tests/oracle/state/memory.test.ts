import { describe, expect, it } from 'vitest';
import { arenaStart, ramEnd, romEnd, romStart } from '../../../src/case/memory.ts';
import { ModelMemory } from '../../../oracle/state/memory.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe('ModelMemory.read', () => {
  it('should be zero until written, and let later writes cover earlier ones', () => {
    const memory = new ModelMemory();
    expect(read(memory, arenaStart, 4)).toBe('00000000');
    memory.write({ gpa: arenaStart, bytes: hex('11111111') });
    expect(read(memory, arenaStart + 1n, 2)).toBe('1111');
    memory.write({ gpa: arenaStart + 2n, bytes: hex('2222') });
    expect(read(memory, arenaStart, 6)).toBe('111122220000');
    memory.write({ gpa: arenaStart + 0x800n, bytes: hex('33') });
    expect(read(memory, arenaStart, 6)).toBe('111122220000');
  });

  it('should put together what begins before the last write and ends behind it', () => {
    const memory = new ModelMemory();
    memory.write({ gpa: arenaStart, bytes: hex('0102030405060708') });
    memory.write({ gpa: arenaStart + 2n, bytes: hex('aabbcc') });
    expect(read(memory, arenaStart + 2n, 3)).toBe('aabbcc');
    expect(read(memory, arenaStart + 1n, 4)).toBe('02aabbcc');
    expect(read(memory, arenaStart + 2n, 4)).toBe('aabbcc06');
    expect(read(memory, arenaStart + 3n, 2)).toBe('bbcc');
    expect(read(memory, arenaStart + 5n, 3)).toBe('060708');
    expect(read(memory, arenaStart - 1n, 2)).toBe('0001');
  });

  it('should let the last of several writes cover one that has all of what is read', () => {
    const memory = new ModelMemory();
    memory.write({ gpa: arenaStart + 0x100n, bytes: hex('ff') });
    memory.write({ gpa: arenaStart, bytes: hex('01020304') });
    memory.write({ gpa: arenaStart + 1n, bytes: hex('aa') });
    expect(read(memory, arenaStart, 4)).toBe('01aa0304');
  });

  it('should refuse what is not all in RAM', () => {
    const memory = new ModelMemory();
    expect(memory.read(ramEnd - 16n, 16)).not.toBeNull();
    expect(memory.read(ramEnd - 15n, 16)).toBeNull();
    expect(memory.read(2n ** 64n - 1n, 1)).toBeNull();
  });

  it('should read the read-only memslot', () => {
    const memory = new ModelMemory();
    memory.write({ gpa: romStart, bytes: hex('55') });
    expect(read(memory, romStart, 2)).toBe('5500');
    expect(read(memory, romEnd - 1n, 1)).toBe('00');
    expect(memory.read(romEnd - 1n, 2)).toBeNull();
    expect(memory.read(romStart - 1n, 2)).toBeNull();
  });
});

describe('ModelMemory.changes', () => {
  it('should have none while only the host wrote', () => {
    const memory = new ModelMemory();
    memory.write({ gpa: arenaStart, bytes: hex('11') });
    expect(memory.changes()).toEqual([]);
  });

  it('should show whole words, with what the host wrote before and afterwards', () => {
    const memory = new ModelMemory();
    memory.write({ gpa: arenaStart, bytes: hex('1111111111111111') });
    memory.writeAsKvm({ gpa: arenaStart + 6n, bytes: hex('aabbcc') });
    memory.write({ gpa: arenaStart + 9n, bytes: hex('22') });
    expect(memory.changes()).toEqual([
      { gpa: arenaStart, before: hex('1111111111111111'), after: hex('111111111111aabb') },
      { gpa: arenaStart + 8n, before: hex('0022000000000000'), after: hex('cc22000000000000') },
    ]);
    expect(read(memory, arenaStart + 5n, 5)).toBe('11aabbcc22');
  });

  it('should not show a word that ends where the write begins, nor one that begins where it ends', () => {
    const memory = new ModelMemory();
    memory.writeAsKvm({ gpa: arenaStart + 8n, bytes: hex('0102030405060708') });
    expect(memory.changes().map(({ gpa }) => gpa)).toEqual([arenaStart + 8n]);
  });

  it('should show the last word of RAM', () => {
    const memory = new ModelMemory();
    memory.writeAsKvm({ gpa: ramEnd - 8n, bytes: hex('0102030405060708') });
    expect(memory.changes().map(({ gpa }) => gpa)).toEqual([ramEnd - 8n]);
  });

  it('should show nothing where the host covered what KVM wrote, or had written the same', () => {
    const memory = new ModelMemory();
    memory.write({ gpa: arenaStart, bytes: hex('aa') });
    memory.writeAsKvm({ gpa: arenaStart, bytes: hex('aa') });
    memory.writeAsKvm({ gpa: arenaStart + 0x10n, bytes: hex('bb') });
    memory.write({ gpa: arenaStart + 0x10n, bytes: hex('cc') });
    expect(memory.changes()).toEqual([]);
  });

  it('should list each word once and by address, whatever the order of the writes', () => {
    const memory = new ModelMemory();
    memory.writeAsKvm({ gpa: arenaStart + 0x100n, bytes: hex('01') });
    memory.writeAsKvm({ gpa: arenaStart + 0x20n, bytes: hex('02') });
    memory.writeAsKvm({ gpa: arenaStart + 0x104n, bytes: hex('03') });
    expect(memory.changes()).toEqual([
      { gpa: arenaStart + 0x20n, before: hex('0000000000000000'), after: hex('0200000000000000') },
      { gpa: arenaStart + 0x100n, before: hex('0000000000000000'), after: hex('0100000003000000') },
    ]);
  });
});

function read(memory: ModelMemory, gpa: bigint, length: number): string {
  const { bytes, offset } = memory.read(gpa, length)!;
  return bytes.subarray(offset, offset + length).toString('hex');
}
