/** The VM goes on in a fresh one (`oracle/migration.ts` says what of a LAPIC that changes). */
import type { StepModel } from './step-model.ts';

/** Whether HYPERCALL goes along. */
export const migrationRules = ['migrate', 'migrate-without-hypercall'] as const;

export const migrate: StepModel<'migrate'> = {
  rules: migrationRules,
  // Restoring HYPERCALL writes the page anew. What has halted is in its guest again at once.
  predict(_step, state) {
    if (state.contract.restoresPprEarly) state.lapics = state.restored.restore(state.lapics, state.apics);
    for (const [position, { idle }] of state.program.vcpus.entries()) if (idle === 'halted') state.enter(position);
    const rule = migrationRules[state.msrs.migrate() ? 1 : 0];
    return { ...state.after(rule), writes: state.writePage() };
  },
};
