/** What two kernels made of one case. */
import type { Judgement, Prepared } from '../campaign/judgement.ts';
import type { TargetFacts } from '../executor/facts.ts';
import type { Observation } from '../program/observation.ts';

/** What one kernel made of a case. */
export interface Seen {
  readonly prepared: Prepared;
  /** Of the kernel. */
  readonly facts: TargetFacts;
  readonly judgement: Judgement;
  /** Null when the kernel failed. */
  readonly observation: Observation | null;
}

export interface Pair {
  readonly base: Seen;
  readonly kernel: Seen;
}
