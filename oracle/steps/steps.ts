/** What the model makes of each kind of step. */
import { kindOfChange } from '../../src/case/steps/kinds.ts';
import type { ProgramStep } from '../../src/program/program.ts';
import type { StepOutcome } from '../outcome.ts';
import type { State } from '../state/state.ts';
import { act } from './act.ts';
import { call } from './call.ts';
import { init, sipi } from './lives.ts';
import { migrate } from './migrate.ts';
import { readMsr, writeMsr } from './msrs.ts';
import { run } from './run.ts';
import { setApic } from './set-apic.ts';
import type { StepModel } from './step-model.ts';
import { vmm } from './vmm.ts';

const models: { readonly [Kind in ProgramStep['kind']]: StepModel<Kind> } = {
  call,
  run,
  'set-apic': setApic,
  init,
  sipi,
  migrate,
  vmm,
  act,
  'write-msr': writeMsr,
  'read-msr': readMsr,
};

/** Names of what decides a step where no list of rules does. */
export const stepRules: readonly string[] = Object.values(models).flatMap(({ rules }) => rules);

export function predictStep(step: ProgramStep, index: number, state: State): StepOutcome {
  state.begin(index);
  if (step.kind !== 'call' && 'vcpu' in step) {
    const { enters, stops } = kindOfChange(step);
    if (enters(step)) state.enter(step.vcpu);
    if (stops) state.initialized.add(step.vcpu);
  }
  return (models[step.kind] as StepModel<ProgramStep['kind']>).predict(step, state);
}
