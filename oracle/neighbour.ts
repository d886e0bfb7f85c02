/** What the model predicts for a second VM beside the one under test. */
import type { LapicChanges } from '../src/program/observation.ts';
import { neighbourProgram } from '../src/program/neighbour.ts';
import type { Program } from '../src/program/program.ts';
import type { Outcome } from './outcome.ts';

/**
 * Its LAPICs at the end: what comes of it alone. The static keys of KVM are no more than shortcuts for what each vCPU and VM says
 * itself (`lapic_in_kernel`, `kvm_apic_hw_enabled`, `kvm_apic_sw_enabled`, `kvm_xen_hypercall_enabled`; docs/neighbours.md).
 */
export function neighbourLapics(
  neighbour: Program['machine']['neighbour'],
  predictAlone: (program: Program) => Outcome,
): readonly LapicChanges[] | null {
  if (neighbour?.life !== 'beside') return null;
  const { lapics, steps } = predictAlone(neighbourProgram(neighbour));
  return steps.at(-1)?.lapics ?? lapics;
}
