/** Laws that every arbitrary keeps, as fast-check's own tests have them for its arbitraries. */
import fc from 'fast-check';
import { expect, it } from 'vitest';

export interface Lawful<T> {
  readonly arbitrary: fc.Arbitrary<T>;
  /** Throws, by an expectation of its own, when the value is none that the arbitrary may make. */
  readonly expectValid: (value: T) => void;
  /** Text by which values are told apart. */
  readonly keyOf: (value: T) => string;
  /** Shrunk values that are looked at for each value; shrink trees are wide. */
  readonly shrinks?: number;
}

const seed = 42;

/** Registers one test for each law of drawing; plans have no others (`generators/plan.ts`). */
export function itDrawsLawfully<T>({ arbitrary, expectValid, keyOf }: Omit<Lawful<T>, 'shrinks'>): void {
  it('should draw the same values from the same seed', () => {
    const draw = () => fc.sample(arbitrary, { seed, numRuns: 50 }).map(keyOf);
    expect(draw()).toEqual(draw());
  });

  it('should draw only valid values', () => {
    for (const value of fc.sample(arbitrary, { seed, numRuns: 500 })) expectValid(value);
  });
}

/** Registers one test for each law. */
export function itKeepsTheLaws<T>({ arbitrary, expectValid, keyOf, shrinks = 40 }: Lawful<T>): void {
  itDrawsLawfully({ arbitrary, expectValid, keyOf });

  it('should shrink every value without context, to valid and different values', () => {
    for (const value of fc.sample(arbitrary, { seed, numRuns: 30 })) {
      expect(arbitrary.canShrinkWithoutContext(value)).toBe(true);
      for (const shrunk of arbitrary.shrink(value, undefined).take(shrinks)) {
        expectValid(shrunk.value);
        expect(keyOf(shrunk.value)).not.toBe(keyOf(value));
      }
    }
  });

  it('should shrink the same way every time', () => {
    const [value] = fc.sample(arbitrary, { seed, numRuns: 1 });
    const shrink = () => [...arbitrary.shrink(value!, undefined).take(shrinks)].map((shrunk) => keyOf(shrunk.value));
    expect(shrink()).toEqual(shrink());
  });

  it('should come to an end on every way down, without meeting a value twice', () => {
    const waysDown = fc.sample(fc.tuple(arbitrary, fc.infiniteStream(fc.nat(7))), { seed, numRuns: 30 });
    for (const [value, choices] of waysDown) {
      const seen = new Set<string>();
      let current: fc.Value<T> | undefined = new fc.Value(value, undefined);
      while (current !== undefined) {
        const key = keyOf(current.value);
        expect(seen.has(key)).toBe(false);
        seen.add(key);
        const below: fc.Value<T>[] = [...arbitrary.shrink(current.value, current.context).take(8)];
        current = below.length === 0 ? undefined : below[choices.next().value! % below.length];
      }
    }
  });
}
