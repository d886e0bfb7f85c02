/** MSRs are written and read; what decides a write is an ordered list of rules of its own (`oracle/msr.ts`). */
import type { StepModel } from './step-model.ts';

export const writeMsr: StepModel<'write-msr'> = {
  rules: [],
  predict(step, state) {
    const { vcpu } = step;
    const { name, effect, taken } = state.msrs.write(step);
    if (effect === 'guest-os-id') state.plainCallers.length = 0;
    if (effect === 'sint') {
      state.setups = state.setups.with(vcpu, { ...state.setups[vcpu]!, autoEoi: state.msrs.autoEoi(vcpu) });
    }
    const writes = effect === 'page' ? state.writePage() : [];
    return { ...state.after(name), result: taken ? 1n : 0n, writes };
  },
};

export const readMsr: StepModel<'read-msr'> = {
  rules: ['read-msr'],
  predict: (step, state) => ({
    ...state.after('read-msr'),
    result: state.msrs.read(step, state.apics[step.vcpu]!),
  }),
};
