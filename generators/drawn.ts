/**
 * A value that is drawn one way and shrinks another. Drawing wants weights, relative references and whole families of
 * mistakes; shrinking wants one canonical shape of the value, whoever made it. Keeping the two apart means that a
 * generated case and a saved one (an example, without any context) shrink along exactly the same steps.
 */
import fc from 'fast-check';

export interface DrawnParts<Plan, Shape, T> {
  /** Draws a plan; its own shrinker is never used. */
  readonly plan: fc.Arbitrary<Plan>;
  /** Makes the value of a plan. */
  readonly build: (plan: Plan) => T;
  /** Shrinks shapes. */
  readonly shape: fc.Arbitrary<Shape>;
  /** Shapes of a value that it shrinks from, the best first. Throws when the argument is no such value. */
  readonly shapesOf: (value: unknown) => Shape[];
  /** Other values' shapes that no single change leads to; each is tried as it is, where it is simpler. */
  readonly leapsFrom: (shape: Shape) => Shape[];
  /** Makes the value of a shape. */
  readonly ofShape: (shape: Shape) => T;
  /** Whether a value may be proposed: a shape can say what does not fit together. */
  readonly isValid: (value: T) => boolean;
  /** A strict order in which no value has infinitely many below it: what makes shrinking end. */
  readonly isSimpler: (a: T, b: T) => boolean;
  /** Text that tells values apart. */
  readonly keyOf: (value: T) => string;
}

/** The arbitrary that draws by plan and shrinks by shape. */
export function drawn<Plan, Shape, T>(parts: DrawnParts<Plan, Shape, T>): fc.Arbitrary<T> {
  return new DrawnArbitrary(parts);
}

class DrawnArbitrary<Plan, Shape, T> extends fc.Arbitrary<T> {
  readonly #parts: DrawnParts<Plan, Shape, T>;

  constructor(parts: DrawnParts<Plan, Shape, T>) {
    super();
    this.#parts = parts;
  }

  override generate(random: fc.Random, biasFactor: number | undefined): fc.Value<T> {
    const plan = this.#parts.plan.generate(random, biasFactor).value;
    return new fc.Value(this.#parts.build(plan), undefined);
  }

  override canShrinkWithoutContext(value: unknown): value is T {
    const { shape, shapesOf } = this.#parts;
    try {
      return shapesOf(value).every((form) => shape.canShrinkWithoutContext(form));
    } catch {
      return false;
    }
  }

  override shrink(value: T, context: unknown): fc.Stream<fc.Value<T>> {
    return fc.stream(this.#simplerThan(value, context as fc.Value<Shape> | undefined));
  }

  /**
   * With context the shape goes on where it was and does not try again what failed before. After that everything is
   * tried afresh: what failed at first may succeed now, and a result is minimal only when a whole pass brings nothing.
   */
  *#simplerThan(value: T, context: fc.Value<Shape> | undefined): Generator<fc.Value<T>> {
    const { ofShape, isSimpler, isValid, keyOf } = this.#parts;
    const tried = new Set<string>();
    for (const candidate of this.#candidates(value, context)) {
      const smaller = ofShape(candidate.value);
      if (!isSimpler(smaller, value) || !isValid(smaller)) continue;
      const key = keyOf(smaller);
      if (tried.has(key)) continue;
      tried.add(key);
      yield new fc.Value(smaller, candidate);
    }
  }

  *#candidates(value: T, context: fc.Value<Shape> | undefined): Generator<fc.Value<Shape>> {
    const { shape, shapesOf, leapsFrom } = this.#parts;
    if (context !== undefined) yield* shape.shrink(context.value, context.context);
    for (const form of shapesOf(value)) {
      for (const leap of leapsFrom(form)) yield new fc.Value(leap, undefined);
      yield* shape.shrink(form, undefined);
    }
  }
}
