/** Names of what decides a step where no list of rules does. */
import { sipiRules } from './state/lives.ts';
import { actKinds, vmmDeeds } from '../src/case/limits.ts';
import type { ProgramStep } from '../src/program/program.ts';

/** Whether HYPERCALL goes along. */
export const migrationRules = ['migrate', 'migrate-without-hypercall'] as const;

/**
 * By kind of step: KVM has no choice about these. A call that is not made is
 * one; which MSR writes it takes is decided in `msr.ts`.
 */
const rulesByKind = {
  call: ['no-hypercall-in-page'],
  run: ['run'],
  'set-apic': ['set-apic'],
  init: ['init'],
  sipi: sipiRules,
  migrate: migrationRules,
  vmm: vmmDeeds,
  act: actKinds,
  'write-msr': [],
  'read-msr': ['read-msr'],
} as const satisfies Readonly<Record<ProgramStep['kind'], readonly string[]>>;
export const stepRules: readonly string[] = Object.values(rulesByKind).flat();
