/**
 * What a VMM does that no guest is to notice changes nothing. But who sets out for its guest looks for what it can take, and has PPR
 * computed for that. Source: vcpu_enter_guest, kvm_apic_has_interrupt.
 */
import { vmmDeeds } from '../../src/case/steps/vmm.ts';
import type { State } from '../state/state.ts';
import type { StepModel } from './step-model.ts';

export const vmm: StepModel<'vmm'> = {
  rules: vmmDeeds,
  predict({ does }, state) {
    // Those that run in a race set out all the time.
    if (does === 'interrupt' && !state.isConcurrent) for (const position of runnersOf(state)) state.enter(position);
    return state.after(does);
  },
};

function runnersOf({ program, initialized, postures }: State): number[] {
  return program.vcpus.flatMap(({ idle }, position) => {
    const runs = (idle === 'parked' || idle === 'halted') && !initialized.has(position);
    return runs && postures[position]!.waitsAt !== 'open' ? [position] : [];
  });
}
