/**
 * Plans: what is drawn of a case before it is built. A case shrinks by its shape (`drawn.ts`), so plans have no
 * shrinker, and need nothing of what fast-check's own combinators keep for one with each of a call's forty parts: their
 * contexts would take most of the time of drawing. Everything here draws what fast-check's arbitrary of that kind draws
 * from the same random numbers, the bias to small values in early cases included.
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
    if (arbitrary instanceof Plan) return (arbitrary as Plan<T>).draw(this);
    return arbitrary.generate(this.random, this.biasFactor).value;
  }
}

/** An arbitrary whose values do not shrink. */
abstract class Plan<T> extends fc.Arbitrary<T> {
  abstract draw(source: Source): T;

  override generate(random: fc.Random, biasFactor: number | undefined): fc.Value<T> {
    return new fc.Value(this.draw(new Source(random, biasFactor)), undefined);
  }

  override canShrinkWithoutContext(_value: unknown): _value is T {
    return false;
  }

  override shrink(): fc.Stream<fc.Value<T>> {
    return fc.Stream.nil();
  }
}

class Made<T> extends Plan<T> {
  readonly #make: (source: Source) => T;

  constructor(make: (source: Source) => T) {
    super();
    this.#make = make;
  }

  override draw(source: Source): T {
    return this.#make(source);
  }
}

class Constant<T> extends Plan<T> {
  readonly #value: T;

  constructor(value: T) {
    super();
    this.#value = value;
  }

  override draw(): T {
    return this.#value;
  }
}

class Among<T> extends Plan<T> {
  readonly #values: readonly T[];

  constructor(values: readonly T[]) {
    super();
    this.#values = values;
  }

  override draw({ random }: Source): T {
    return this.#values[random.nextInt(0, this.#values.length - 1)]!;
  }
}

export interface Weighted<T> {
  readonly weight: number;
  readonly arbitrary: fc.Arbitrary<T>;
}

class Choice<T> extends Plan<T> {
  readonly #arbitraries: readonly fc.Arbitrary<T>[];
  /** For each of them, the sum of weights up to it. */
  readonly #ends: readonly number[];
  readonly #last: number;

  constructor(weighted: readonly Weighted<T>[]) {
    super();
    let total = 0;
    this.#arbitraries = weighted.map(({ arbitrary }) => arbitrary);
    this.#ends = weighted.map(({ weight }) => (total += weight));
    if (total <= 0) throw new Error('a choice with nothing to choose from');
    this.#last = total - 1;
  }

  override draw(source: Source): T {
    const drawn = source.random.nextInt(0, this.#last);
    let place = 0;
    while (drawn >= this.#ends[place]!) place++;
    return source.draw(this.#arbitraries[place]!);
  }
}

class Integer extends Plan<number> {
  readonly #min: number;
  readonly #max: number;
  readonly #biased: fc.Arbitrary<number>;

  constructor(min: number, max: number) {
    super();
    this.#min = min;
    this.#max = max;
    this.#biased = fc.integer({ min, max });
  }

  override draw({ random, biasFactor }: Source): number {
    if (biasFactor === undefined) return random.nextInt(this.#min, this.#max);
    return this.#biased.generate(random, biasFactor).value;
  }
}

class List<T> extends Plan<T[]> {
  readonly #element: fc.Arbitrary<T>;
  readonly #min: number;
  readonly #max: number;
  /** The longest one of those that are short by bias. */
  readonly #shortMax: number;

  constructor(element: fc.Arbitrary<T>, min: number, max: number) {
    super();
    this.#element = element;
    this.#min = min;
    this.#max = max;
    this.#shortMax = max === min ? min : min + Math.floor(Math.log2(max - min));
  }

  override draw(source: Source): T[] {
    const { random, biasFactor } = source;
    const isFixed = this.#min === this.#max;
    const isBiased = biasFactor !== undefined && (isFixed || random.nextInt(1, biasFactor) === 1);
    const isShort = isBiased && !isFixed && random.nextInt(1, biasFactor) === 1;
    const length = random.nextInt(this.#min, isShort ? this.#shortMax : this.#max);
    const from = isBiased || biasFactor === undefined ? source : new Source(random, undefined);
    const elements: T[] = [];
    for (let place = 0; place < length; place++) elements.push(from.draw(this.#element));
    return elements;
  }
}

/** A value made of parts that are drawn one after the other. */
export function planOf<T>(make: (source: Source) => T): fc.Arbitrary<T> {
  return new Made(make);
}

/** Always the same value. */
export function just<T>(value: T): fc.Arbitrary<T> {
  return new Constant(value);
}

/** One of the values; what stands twice is drawn twice as often. */
export function among<T>(...values: readonly T[]): fc.Arbitrary<T> {
  return values.length === 1 ? just(values[0]!) : new Among(values);
}

/** From one of the arbitraries, by their weights. */
export function choice<T>(...weighted: readonly Weighted<T>[]): fc.Arbitrary<T> {
  return new Choice(weighted);
}

/** From one of the arbitraries, each as often as the others. */
export function evenly<T>(...arbitraries: readonly fc.Arbitrary<T>[]): fc.Arbitrary<T> {
  return new Choice(arbitraries.map((arbitrary) => ({ weight: 1, arbitrary })));
}

/** The choice that is made most often: `value` in that share of draws, else `other`. */
export function sometimes<T>(share: number, of: number, value: fc.Arbitrary<T>, other: T): fc.Arbitrary<T> {
  return choice({ weight: of - share, arbitrary: just(other) }, { weight: share, arbitrary: value });
}

/** A number between two bounds, both included. */
export function integer(min: number, max: number): fc.Arbitrary<number> {
  return new Integer(min, max);
}

/** A list with so many elements. */
export function list<T>(element: fc.Arbitrary<T>, min: number, max: number): fc.Arbitrary<T[]> {
  return new List(element, min, max);
}
