/** The parked vCPUs take what is pending; in a concurrent program this is the fence of a phase. */
import { runsMeanwhile } from '../../src/case/limits.ts';
import { canTake } from '../state/machine.ts';
import type { State } from '../state/state.ts';
import type { StepModel } from './step-model.ts';

export const run: StepModel<'run'> = {
  rules: ['run'],
  predict(_step, state) {
    const before = state.lapics;
    const takers = takersOf(state);
    for (const position of takers) state.enter(position);
    for (const position of state.postures.keys()) state.forget(position);
    const outcome = state.after('run', state.take(takers));
    const leeway = state.phase?.leeway((position, vector) => {
      return takers.includes(position) && canTake(before[position]!, vector);
    });
    state.phase = null;
    return { ...outcome, leeway: leeway ?? null };
  },
};

/** Parked vCPUs whose LAPIC is not hardware-disabled (docs/semantics.md 5.5 and 5.6). */
function takersOf({ program, isConcurrent, initialized, apics }: State): number[] {
  return program.vcpus.flatMap((vcpu, position) => {
    const runs = vcpu.idle === 'parked' || (isConcurrent && runsMeanwhile(vcpu));
    return runs && !initialized.has(position) && apics[position]!.isHardwareEnabled ? [position] : [];
  });
}
