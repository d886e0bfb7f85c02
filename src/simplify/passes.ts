/** All passes, the coarse ones first: what is gone need not be made simpler. */
import type { Case, Step } from '../case/case.ts';
import { isCall } from '../case/steps/kinds.ts';
import { plainerChange } from './change-fields.ts';
import { type Pass, withSteps } from './edits.ts';
import { machinePasses, vpIndexPasses } from './reductions.ts';
import { actPasses } from './reductions-acts.ts';
import { setApicPasses, writeMsrPasses } from './reductions-changes.ts';
import { fieldPasses } from './reductions-fields.ts';
import { presetPasses, runPasses } from './reductions-vectors.ts';

/** What a kind of step has besides the fields of its declaration, where it has any; both calls share theirs. */
const stepPasses = {
  act: actPasses,
  'write-msr': writeMsrPasses,
  'set-apic': setApicPasses,
  run: runPasses,
  'send-ipi': fieldPasses,
} satisfies Partial<Record<Step['do'], readonly Pass[]>>;

/** Fields of steps that are no calls, one by one. */
function* plainerChanges(value: Case): Generator<Case> {
  for (const [index, step] of value.steps.entries()) {
    if (isCall(step)) continue;
    const change = (other: Step): Case => withSteps(value, value.steps.with(index, other));
    for (const other of plainerChange(step)) yield change(other);
  }
}

export const passes: readonly Pass[] = [
  ...machinePasses,
  ...presetPasses,
  ...Object.values(stepPasses).flat(),
  plainerChanges,
  ...vpIndexPasses,
];
