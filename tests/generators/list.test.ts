import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { listOf } from '../../generators/list.ts';
import { itKeepsTheLaws } from './laws.ts';

const arbitrary = listOf(fc.nat(99), 20);
const shrunk = (value: number[]) => [...arbitrary.shrink(value, undefined)].map((candidate) => candidate.value);

describe('listOf', () => {
  itKeepsTheLaws<number[]>({
    arbitrary,
    expectValid: (value) => expect(value.length).toBeLessThanOrEqual(20),
    keyOf: (value) => value.join(),
  });

  it('should delete all, halves and single elements before it simplifies one', () => {
    expect(shrunk([1, 0, 2, 0])).toEqual([
      [],
      [2, 0],
      [1, 0],
      [0, 2, 0],
      [1, 2, 0],
      [1, 0, 0],
      [1, 0, 2],
      [0, 0, 2, 0],
      [1, 0, 0, 0],
      [1, 0, 1, 0],
    ]);
  });

  it('should find two elements that are needed among many in few runs', () => {
    const long = Array.from({ length: 20 }, (_, index) => index);
    const property = fc.property(arbitrary, (value) => !(value.includes(3) && value.includes(17)));
    const details = fc.check(property, { examples: [[long]], numRuns: 1 });
    expect(details.counterexample).toEqual([[3, 17]]);
    expect(details.numShrinks).toBeLessThan(20);
  });

  it.each([[[100]], [['1']], [Array.from({ length: 21 }, () => 1)], ['text']])('should refuse %j', (value) => {
    expect(arbitrary.canShrinkWithoutContext(value)).toBe(false);
  });
});
