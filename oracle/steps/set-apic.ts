/** The host enables or disables a local APIC. */
import { vcpuIdOf } from '../../src/case/vcpus/vcpu-id.ts';
import { changedApic, withApic } from '../state/machine.ts';
import type { StepModel } from './step-model.ts';

export const setApic: StepModel<'set-apic'> = {
  rules: ['set-apic'],
  predict({ vcpu, apic: change }, state) {
    const setup = state.program.vcpus[vcpu]!;
    // Its LAPIC is set once more, and what is in service has been counted by now.
    state.enter(vcpu);
    const apic = changedApic(state.apics[vcpu]!, change);
    const id = { id: vcpuIdOf(setup, vcpu), isWide: state.hasWideIds };
    state.setLapic(vcpu, apic, withApic(state.lapics[vcpu]!, setup, id, apic));
    return state.after('set-apic');
  },
};
