/** A comparison in short: counts, the JSON value of `compare --json`, and the exit code. */
import { rounded } from '../../campaign/findings/pursuit.ts';
import { formatCount } from '../../campaign/text/table.ts';
import { viewObservation, viewOutcome } from '../../campaign/text/view.ts';
import { toJson } from '../../case/case.ts';
import type { Comparison, Group } from '../compare.ts';
import { groupKinds, guestDifferences, type Seen } from '../difference.ts';
import { formatOfferDifference } from '../offer/offer-difference.ts';
import type { SideBySide } from '../side-by-side.ts';

/** Groups in which the guest sees a difference. */
export function visibleGroups({ groups }: Pick<Comparison, 'groups'>): Group[] {
  return groups.filter(({ kind }) => kind !== 'same');
}

/** What `compare` and `review` judge by: groups, and what the kernels offer at the start where that was read. */
type Judged = Pick<Comparison, 'groups'> & Partial<Pick<SideBySide, 'offers'>>;

/** Whether a guest sees a difference, in a case or before one runs. */
export function isDifferent(comparison: Judged): boolean {
  return visibleGroups(comparison).length + (comparison.offers?.length ?? 0) > 0;
}

/** 5 when only the second kernel fails, 1 when a guest sees a difference, else 0. */
export function exitCodeOfComparison(comparison: Judged): number {
  const visible = visibleGroups(comparison);
  if (visible.some(({ pair }) => pair.base.observation !== null && pair.kernel.observation === null)) return 5;
  return isDifferent(comparison) ? 1 : 0;
}

/** The counts, a line each. */
export function formatCounts(comparison: Comparison & Partial<Pick<SideBySide, 'offers'>>): string[] {
  const { cases, hypercalls, seconds, groups, unstable, interrupted } = comparison;
  const counts = groupKinds.map((kind) => `${groups.filter((group) => group.kind === kind).length} ${kind}`);
  const offers = comparison.offers ?? [];
  const visible = visibleGroups(comparison).length + offers.length;
  return [
    `cases      ${formatCount(cases)}, ${formatCount(hypercalls)} hypercalls on each kernel in ${seconds.toFixed(1)} s`,
    `groups     ${counts.join(', ')}`,
    ...offers.map((offer) => `offers     ${formatOfferDifference(offer, { base: 'base', kernel: 'kernel' })}`),
    ...(unstable === 0 ? [] : [`unstable   ${unstable} cases differed in a batch once, and not again`]),
    ...(interrupted ? ['ended      interrupted'] : []),
    visible === 0
      ? 'result     no change seen'
      : `result     ${visible} ${visible === 1 ? 'difference' : 'differences'} for a guest`,
  ];
}

/** The part of `--json` that `compare` and `review` share; `files` are the saved cases by the groups' keys. */
export function comparisonToJson(comparison: SideBySide, files: ReadonlyMap<string, string>): object {
  const { base, kernel, cpu, offers, cases, hypercalls, seconds, groups, unstable, interrupted } = comparison;
  return {
    target: { base, kernel, cpu },
    offers,
    cases,
    hypercalls,
    seconds: rounded(seconds),
    unstable,
    interrupted,
    groups: groups.map((group) => ({
      kind: group.kind,
      key: group.key,
      cases: group.cases,
      confirmed: group.confirmed,
      path: group.path,
      foundAfter: rounded(group.foundAfter),
      file: files.get(group.key) ?? null,
      case: toJson(group.value),
      differences: guestDifferences(group.pair),
      base: seenToJson(group.pair.base),
      kernel: seenToJson(group.pair.kernel),
    })),
  };
}

function seenToJson({ prepared, judgement, observation }: Seen): object {
  return {
    class: judgement.class,
    signature: 'signature' in judgement ? judgement.signature : null,
    console: 'console' in judgement ? judgement.console : null,
    expected: viewOutcome(prepared.outcome),
    observed: observation === null ? null : viewObservation(observation),
  };
}
