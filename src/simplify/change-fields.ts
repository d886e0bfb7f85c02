/**
 * Fields of steps that are no calls, by the schema of their kind: what a new kind of step weighs and how its fields shrink
 * follows from its declaration.
 */
import { z } from 'zod';
import { type ChangeStep, stepKinds } from '../case/steps/kinds.ts';
import { between } from './edits.ts';

interface Field {
  readonly name: string;
  /** Undefined where the field has no default. */
  readonly plain: unknown;
  /** Words that it can be, the plainest first; null where it is a number or a flag. */
  readonly words: readonly string[] | null;
}

/** Fields besides the vCPU, by kind of step. */
const fieldsOf = Object.fromEntries(
  Object.entries(stepKinds).map(([kind, { schema }]) => [
    kind,
    Object.entries(schema.shape)
      .filter(([name]) => !['do', 'vcpu', 'note'].includes(name))
      .map(([name, type]) => describeField(name, type)),
  ]),
);

function describeField(name: string, type: z.ZodType): Field {
  const inner = type instanceof z.ZodDefault ? type.unwrap() : type;
  return {
    name,
    plain: type instanceof z.ZodDefault ? type.parse(undefined) : undefined,
    words: inner instanceof z.ZodEnum ? inner.options.map(String) : null,
  };
}

/** What a step weighs besides being there. */
export interface ChangeWeight {
  /** Fields that have a default and not that. */
  readonly odd: number;
  readonly numbers: bigint;
  readonly vcpu: number;
  readonly words: number;
}

export function weighChange(step: ChangeStep): ChangeWeight {
  let [odd, words, numbers] = [0, 0, 0n];
  for (const { name, plain, words: known } of fieldsOf[step.do]!) {
    const value = valueOf(step, name);
    if (plain !== undefined && value !== plain) odd++;
    if (known !== null) words += known.indexOf(String(value));
    else numbers += BigInt(value as bigint | number | boolean);
  }
  return { odd, numbers, vcpu: 'vcpu' in step ? step.vcpu : 0, words };
}

/**
 * The step about the first vCPU, and with each field plainer: at its default, an earlier word, a smaller number. A word
 * that has no default says what the step does: it stays.
 */
export function* plainerChange(step: ChangeStep): Generator<ChangeStep> {
  if ('vcpu' in step) yield { ...step, vcpu: 0 };
  for (const { name, plain, words } of fieldsOf[step.do]!) {
    const value = valueOf(step, name);
    const change = (other: unknown): ChangeStep => ({ ...step, [name]: other });
    if (plain !== undefined) yield change(plain);
    if (words !== null && plain !== undefined) {
      for (const word of words.slice(0, words.indexOf(String(value)))) yield change(word);
    } else if (typeof value === 'number') for (const one of between(BigInt(value), 0n)) yield change(Number(one));
    else if (typeof value === 'bigint') for (const one of between(value, 0n)) yield change(one);
  }
}

function valueOf(step: ChangeStep, name: string): unknown {
  return (step as Record<string, unknown>)[name];
}
