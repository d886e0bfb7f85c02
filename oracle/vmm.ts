/**
 * What a VMM does that no guest is to notice changes nothing. But who sets out for its guest looks for what it can take, and has PPR
 * computed for that. Source: vcpu_enter_guest, kvm_apic_has_interrupt.
 */
import type { Program, ProgramVmm } from '../src/program/program.ts';
import type { Posture } from './receivers/receiver.ts';

/** Positions of the vCPUs whose KVM_RUN a step begins. Those that run in a race do so all the time. */
export function whoSetsOut(
  { does }: ProgramVmm,
  { machine, vcpus }: Program,
  initialized: ReadonlySet<number>,
  postures: readonly Posture[],
): number[] {
  if (does !== 'interrupt' || machine.schedule !== null) return [];
  return vcpus.flatMap(({ idle }, position) => {
    const runs = (idle === 'parked' || idle === 'halted') && !initialized.has(position);
    return runs && postures[position]!.waitsAt !== 'open' ? [position] : [];
  });
}
