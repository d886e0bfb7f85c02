import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ascending, illegalVector, nonZeroOf, refusedVpIndex, reservedBits } from '../../generators/integers.ts';
import { controlWord } from '../../src/abi/hypercall.ts';

const sample = <T>(arbitrary: fc.Arbitrary<T>) => fc.sample(arbitrary, { seed: 42, numRuns: 2000 });

describe('illegalVector', () => {
  it('should never be legal and always fit in 32 bits', () => {
    for (const vector of sample(illegalVector)) {
      expect(vector < 0x10 || vector > 0xff).toBe(true);
      expect(vector).toBe(vector >>> 0);
    }
  });
});

describe('refusedVpIndex', () => {
  it('should reach every limit: 1024, 4096, 16 bits and 32 bits', () => {
    const indexes = new Set(sample(refusedVpIndex));
    for (const limit of [1024, 4096, 65535, 2 ** 32 - 1]) expect(indexes).toContain(limit);
  });
});

describe('nonZeroOf', () => {
  it('should draw every single bit and the largest value, and never 0', () => {
    const values = new Set(sample(nonZeroOf(controlWord, 'repCount')));
    for (let bit = 0; bit < 12; bit++) expect(values).toContain(1 << bit);
    expect(values).toContain(0xfff);
    expect(values).not.toContain(0);
    expect(Math.max(...values)).toBe(0xfff);
  });
});

describe('reservedBits', () => {
  it('should draw all bits that must be zero, the nested bit included, and no other', () => {
    const bits = ascending(sample(reservedBits(controlWord)).flat());
    expect(bits).toEqual([27, 28, 29, 30, 31, 44, 45, 46, 47, 60, 61, 62, 63]);
  });
});

describe('ascending', () => {
  it('should sort by value and drop doubles', () => {
    expect(ascending([10, 9, 100, 9])).toEqual([9, 10, 100]);
  });
});
