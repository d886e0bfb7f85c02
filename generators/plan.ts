/**
 * Plans: what is drawn of a case before the case is built. Plans have no shrinker, because a case shrinks as a whole
 * (`case.ts`, `src/simplify`). fast-check's own combinators keep a context for each of a call's forty parts, which
 * would take most of the time of drawing. From the same random numbers everything here draws what fast-check's
 * arbitrary of that kind draws, including its bias to small values in early cases.
 */
import fc from 'fast-check';

/** Where the parts of one value are drawn from. */
export class Source {
  readonly random: fc.Random;
  /** One value in so many is biased; undefined where none is. */
  readonly biasFactor: number | undefined;

  constructor(random: fc.Random, biasFactor: number | undefined) {
    this.random = random;
    this.biasFactor = biasFactor;
  }

  draw<T>(arbitrary: fc.Arbitrary<T>): T {
    if (arbitrary instanceof Plan) return (arbitrary as Plan<T>).make(this);
    return arbitrary.generate(this.random, this.biasFactor).value;
  }
}

/** One class for all plans: a call of a method that differs from class to class would cost more than most draws. */
class Plan<T> extends fc.Arbitrary<T> {
  readonly make: (source: Source) => T;

  constructor(make: (source: Source) => T) {
    super();
    this.make = make;
  }

  override generate(random: fc.Random, biasFactor: number | undefined): fc.Value<T> {
    return new fc.Value(this.make(new Source(random, biasFactor)), undefined);
  }

  override canShrinkWithoutContext(_value: unknown): _value is T {
    return false;
  }

  override shrink(): fc.Stream<fc.Value<T>> {
    return fc.Stream.nil();
  }
}

/** A value made of parts that are drawn one after the other. */
export function planOf<T>(make: (source: Source) => T): fc.Arbitrary<T> {
  return new Plan(make);
}

/** Always the same value. */
export function just<T>(value: T): fc.Arbitrary<T> {
  return new Plan(() => value);
}

/** One of the values; what stands twice is drawn twice as often. */
export function among<T>(...values: readonly T[]): fc.Arbitrary<T> {
  const last = values.length - 1;
  return last === 0 ? just(values[0]!) : new Plan(({ random }) => values[random.nextInt(0, last)]!);
}

export interface Weighted<T> {
  readonly weight: number;
  readonly arbitrary: fc.Arbitrary<T>;
}

/** From one of the arbitraries, by their weights. */
export function choice<T>(...weighted: readonly Weighted<T>[]): fc.Arbitrary<T> {
  let total = 0;
  const ends = weighted.map(({ weight }) => (total += weight));
  if (total <= 0) throw new Error('a choice with nothing to choose from');
  const last = total - 1;
  const arbitraries = weighted.map(({ arbitrary }) => arbitrary);
  return new Plan((source) => {
    const drawn = source.random.nextInt(0, last);
    let place = 0;
    while (drawn >= ends[place]!) place++;
    return source.draw(arbitraries[place]!);
  });
}

/** From one of the arbitraries, each as often as the others. */
export function evenly<T>(...arbitraries: readonly fc.Arbitrary<T>[]): fc.Arbitrary<T> {
  return choice(...arbitraries.map((arbitrary) => ({ weight: 1, arbitrary })));
}

/** The choice that is made most often: `value` in that share of draws, else `other`. */
export function sometimes<T>(share: number, of: number, value: fc.Arbitrary<T>, other: T): fc.Arbitrary<T> {
  return choice({ weight: of - share, arbitrary: just(other) }, { weight: share, arbitrary: value });
}

/** A number between two bounds, both included. */
export function integer(min: number, max: number): fc.Arbitrary<number> {
  const biased = fc.integer({ min, max });
  return new Plan(({ random, biasFactor }) =>
    biasFactor === undefined ? random.nextInt(min, max) : biased.generate(random, biasFactor).value,
  );
}

/** A list with so many elements. */
export function list<T>(element: fc.Arbitrary<T>, min: number, max: number): fc.Arbitrary<T[]> {
  const isFixed = min === max;
  /** The longest one of those that are short by bias. */
  const shortMax = isFixed ? min : min + Math.floor(Math.log2(max - min));
  return new Plan((source) => {
    const { random, biasFactor } = source;
    const isBiased = biasFactor !== undefined && (isFixed || random.nextInt(1, biasFactor) === 1);
    const isShort = isBiased && !isFixed && random.nextInt(1, biasFactor) === 1;
    const length = random.nextInt(min, isShort ? shortMax : max);
    const from = isBiased || biasFactor === undefined ? source : new Source(random, undefined);
    const elements: T[] = [];
    for (let place = 0; place < length; place++) elements.push(from.draw(element));
    return elements;
  });
}
