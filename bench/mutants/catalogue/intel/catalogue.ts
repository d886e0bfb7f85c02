/** Mutants of what KVM does with VMX and APICv, for the lab with a CPU of Intel's; in the order in which they are run. */
import type { Mutant } from '../../mutant.ts';
import { intelEntryMutants } from './entry.ts';
import { intelEquivalentMutants } from './equivalent.ts';
import { intelLapicMutants } from './lapic.ts';
import { intelVmxMutants } from './vmx.ts';

export const intelCatalogue: readonly Mutant[] = [
  ...intelLapicMutants,
  ...intelVmxMutants,
  ...intelEntryMutants,
  ...intelEquivalentMutants,
];
