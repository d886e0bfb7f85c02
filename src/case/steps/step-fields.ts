/**
 * Fields of steps as their schemas declare them: what a new kind of step weighs, how its fields shrink and how they are
 * drawn follows from its declaration.
 */
import { z } from 'zod';
import { type Step, stepKinds } from './kinds.ts';

interface StepField {
  readonly name: string;
  /** Undefined where the field has no default. */
  readonly plain: unknown;
  /** Words that it can be, the plainest first; null where it is a number or a flag. */
  readonly words: readonly string[] | null;
}

/** By kind of step; `do` and `note` are not among them. */
const fields = Object.fromEntries(
  Object.entries(stepKinds).map(([kind, { schema }]) => [
    kind,
    Object.entries(schema.shape)
      .filter(([name]) => name !== 'do' && name !== 'note')
      .map(([name, type]) => describeField(name, type)),
  ]),
);

export function fieldsOf(kind: Step['do']): readonly StepField[] {
  return fields[kind]!;
}

function describeField(name: string, type: z.ZodType): StepField {
  const inner = type instanceof z.ZodDefault ? type.unwrap() : type;
  return {
    name,
    plain: type instanceof z.ZodDefault ? type.parse(undefined) : undefined,
    words: inner instanceof z.ZodEnum ? inner.options.map(String) : null,
  };
}
