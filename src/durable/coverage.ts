/**
 * What a campaign has covered of the model, as counts that can be added up: which rule decided under which
 * circumstances (`src/campaign/coverage.ts`), and to which VP index it delivered.
 */
import { circumstancesOf, dimensions } from '../campaign/coverage.ts';
import type { Prepared } from '../campaign/judgement.ts';
import { type Tier, tiers } from '../program/tier.ts';

/** The key of a (rule, dimension) pair in journals. */
export function pairKey(rule: string, dimension: string, value: string): string {
  return `${rule}|${dimension}=${value}`;
}

/** Adds what a case covers to counts of pairs and of deliveries by VP index. */
export function addCoverage(
  { program, outcome }: Prepared,
  pairs: Map<string, number>,
  deliveries: Map<string, number>,
): void {
  for (const [index, { rule, receivers, vpIndexes }] of outcome.steps.entries()) {
    for (const [place, value] of circumstancesOf(program, outcome, index).entries()) {
      increment(pairs, pairKey(rule, dimensions[place]!.name, value));
    }
    for (const position of receivers) increment(deliveries, `${vpIndexes[position]}`);
  }
}

/** The (rule, dimension) pairs of one case. */
export function pairsOf(prepared: Prepared): ReadonlySet<string> {
  const pairs = new Map<string, number>();
  addCoverage(prepared, pairs, new Map());
  return new Set(pairs.keys());
}

/** Calls by tier. */
export function callsByTier(pairs: ReadonlyMap<string, number>): Readonly<Record<Tier, number>> {
  const sums = { pending: 0, counted: 0, concurrent: 0 };
  for (const [key, count] of pairs) {
    const tier = tiers.find((one) => key.endsWith(pairKey('', 'tier', one)));
    if (tier !== undefined) sums[tier] += count;
  }
  return sums;
}

export function increment(counts: Map<string, number>, key: string, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
