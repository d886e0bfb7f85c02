/** The order of groups: the gravest first, and of these the one with the smallest case. */
import { compareWeights, weigh } from '../../simplify/weight.ts';
import type { Group } from '../compare.ts';
import type { GroupKind } from '../difference.ts';

const rankOfKind: Record<GroupKind, number> = {
  new: 1,
  makes: 2,
  changed: 3,
  contract: 4,
  gone: 5,
  mends: 6,
  same: 7,
};
/** What does not repeat alone comes last: nobody can try it. */
const unrepeatable = 8;

/** A kernel that fails where the other one does not comes before everything else. */
function rankOf({ kind, isRepeatable, pair: { base, kernel } }: Group): number {
  if (!isRepeatable) return unrepeatable;
  if (base.observation !== null && kernel.observation === null) return 0;
  return rankOfKind[kind];
}

export function byGravity(groups: readonly Group[]): Group[] {
  const ranked = groups.map((group) => ({ group, rank: rankOf(group), weight: weigh(group.value) }));
  return ranked
    .sort((left, right) => left.rank - right.rank || compareWeights(left.weight, right.weight))
    .map(({ group }) => group);
}
