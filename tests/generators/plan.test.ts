/** Plans draw what fast-check's own combinators draw from the same seed. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { among, choice, evenly, integer, just, list, planOf, sometimes } from '../../generators/plan.ts';

const sample = <T>(arbitrary: fc.Arbitrary<T>) => fc.sample(arbitrary, { seed: 42, numRuns: 300 });
const small = fc.integer({ min: 0, max: 9 });
const weighted = [
  { weight: 3, arbitrary: small },
  { weight: 0, arbitrary: just(-1) },
  { weight: 1, arbitrary: fc.constantFrom(100, 200, 300) },
];

describe('choice', () => {
  it('should choose as oneof does', () => {
    expect(sample(choice(...weighted))).toEqual(sample(fc.oneof(...weighted)));
    expect(sample(evenly<unknown>(small, fc.boolean()))).toEqual(sample(fc.oneof(small, fc.boolean())));
  });

  it('should refuse to choose from nothing', () => {
    expect(() => choice({ weight: 0, arbitrary: small })).toThrow('nothing to choose from');
  });
});

describe('among', () => {
  it('should choose as constantFrom does', () => {
    expect(sample(among('a', 'a', 'b'))).toEqual(sample(fc.constantFrom('a', 'a', 'b')));
  });

  it('should spend no random number on a single value', () => {
    const behind = (first: fc.Arbitrary<string>) => planOf((source) => [source.draw(first), source.draw(small)]);
    expect(sample(behind(among('a')))).toEqual(sample(behind(just('a'))));
  });
});

describe('integer', () => {
  it('should draw as integer does, at the edges as often', () => {
    expect(sample(integer(-3, 1000))).toEqual(sample(fc.integer({ min: -3, max: 1000 })));
  });
});

describe('list', () => {
  it.each([
    [0, 63],
    [2, 6],
    [1, 1],
    [0, 0],
    [3, 4],
  ])('should draw from %i to %i elements as array does, short lists as often', (min, max) => {
    const lists = fc.array(fc.integer({ min: 0, max: 99 }), { minLength: min, maxLength: max, size: 'max' });
    expect(sample(list(integer(0, 99), min, max))).toEqual(sample(lists));
    const twice = (arbitrary: fc.Arbitrary<number[]>) =>
      sample(planOf((source) => [source.draw(arbitrary), source.draw(small)]));
    expect(twice(list(integer(0, 99), min, max))).toEqual(twice(lists));
  });
});

describe('planOf', () => {
  it('should draw parts in the order in which they are asked for, as record does', () => {
    const few = fc.array(small, { maxLength: 5 });
    const plan = planOf((source) => ({ first: source.draw(small), few: source.draw(few), last: source.draw(small) }));
    expect(sample(plan)).toEqual(sample(fc.record({ first: small, few, last: small }, { noNullPrototype: true })));
  });

  it('should draw the same inside of fast-check’s own arbitraries', () => {
    const inside = (element: fc.Arbitrary<number>) => sample(fc.array(fc.tuple(element, small)));
    expect(inside(choice(...weighted))).toEqual(inside(fc.oneof(...weighted)));
  });

  it('should have no shrinker', () => {
    const plan = planOf((source) => source.draw(small));
    expect(plan.canShrinkWithoutContext(3)).toBe(false);
    expect([...plan.shrink(3, undefined)]).toEqual([]);
  });
});

describe('sometimes', () => {
  it.each([
    [0, 0],
    [10, 100],
    [3, 30],
  ])('should draw the value in %i of 10 draws', (share, expected) => {
    const draws = fc.sample(sometimes(share, 10, fc.constant(true), false), { seed: 42, numRuns: 100 });
    expect(draws.filter(Boolean).length).toSatisfy((count: number) => Math.abs(count - expected) < 12);
  });
});
