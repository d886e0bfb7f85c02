/**
 * PPR where the guest writes TPR without an exit (`hasLazyPpr` of the contract). KVM updates the word in its page only
 * when it needs PPR; a guest that reads PPR gets what TPR and ISR give at that moment (kvm_lapic_reg_read). The
 * observed page is read in the same way. What handlers of a guest read is compared as it is.
 */
import { APIC_ISR, APIC_PROCPRI, APIC_TASKPRI } from '../../src/abi/lapic.ts';
import type { LapicChanges, Observation } from '../../src/program/observation.ts';
import { vectorsOf } from '../state/machine.ts';

export function withPprAsRead(observation: Observation): Observation {
  const steps = observation.steps.map((step) => ({ ...step, lapics: step.lapics?.map(asRead) ?? null }));
  return { ...observation, steps, lapics: observation.lapics.map(asRead) };
}

/** __apic_update_ppr: TPR, or the class of the highest vector in service where that is above TPR's. */
function asRead(lapic: LapicChanges): LapicChanges {
  const tpr = lapic.get(APIC_TASKPRI) ?? 0;
  const [inService = 0] = vectorsOf(lapic, APIC_ISR);
  const ppr = tpr >>> 4 >= inService >>> 4 ? tpr : inService & 0xf0;
  if (ppr === (lapic.get(APIC_PROCPRI) ?? 0)) return lapic;
  const read = new Map(lapic);
  if (ppr === 0) read.delete(APIC_PROCPRI);
  else read.set(APIC_PROCPRI, ppr);
  return read;
}
