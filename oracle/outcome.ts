/** What the model says of a program, and what comes of comparing that with an observation. */
import type { Arrivals, CallExit, LapicChanges, MemoryChange, RegisterChange } from '../src/program/observation.ts';
import { hypercallBytes, type MemoryWrite } from '../src/program/program.ts';
import type { Call } from './call/decode.ts';
import type { Apic } from './state/machine.ts';
import type { Posture } from './receivers/receiver.ts';

/**
 * What an interleaving may do beyond the fewest deliveries, which are the `arrivals` of the same step: each vector at
 * least once and at most as often as it was sent, and nothing that was not sent.
 */
export interface Leeway {
  /** How often a vector's handler runs at most; 0 for those that are not here. */
  readonly most: ReadonlyMap<number, number>;
  /** Vectors that may not have been sent to this vCPU at all, because its VP index changed meanwhile. */
  readonly maybe: readonly number[];
  /** Those of which one was pending already, so that it arrives whether or not it was sent again. */
  readonly maybeAgain: readonly number[];
  /** Whether the handlers run in the order of their priority, because all was pending before the first ran. */
  readonly isOrdered: boolean;
}

/** What the model predicts for one step. `rule` is the name of the rule that decided. */
export interface StepOutcome {
  readonly rule: string;
  /** RAX after a call, null where it faults or is not made; 0 or 1 for an MSR write; null for other steps. */
  readonly result: bigint | null;
  /**
   * Vector of the exception that the call raises, or null: at the hypercall instruction (RIP not advanced), or, beside a result,
   * as a trap right behind it.
   */
  readonly exception: number | null;
  readonly exit: CallExit | null;
  /** Registers besides the result register that change. */
  readonly registers: readonly RegisterChange[];
  /** The call as KVM decodes it; null for a step that is none, and for a call that is not made. */
  readonly call: Call | null;
  /** VP index of each vCPU, during a call and after any other step. */
  readonly vpIndexes: readonly number[];
  /** What KVM writes to guest memory during the step. */
  readonly writes: readonly MemoryWrite[];
  /** Positions of the vCPUs to which the call delivers; empty for a `run` step. */
  readonly receivers: readonly number[];
  /** Handlers that run during this step, for each vCPU, in order. */
  readonly arrivals: Arrivals;
  /** PPR when each of them began; empty for a vCPU that does not log it. */
  readonly priorities: Arrivals;
  /** Of the `run` step of a concurrent program, what else is permitted of each vCPU; null where `arrivals` is exact. */
  readonly leeway: readonly Leeway[] | null;
  /** LAPIC of each vCPU after the step, as differences from its set-up. */
  readonly lapics: readonly LapicChanges[];
  /** Local APIC of each vCPU after the step. */
  readonly apics: readonly Apic[];
  /** What each vCPU is in the middle of after the step. */
  readonly postures: readonly Posture[];
}

/** Where the exception of a step is raised, from the hypercall instruction on. */
export function ripOffsetOf({ result, exception }: Pick<StepOutcome, 'result' | 'exception'>): number {
  return exception !== null && result !== null ? hypercallBytes : 0;
}

/** What the model predicts for a program. */
export interface Outcome {
  /** VP indexes and LAPICs with which the program starts. */
  readonly lapics: readonly LapicChanges[];
  readonly vpIndexes: readonly number[];
  readonly steps: readonly StepOutcome[];
  /** See `Contract.hasLazyPpr`. */
  readonly hasLazyPpr: boolean;
  /** LAPICs at the end of a second VM that lives beside; null where none does. */
  readonly neighbour: readonly LapicChanges[] | null;
  /** Guest memory at the end that is not what the host put there: what KVM wrote, in whole words. */
  readonly memory: readonly MemoryChange[];
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
