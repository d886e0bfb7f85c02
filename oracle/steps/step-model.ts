/** What the model knows of a kind of step. */
import type { ProgramOf, ProgramStep } from '../../src/program/program.ts';
import type { StepOutcome } from '../outcome.ts';
import type { State } from '../state/state.ts';

export interface StepModel<Kind extends ProgramStep['kind']> {
  /** Names of what decides a step where no list of rules does. */
  readonly rules: readonly string[];
  /** Does a step, whose vCPU has entered its guest if it does (`StepKind.enters`). */
  predict(step: ProgramOf<Kind>, state: State): StepOutcome;
}
