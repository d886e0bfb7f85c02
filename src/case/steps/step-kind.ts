/** What a kind of step is: everything about it that only its own fields decide. */
import type { z } from 'zod';
import type { CaseIssue } from '../issue.ts';
import type { apicChanges } from '../limits.ts';
import type { Machine } from '../machine.ts';

/** Where a step is checked. */
export interface StepContext {
  readonly machine: Machine;
  /** vCPUs that run no more. */
  readonly initialized: Set<number>;
  /** What the APIC of each vCPU has become. A kind whose steps change that says so here. */
  readonly apics: (typeof apicChanges)[number][];
  /** vCPUs that send anywhere in the case. */
  readonly senders: ReadonlySet<number>;
  readonly at: (field: string, message: string) => CaseIssue;
}

export interface StepKind<S> {
  readonly schema: z.ZodType<S>;
  /** The step with every field at its default. */
  readonly plain: S;
  /** The field that says which vCPU a step is about; null for a step about all of them. */
  readonly actor: 'sender' | 'vcpu' | null;
  /** Whether it needs a LAPIC in the kernel. */
  readonly needsLapic: boolean;
  /** Whether a machine may have halted vCPUs. */
  readonly allowsHalted: boolean;
  /** Whether parked vCPUs take interrupts in it, so that handlers are observed. */
  readonly takesInterrupts: boolean;
  /** Whether its vCPU is in its guest meanwhile and comes back. */
  readonly enters: (step: S) => boolean;
  /** Whether its vCPU runs no more behind it. */
  readonly stops: boolean;
  /** What its result is called; null for a step that has none, and for a call, which has a status or RAX. */
  readonly result: 'taken' | 'value' | null;
  /** What the last step of the kind says of later calls, as a dimension of model coverage; null where it says nothing. */
  readonly mark: Mark<S> | null;
  /** What it is in a concurrent case; null: there is none. */
  readonly concurrent: ConcurrentKind<S> | null;
  /** What is wrong with a step whose vCPU is there. Notes in the context what it does. */
  check(step: S, context: StepContext): Iterable<CaseIssue>;
  /** A sentence. */
  describe(step: S): string;
}

interface Mark<S> {
  readonly name: string;
  /** What a call has that has no such step before it. */
  readonly none: string;
  readonly values: readonly string[];
  readonly of: (step: S) => string;
}

/** What holds for a step of which nothing else is said: the host changes something, while no vCPU of it runs. */
export const hostStep = {
  actor: null,
  needsLapic: false,
  allowsHalted: true,
  takesInterrupts: false,
  enters: () => false,
  stops: false,
  result: null,
  mark: null,
  concurrent: null,
  check: () => [],
} as const;

interface ConcurrentKind<S> {
  /** Whether its place among the calls decides who is meant: then no case with the steps in order has the same outcome. */
  readonly needsOrder: boolean;
  check(step: S, context: StepContext): Iterable<CaseIssue>;
}
