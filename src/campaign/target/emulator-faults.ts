/** Keeps cases away from the faults of the emulator (`src/lab/emulator/faults.ts`). */
import type { Case } from '../../case/case.ts';
import type { TargetFacts } from '../../executor/facts.ts';
import { emulatorTitles } from '../../lab/emulator/emulator.ts';
import { type EmulatorFault, emulatorFaults } from '../../lab/emulator/faults.ts';
import type { Batch } from '../stream/batches.ts';

type Facts = Pick<TargetFacts, 'emulator'>;

/** Why a case is not run there, or null. */
export function faultMet(value: Case, facts: Facts): string | null {
  const fault = faultsOf(facts).find(({ instead }) => value.steps.some((step) => instead(step) !== null));
  return fault === undefined ? null : `it meets a fault of the emulator: ${describeFault(fault, facts)}`;
}

/** `QEMU 7.2.22 keeps ... (shadow-kept-over-vmrun); 10.0 is right`. */
export function describeFault({ name, does, until, emulator: of }: EmulatorFault, { emulator }: Facts): string {
  const right = until === null ? '' : `; ${until} is right`;
  return `${emulatorTitles[of]} ${emulator?.version} ${does} (${name})${right}`;
}

/** A batch with other steps instead of those that meet a fault, and the faults that they met. */
export interface Detour {
  readonly batch: Batch;
  readonly met: readonly EmulatorFault[];
}

/** The batch itself where nothing of it meets a fault. */
export function aroundFaults(batch: Batch, facts: Facts): Detour {
  const met = new Set<EmulatorFault>();
  const around = (value: Case, fault: EmulatorFault): Case => {
    if (!value.steps.some((step) => fault.instead(step) !== null)) return value;
    met.add(fault);
    return { ...value, steps: value.steps.map((step) => fault.instead(step) ?? step) };
  };
  const faults = faultsOf(facts);
  if (faults.length === 0) return { batch, met: [] };
  const cases = batch.cases.map((value) => faults.reduce(around, value));
  return met.size === 0 ? { batch, met: [] } : { batch: { ...batch, cases }, met: [...met] };
}

function faultsOf({ emulator }: Facts): readonly EmulatorFault[] {
  if (emulator === null || emulator.faults.length === 0) return [];
  return emulatorFaults.filter(({ name }) => emulator.faults.includes(name));
}
