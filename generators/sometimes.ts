/** The choice that generators make most often. */
import fc from 'fast-check';

/** `value` in that share of draws, else `other`. */
export function sometimes<T>(share: number, of: number, value: fc.Arbitrary<T>, other: T): fc.Arbitrary<T> {
  return fc.oneof({ weight: of - share, arbitrary: fc.constant(other) }, { weight: share, arbitrary: value });
}
