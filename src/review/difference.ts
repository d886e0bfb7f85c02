/**
 * In what two runs of one case differ for the guest, and what kind of difference that is beside what each kernel's
 * contract says. Works on views, so that everything that is printed is also what is compared.
 */
import type { StepOutcome } from '../../oracle/outcome.ts';
import { isProblem, type Judgement, type Prepared } from '../campaign/judgement.ts';
import { type RunView, type StepView, viewObservation } from '../campaign/view.ts';
import type { Observation } from '../case/observation.ts';
import type { TargetFacts } from '../executor/executor.ts';

/**
 * `new`: only the second kernel leaves its contract. `gone`: only the first one does. `changed`: both do, in different
 * ways. `contract`: each does what its own contract says. `same`: the guest sees no difference, and a contract is left.
 */
export const groupKinds = ['new', 'gone', 'changed', 'contract', 'same'] as const;
export type GroupKind = (typeof groupKinds)[number];

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

/** One thing that the guest sees differently. */
export interface GuestDifference {
  /** Position of the step; null for the machine's set-up and for the end of the program. */
  readonly step: number | null;
  readonly vcpu: number | null;
  readonly what: string;
  readonly base: string;
  readonly kernel: string;
}

/** The kind of a pair, and the key by which pairs are grouped; null where there is nothing to tell. */
export function classify(pair: Pair): { kind: GroupKind; key: string } | null {
  const signatures = { base: signatureOf(pair.base.judgement), kernel: signatureOf(pair.kernel.judgement) };
  const differences = guestDifferences(pair);
  if (differences.length === 0) {
    if (signatures.base === null && signatures.kernel === null) return null;
    return { kind: 'same', key: `same ${signatures.base ?? '-'} ${signatures.kernel ?? '-'}` };
  }
  if (signatures.base === null && signatures.kernel === null) {
    return { kind: 'contract', key: `contract ${differenceSignature(pair, differences[0]!)}` };
  }
  const kind = signatures.base === null ? 'new' : signatures.kernel === null ? 'gone' : 'changed';
  return { kind, key: `${kind} ${signatures.base ?? '-'} ${signatures.kernel ?? '-'}` };
}

/** Everything that differs, in the order of the steps. */
export function guestDifferences({ base, kernel }: Pair): GuestDifference[] {
  if (base.observation === null || kernel.observation === null) {
    const texts = { base: describeFate(base), kernel: describeFate(kernel) };
    return texts.base === texts.kernel ? [] : [{ step: null, vcpu: null, what: 'kernel', ...texts }];
  }
  const views = { base: viewObservation(base.observation), kernel: viewObservation(kernel.observation) };
  return viewDifferences(views.base, views.kernel);
}

/** What became of a kernel: `runs`, or how it failed. */
export function describeFate({ judgement, observation }: Seen): string {
  if (observation !== null) return 'runs';
  return 'signature' in judgement ? `${judgement.class}: ${judgement.signature}` : judgement.class;
}

function viewDifferences(base: RunView, kernel: RunView): GuestDifference[] {
  const found: GuestDifference[] = [];
  type Value = Parameters<typeof textOf>[0];
  const compare = (step: number | null, vcpu: number | null, what: string, left: Value, right: Value): void => {
    const texts = { base: textOf(left), kernel: textOf(right) };
    if (texts.base !== texts.kernel) found.push({ step, vcpu, what, ...texts });
  };
  base.vpIndexes.forEach((vpIndex, vcpu) => compare(null, vcpu, 'VP index', vpIndex, kernel.vpIndexes[vcpu]));
  for (let step = 0; step < Math.max(base.steps.length, kernel.steps.length); step++) {
    const [left, right] = [base.steps[step], kernel.steps[step]];
    compare(step, null, 'status', statusOf(left), statusOf(right));
    compare(step, null, 'registers', left?.registers, right?.registers);
    left?.vcpus.forEach(({ arrivals, lapic }, vcpu) => {
      const other = right?.vcpus[vcpu];
      compare(step, vcpu, 'handlers', arrivals, other?.arrivals);
      compare(step, vcpu, 'LAPIC', lapic, other?.lapic);
    });
  }
  compare(null, null, 'program', base.stopped ?? 'runs to its end', kernel.stopped ?? 'runs to its end');
  // At the end LAPICs say something new only where they were not read after every step.
  if (found.every(({ what }) => what !== 'LAPIC')) {
    base.lapics.forEach((lapic, vcpu) => compare(null, vcpu, 'LAPIC', lapic, kernel.lapics[vcpu]));
  }
  compare(null, null, 'memory', base.memory, kernel.memory);
  return found;
}

/** `0x3 HV_STATUS_INVALID_HYPERCALL_INPUT`, an exception, who else answered, or that the step did not run. */
export function statusOf(step: StepView | undefined): string {
  if (step === undefined) return 'not run';
  const { exception, exit, result, status } = step;
  if (exception !== null) return exception;
  if (result === null) return exit ?? '-';
  const left = exit === null ? '' : `exit ${exit}, `;
  return status === result ? `${left}${result}` : `${left}${result} ${status}`;
}

function textOf(value: string | number | readonly string[] | null | undefined): string {
  if (value === undefined || value === null) return '-';
  if (typeof value === 'object') return value.length === 0 ? 'unchanged' : value.join('; ');
  return `${value}`;
}

function signatureOf(judgement: Judgement): string | null {
  return isProblem(judgement) ? `${judgement.class}:${judgement.signature}` : null;
}

/** Names the first difference where both contracts are kept: by what each contract's rule is, and what shows it. */
function differenceSignature({ base, kernel }: Pair, { step, what }: GuestDifference): string {
  if (step === null) return what;
  const rules = [base, kernel].map(({ prepared }) => ruleOf(prepared.outcome.steps[step]));
  return `${[...new Set(rules)].join(' -> ')}/${what}`;
}

function ruleOf(step: StepOutcome | undefined): string {
  return step?.rule ?? 'none';
}
