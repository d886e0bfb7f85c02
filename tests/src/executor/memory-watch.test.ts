import { describe, expect, it } from 'vitest';
import { MemoryWatch } from '../../../src/executor/memory-watch.ts';

const ranges = [
  { start: 0, end: 0x1000 },
  { start: 0xe0000, end: 0x102000 },
];

function watched(): { memory: Buffer; watch: MemoryWatch } {
  const memory = Buffer.alloc(0x102000);
  return { memory, watch: new MemoryWatch(memory, ranges) };
}

describe('MemoryWatch', () => {
  it("should not take the host's own writes for changes, nor their undoing", () => {
    const { memory, watch } = watched();

    watch.write(0xe0000n, Buffer.from('12345678'));
    expect(watch.takeChanges()).toEqual([]);
    watch.undoWrites();

    expect(watch.takeChanges()).toEqual([]);
    expect(memory.every((byte) => byte === 0)).toBe(true);
  });

  it('should name the word that changed in a watched range, and put it back', () => {
    const { memory, watch } = watched();
    memory[0xfffff] = 0x5a;

    expect(watch.takeChanges()).toEqual([
      { gpa: 0xffff8n, before: Buffer.alloc(8), after: Buffer.from([0, 0, 0, 0, 0, 0, 0, 0x5a]) },
    ]);
    expect(watch.takeChanges()).toEqual([]);
  });

  it('should write to the read-only slot, which lies behind RAM in the mapping, and watch it by its own address', () => {
    const { memory, watch } = watched();

    watch.write(0x201ff8n, Buffer.from('12345678'));
    expect(memory.toString('latin1', 0x101ff8, 0x102000)).toBe('12345678');
    expect(watch.takeChanges()).toEqual([]);
    memory[0x100008] = 0x5a;
    expect(watch.takeChanges()).toEqual([
      { gpa: 0x200008n, before: Buffer.alloc(8), after: Buffer.from([0x5a, 0, 0, 0, 0, 0, 0, 0]) },
    ]);
    watch.undoWrites();

    expect(watch.takeChanges()).toEqual([]);
    expect(memory.every((byte) => byte === 0)).toBe(true);
  });

  it('should leave scratch memory alone', () => {
    const { memory, watch } = watched();
    memory[0x20000] = 1;

    expect(watch.takeChanges()).toEqual([]);
  });

  it('should report at most 16 words and still put all of them back', () => {
    const { memory, watch } = watched();
    memory.fill(1, 0, 0x1000);

    expect(watch.takeChanges()).toHaveLength(16);
    expect(watch.takeChanges()).toEqual([]);
  });

  it('should refuse to write outside of the arena', () => {
    expect(() => watched().watch.write(0x1000n, Buffer.from('x'))).toThrow(RangeError);
  });
});
