/**
 * Shapes without leftovers. A field that another field has made meaningless changes nothing any more, and its shrinking
 * is tried all the same: a set of 4096 VPs behind a call that has no set is thousands of candidates that are the same
 * value. So what has lost its meaning goes at the moment it does.
 */
import fc from 'fast-check';

/**
 * Values of `source`, of which each shrunk one is settled: `settle` gives it without its leftovers, or the same object
 * when it has none. A value that lost some shrinks from the start again.
 */
export function settled<T>(source: fc.Arbitrary<T>, settle: (value: T) => T): fc.Arbitrary<T> {
  return new Settled(source, settle);
}

class Settled<T> extends fc.Arbitrary<T> {
  readonly #source: fc.Arbitrary<T>;
  readonly #settle: (value: T) => T;

  constructor(source: fc.Arbitrary<T>, settle: (value: T) => T) {
    super();
    this.#source = source;
    this.#settle = settle;
  }

  override generate(random: fc.Random, biasFactor: number | undefined): fc.Value<T> {
    return new fc.Value(this.#settle(this.#source.generate(random, biasFactor).value), undefined);
  }

  override canShrinkWithoutContext(value: unknown): value is T {
    return this.#source.canShrinkWithoutContext(value);
  }

  override shrink(value: T, context: unknown): fc.Stream<fc.Value<T>> {
    return this.#source.shrink(value, context).map((shrunk) => {
      const rest = this.#settle(shrunk.value);
      return rest === shrunk.value ? shrunk : new fc.Value(rest, undefined);
    });
  }
}
