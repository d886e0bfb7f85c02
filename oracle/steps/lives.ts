/** INIT and start-up IPIs come to a vCPU (`oracle/state/lives.ts`). */
import { sipiRules } from '../state/lives.ts';
import { initializedLapic } from '../state/machine.ts';
import type { StepModel } from './step-model.ts';

export const init: StepModel<'init'> = {
  rules: ['init'],
  // A hardware-disabled LAPIC does not get the message (kvm_apic_present). Others are software-disabled by it, so that
  // nothing is accepted that a halted vCPU would have to take.
  predict({ vcpu }, state) {
    const apic = state.apics[vcpu]!;
    if (apic.isHardwareEnabled) {
      state.lives.init(vcpu);
      state.setLapic(vcpu, { ...apic, isSoftwareEnabled: false }, initializedLapic(state.program.vcpus[vcpu]!));
    }
    return state.after('init');
  },
};

export const sipi: StepModel<'sipi'> = {
  rules: sipiRules,
  predict({ vcpu, page }, state) {
    const { rule, result } = state.lives.sipi(vcpu, page, state.apics[vcpu]!.isHardwareEnabled);
    return { ...state.after(rule), result };
  },
};
