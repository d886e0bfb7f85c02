/**
 * What a migration changes. Ideally nothing: KVM's own ioctls save the state and restore it. Source:
 * kvm_apic_set_state.
 */
import { APIC_ISR, APIC_PROCPRI, APIC_TASKPRI } from '../src/abi/lapic.ts';
import type { LapicChanges } from '../src/program/observation.ts';
import { type Apic, priorityClass, vectorsOf, withWord } from './state/machine.ts';

/**
 * The vCPUs that have not been in their guest since they were restored. KVM computes PPR before it has counted what is in
 * service, so that PPR of a fresh vCPU follows from TPR alone (kvm_apic_set_state calls apic_update_ppr before
 * kvm_apic_update_apicv). Of a LAPIC that is off nobody sees PPR.
 */
export class RestoredVcpus {
  readonly #positions = new Set<number>();

  /** Restores all; their pages. */
  restore(lapics: readonly LapicChanges[], apics: readonly Apic[]): LapicChanges[] {
    return lapics.map((lapic, position) => {
      if (vectorsOf(lapic, APIC_ISR).length === 0 || !apics[position]!.isHardwareEnabled) return lapic;
      this.#positions.add(position);
      return withWord(lapic, APIC_PROCPRI, 0, lapic.get(APIC_TASKPRI) ?? 0);
    });
  }

  /** One of them enters its guest: KVM looks for what it can take, by a PPR that it computes anew (kvm_apic_has_interrupt). */
  enter(position: number, lapics: readonly LapicChanges[]): readonly LapicChanges[] {
    if (!this.#positions.delete(position)) return lapics;
    const lapic = lapics[position]!;
    return lapics.with(position, withWord(lapic, APIC_PROCPRI, 0, priorityClass(lapic) << 4));
  }
}
