/**
 * What is still pending at the fence of a concurrent program. All senders are done by then. So a halted vCPU that
 * sleeps although it can take a vector was not woken (kvm_vcpu_wake_up), and one that spins with interrupts on was not
 * kicked out of the guest (kvm_vcpu_kick). What TPR or ISR blocks may stay pending.
 */
import type { Leftover } from '../../src/program/observation.ts';
import { takeableVectors } from '../state/machine.ts';
import { formatVectors } from '../names.ts';
import type { Difference } from '../outcome.ts';

export interface LeftoverDifference {
  readonly kind: 'lost-wake-up' | 'lost-kick' | 'stuck';
  readonly difference: Difference;
}

export function leftoverDifferences(step: number, leftovers: readonly Leftover[]): LeftoverDifference[] {
  return leftovers.flatMap(({ vcpu, wait, states }): LeftoverDifference[] => {
    const place = { step, vcpu };
    const takeable = takeableVectors(states[vcpu]!.lapic);
    const pending = formatVectors(takeable);
    if (wait === 'stuck') {
      const texts = { expected: 'it comes to the fence', observed: `it does not, with ${pending} to take` };
      return [{ kind: 'stuck', difference: { ...place, what: 'fence', ...texts } }];
    }
    if (takeable.length === 0) return [];
    if (wait === 'asleep') {
      const texts = { expected: `woken by ${pending}`, observed: `sleeps in hlt with ${pending} pending` };
      return [{ kind: 'lost-wake-up', difference: { ...place, what: 'wake-up', ...texts } }];
    }
    const texts = { expected: `kicked out of the guest for ${pending}`, observed: `goes on with ${pending} pending` };
    return [{ kind: 'lost-kick', difference: { ...place, what: 'kick', ...texts } }];
  });
}
