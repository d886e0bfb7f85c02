/** What the model says of a program, and what comes of comparing that with an observation. */
import type { Arrivals, LapicChanges } from '../src/case/observation.ts';

/** What the model predicts for one step. `rule` is the name of the rule that decided. */
export interface StepOutcome {
  readonly rule: string;
  /** The 64-bit result register, or null for a `run` step and for a call that faults. */
  readonly result: bigint | null;
  /** Vector of the exception that the call raises at the hypercall instruction (RIP not advanced), or null. */
  readonly exception: number | null;
  /** Positions of the vCPUs to which the call delivers; empty for a `run` step. */
  readonly receivers: readonly number[];
  /** Handlers that run during this step, for each vCPU, in order. */
  readonly arrivals: Arrivals;
  /** LAPIC of each vCPU after the step, as differences from its set-up. */
  readonly lapics: readonly LapicChanges[];
}

/** What the model predicts for a program. */
export interface Outcome {
  readonly vpIndexes: readonly number[];
  readonly steps: readonly StepOutcome[];
}

/** One thing that is not as predicted, ready to be printed. */
export interface Difference {
  /** Position of the step, or null where the program as a whole is meant. */
  readonly step: number | null;
  /** Position of the vCPU, or null. */
  readonly vcpu: number | null;
  /** What differs: `result`, `exception`, `register rbx`, `IRR`, `arrivals`, `memory 0xc0000`, `VP index`, `stopped`... */
  readonly what: string;
  readonly expected: string;
  readonly observed: string;
}

export type Verdict =
  | { readonly kind: 'match' }
  | {
      readonly kind: 'divergence';
      /** `rule/kind`: the rule that decided the first step that differs, and what kind of difference it is. */
      readonly signature: string;
      readonly differences: readonly Difference[];
    };
