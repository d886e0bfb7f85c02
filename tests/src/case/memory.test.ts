import { describe, expect, it } from 'vitest';
import { caseLimits } from '../../../src/case/limits.ts';
import { arenaStart, defaultInputGpa, inputSlotBytes, isReadable, ramEnd } from '../../../src/case/memory.ts';

describe('defaultInputGpa', () => {
  it('should give every step a slot in the arena that holds 64 banks and a tail', () => {
    expect(defaultInputGpa(0)).toBe(arenaStart);
    expect(defaultInputGpa(caseLimits.steps)).toBeLessThan(ramEnd);
    expect(inputSlotBytes).toBeGreaterThanOrEqual(24 + 64 * 8 + 8 * 8);
  });
});

describe('isReadable', () => {
  it.each<[bigint, number, boolean]>([
    [0n, 16, true],
    [0xffff0n, 16, true],
    [0xffff1n, 16, false],
    [0x100000n, 1, false],
    [0x100000n, 0, true],
    [1n << 52n, 16, false],
    [(1n << 64n) - 8n, 16, false],
    [0x1ffff8n, 16, false],
    [0x200000n, 0x2000, true],
    [0x201ff0n, 16, true],
    [0x201ff1n, 16, false],
    [0x202000n, 1, false],
  ])('should judge %i and %i bytes', (gpa, length, readable) => {
    expect(isReadable(gpa, length)).toBe(readable);
  });
});
