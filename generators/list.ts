/**
 * Lists that shrink by deletion first. `array` keeps the end of a list, then simplifies its first element before it
 * tries to drop the second: with steps that are long themselves it spends thousands of runs on steps that are not
 * needed at all, and with a `minLength` it never drops the last one.
 */
import fc from 'fast-check';

type Context =
  /** Chunks of `size` were deleted from before `at`, as far as that was possible. */
  | { readonly phase: 'delete'; readonly size: number; readonly at: number }
  /** Elements before `index` are as simple as they get; the element there has come down to `context`. */
  | { readonly phase: 'simplify'; readonly index: number; readonly context: unknown };

/** Lists of up to `lengthMax` elements: all gone, halves, quarters … single ones, and only then simpler elements. */
export function listOf<T>(element: fc.Arbitrary<T>, lengthMax: number): fc.Arbitrary<T[]> {
  return new List(element, lengthMax);
}

class List<T> extends fc.Arbitrary<T[]> {
  readonly #element: fc.Arbitrary<T>;
  readonly #lengthMax: number;

  constructor(element: fc.Arbitrary<T>, lengthMax: number) {
    super();
    this.#element = element;
    this.#lengthMax = lengthMax;
  }

  override generate(random: fc.Random, biasFactor: number | undefined): fc.Value<T[]> {
    const length = random.nextInt(0, this.#lengthMax);
    const elements = Array.from({ length }, () => this.#element.generate(random, biasFactor).value);
    return new fc.Value(elements, undefined);
  }

  override canShrinkWithoutContext(value: unknown): value is T[] {
    return (
      Array.isArray(value) &&
      value.length <= this.#lengthMax &&
      value.every((element) => this.#element.canShrinkWithoutContext(element))
    );
  }

  override shrink(value: T[], context: unknown): fc.Stream<fc.Value<T[]>> {
    return fc.stream(this.#smaller(value, (context ?? { phase: 'delete', size: value.length, at: 0 }) as Context));
  }

  *#smaller(value: readonly T[], context: Context): Generator<fc.Value<T[]>> {
    if (context.phase === 'delete') yield* this.#shorter(value, context.size, context.at);
    const begun = context.phase === 'simplify' ? context : null;
    for (let index = begun?.index ?? 0; index < value.length; index++) {
      const elementContext = index === begun?.index ? begun.context : undefined;
      for (const simpler of this.#element.shrink(value[index]!, elementContext)) {
        const next: Context = { phase: 'simplify', index, context: simpler.context };
        yield new fc.Value(value.with(index, simpler.value), next);
      }
    }
  }

  *#shorter(value: readonly T[], sizeMax: number, from: number): Generator<fc.Value<T[]>> {
    let start = from;
    for (let size = sizeMax; size >= 1; size = Math.floor(size / 2)) {
      for (let at = start; at < value.length; at += size) {
        const rest = [...value.slice(0, at), ...value.slice(at + size)];
        yield new fc.Value(rest, { phase: 'delete', size, at } satisfies Context);
      }
      start = 0;
    }
  }
}
