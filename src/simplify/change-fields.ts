/** Fields of steps that are no calls: what they weigh, and how they shrink (`src/case/steps/step-fields.ts`). */
import type { ChangeStep } from '../case/steps/kinds.ts';
import { fieldsOf } from '../case/steps/step-fields.ts';
import { between } from './edits.ts';

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
  for (const { name, plain, words: known } of fieldsOf(step.do)) {
    if (name === 'vcpu') continue;
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
  for (const { name, plain, words } of fieldsOf(step.do)) {
    if (name === 'vcpu') continue;
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
