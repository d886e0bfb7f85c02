/** A vCPU does something as a receiver. */
import { actKinds } from '../../src/case/steps/act.ts';
import { perform } from '../receivers/receiver.ts';
import type { StepModel } from './step-model.ts';

export const act: StepModel<'act'> = {
  rules: actKinds,
  predict(step, state) {
    const { vcpu } = step;
    const before = { lapic: state.lapics[vcpu]!, posture: state.postures[vcpu]!, setup: state.setups[vcpu]! };
    const { posture, ...taken } = perform(step, before, state.model);
    state.postures = state.postures.with(vcpu, posture);
    return state.after(step.act, state.arrive([[vcpu, taken]]));
  },
};
