/**
 * The difference between two runs of one case for the guest, and its kind by each kernel's contract. It works on
 * views, so that what is printed is what is compared.
 */
import type { StepOutcome } from '../../oracle/outcome.ts';
import { isProblem, type Judgement } from '../campaign/judgement.ts';
import { viewObservation } from '../campaign/text/view.ts';
import { contractCause } from './contract-cause.ts';
import { deviationChange, describeDeviationChange } from './deviation-change.ts';
import { type GuestDifference, viewDifferences } from './guest-difference.ts';
import type { Pair, Seen } from './pair.ts';

export type { Pair, Seen } from './pair.ts';

/**
 * `new`: only the second kernel leaves its contract. `gone`: only the first one does. `changed`: both do, in different
 * ways. `contract`: each does what its own contract says. `mends` and `makes`: what differs is a listed deviation from
 * TLFS, which only the first or only the second kernel has. `same`: the guest sees no difference, and a contract is left.
 */
export const groupKinds = ['new', 'makes', 'changed', 'contract', 'gone', 'mends', 'same'] as const;
export type GroupKind = (typeof groupKinds)[number];

/** The kind of a pair, and the key by which pairs are grouped; null where there is nothing to tell. */
export function classify(pair: Pair): { kind: GroupKind; key: string } | null {
  const signatures = { base: signatureOf(pair.base.judgement), kernel: signatureOf(pair.kernel.judgement) };
  const differences = guestDifferences(pair);
  if (differences.length === 0) {
    if (signatures.base === null && signatures.kernel === null) return null;
    return { kind: 'same', key: `same ${signatures.base ?? '-'}, ${signatures.kernel ?? '-'}` };
  }
  if (signatures.base === null && signatures.kernel === null) {
    const [first] = differences as [GuestDifference, ...GuestDifference[]];
    const cause = contractCause(pair.base.prepared.program, pair.base.facts, pair.kernel.facts, first);
    return { kind: 'contract', key: `contract ${cause ?? differenceSignature(pair, first)}` };
  }
  const { base, kernel } = signatures;
  const deviation = deviationChange(pair, differences[0]!.step);
  if (deviation !== null) return { kind: deviation.verb, key: describeDeviationChange(deviation) };
  if (base === null) return { kind: 'new', key: `new ${kernel}` };
  return kernel === null
    ? { kind: 'gone', key: `gone ${base}` }
    : { kind: 'changed', key: `changed ${base} -> ${kernel}` };
}

/** What differs where a kernel did not survive. */
export const kernelFate = 'kernel';

/** Everything that differs, in the order of the steps. */
export function guestDifferences({ base, kernel }: Pair): GuestDifference[] {
  if (base.observation === null || kernel.observation === null) {
    const texts = { base: describeFate(base), kernel: describeFate(kernel) };
    return texts.base === texts.kernel ? [] : [{ step: null, vcpu: null, what: kernelFate, ...texts }];
  }
  const views = { base: viewObservation(base.observation), kernel: viewObservation(kernel.observation) };
  return viewDifferences(views.base, views.kernel);
}

/** What became of a kernel: `runs`, or how it failed. */
export function describeFate({ judgement, observation }: Seen): string {
  if (observation !== null) return 'runs';
  return 'signature' in judgement ? `${judgement.class}: ${judgement.signature}` : judgement.class;
}

function signatureOf(judgement: Judgement): string | null {
  return isProblem(judgement) ? `${judgement.class}:${judgement.signature}` : null;
}

/** Names the first difference where no point of the contracts does: by what each one's rule is, and what shows it. */
function differenceSignature({ base, kernel }: Pair, { step, what }: GuestDifference): string {
  if (step === null) return what;
  const rules = [base, kernel].map(({ prepared }) => ruleOf(prepared.outcome.steps[step]));
  return `${[...new Set(rules)].join(' -> ')}/${what}`;
}

function ruleOf(step: StepOutcome | undefined): string {
  return step?.rule ?? 'none';
}
