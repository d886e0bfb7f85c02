/** What a campaign comes to, without what depends on when it was interrupted, how it was split and how fast it was. */
import { combineJournals } from '../combine.ts';
import { readJournals } from '../journal/folder.ts';
import { formatHash } from '../journal/span.ts';

export interface Comparable {
  readonly batches: number;
  readonly cases: number;
  readonly corpusCases: number;
  readonly hypercalls: number;
  readonly hash: string;
  readonly pairs: Readonly<Record<string, number>>;
  readonly deliveries: Readonly<Record<string, number>>;
  /** Cases by signature. */
  readonly hits: Readonly<Record<string, number>>;
}

/**
 * Two campaigns with the same seed and runs are equal in this, by `isDeepStrictEqual` or a test's `toEqual`.
 *
 * @throws UsageError when the directory has no campaign.
 */
export function comparable(folder: string): Comparable {
  const combined = combineJournals(folder, readJournals(folder));
  const { batches, cases, corpusCases, hypercalls, hash, pairs, deliveries, buckets } = combined;
  return {
    batches,
    cases,
    corpusCases,
    hypercalls,
    hash: formatHash(hash),
    pairs: Object.fromEntries(pairs),
    deliveries: Object.fromEntries(deliveries),
    hits: Object.fromEntries(buckets.map(({ class: kind, signature, hits }) => [`${kind} ${signature}`, hits])),
  };
}
