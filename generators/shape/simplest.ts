/**
 * Simplest forms first. `oneof` keeps a value that comes without context in the branch that it belongs to, so a saved
 * address would never become "no address" again; this arbitrary tries the named simple values before anything else.
 */
import fc from 'fast-check';

/**
 * Values of `rest`, or one of `simplest`. Shrinking tries the simple values in their order, then what `rest` offers; a
 * simple value only shrinks to those before it.
 */
export function simplestFirst<T>(simplest: readonly T[], rest: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return new SimplestFirst(simplest, rest);
}

class SimplestFirst<T> extends fc.Arbitrary<T> {
  readonly #simplest: readonly T[];
  readonly #rest: fc.Arbitrary<T>;

  constructor(simplest: readonly T[], rest: fc.Arbitrary<T>) {
    super();
    this.#simplest = simplest;
    this.#rest = rest;
  }

  override generate(random: fc.Random, biasFactor: number | undefined): fc.Value<T> {
    const pick = random.nextInt(0, this.#simplest.length);
    if (pick < this.#simplest.length) return new fc.Value(this.#simplest[pick]!, undefined);
    return new fc.Value(this.#rest.generate(random, biasFactor).value, undefined);
  }

  override canShrinkWithoutContext(value: unknown): value is T {
    return this.#simplest.includes(value as T) || this.#rest.canShrinkWithoutContext(value);
  }

  override shrink(value: T, context: unknown): fc.Stream<fc.Value<T>> {
    if (context !== undefined) return this.#rest.shrink(value, context);
    const place = this.#simplest.indexOf(value);
    const simpler = this.#simplest.slice(0, place === -1 ? undefined : place);
    const first = fc.Stream.of(...simpler.map((form) => new fc.Value(form, undefined)));
    return place === -1 ? first.join(this.#rest.shrink(value, undefined)) : first;
  }
}
