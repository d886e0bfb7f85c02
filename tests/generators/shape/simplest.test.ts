import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { simplestFirst } from '../../../generators/shape/simplest.ts';
import { itKeepsTheLaws } from '../laws.ts';

const arbitrary = simplestFirst<number | null>([null, 7], fc.integer({ min: 0, max: 100 }));
const shrunk = (value: number | null) => [...arbitrary.shrink(value, undefined)].map((candidate) => candidate.value);

describe('simplestFirst', () => {
  itKeepsTheLaws<number | null>({
    arbitrary,
    expectValid: (value) => expect(value === null || (value >= 0 && value <= 100)).toBe(true),
    keyOf: String,
  });

  it('should try the simple values first, in their order, then shrink', () => {
    expect(shrunk(40)).toEqual([null, 7, 0, 20, 30, 35, 38, 39]);
  });

  it('should shrink a simple value only to simpler ones', () => {
    expect(shrunk(7)).toEqual([null]);
    expect(shrunk(null)).toEqual([]);
  });
});
