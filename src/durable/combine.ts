/**
 * All journals of a directory as one campaign. A shard that was started anew has several journals; the one that got
 * farthest counts, so that no batch counts twice, and what the others found is kept. Every choice is a maximum or a
 * union, so it does not matter in which order, or how often, directories are merged.
 */
import { formatCase, type Case } from '../case/case.ts';
import type { Finding } from '../campaign/findings/finding.ts';
import { compareWeights, weigh } from '../simplify/weight.ts';
import { UsageError } from '../errors.ts';
import { increment } from './coverage.ts';
import { type NamedJournal, readFindings } from './journal/folder.ts';
import { differences } from './identity.ts';
import type { CampaignIdentity } from './journal/record.ts';
import { addHashes } from './journal/span.ts';
import { type Bucket, type Death, foldJournal, type JournalState } from './journal/state.ts';

/** A bucket of the whole campaign, with its smallest finding; null when nothing was saved. */
export interface CampaignBucket extends Bucket {
  readonly finding: Finding | null;
  readonly file: string | null;
}

/** Totals along the seconds of work that each shard has done. */
export interface CurvePoint {
  readonly seconds: number;
  readonly hypercalls: number;
  readonly pairs: number;
  /** The largest of the shards' processes. */
  readonly memoryBytes: number;
}

export interface Campaign {
  /** With the shard of the first journal; `shard.count` is everybody's. */
  readonly campaign: CampaignIdentity;
  /** The journal that counts of each shard, by shard. */
  readonly shards: readonly JournalState[];
  /** All journals. */
  readonly journals: readonly JournalState[];
  readonly batches: number;
  readonly cases: number;
  readonly corpusCases: number;
  readonly hypercalls: number;
  readonly seconds: number;
  readonly hash: bigint;
  readonly pairs: ReadonlyMap<string, number>;
  readonly deliveries: ReadonlyMap<string, number>;
  readonly deviations: ReadonlyMap<string, number>;
  readonly buckets: readonly CampaignBucket[];
  readonly deaths: readonly Death[];
  readonly curve: readonly CurvePoint[];
}

/**
 * @throws UsageError when the journals are of different campaigns.
 */
export function combineJournals(folder: string, journals: readonly NamedJournal[]): Campaign {
  const states = journals.map(({ records }) => foldJournal(records));
  const [{ campaign }] = states as [JournalState];
  for (const [index, state] of states.entries()) {
    const wrong = differences(campaign, state.campaign, { shard: false });
    if (wrong.length > 0) {
      throw new UsageError(
        `${journals[index]!.file}: is of another campaign than ${journals[0]!.file}: ${wrong.join('; ')}`,
      );
    }
  }
  const shards = farthest(states);
  const sum = (of: (state: JournalState) => number): number => shards.reduce((total, state) => total + of(state), 0);
  return {
    campaign,
    shards,
    journals: states,
    batches: sum(({ batches }) => batches),
    cases: sum(({ cases }) => cases),
    corpusCases: sum(({ corpusCases }) => corpusCases),
    hypercalls: sum(({ hypercalls }) => hypercalls),
    seconds: sum(({ seconds }) => seconds),
    hash: shards.reduce((total, { hash }) => addHashes(total, `0x${hash.toString(16)}`), 0n),
    pairs: sumCounts(shards.map(({ pairs }) => pairs)),
    deliveries: sumCounts(shards.map(({ deliveries }) => deliveries)),
    deviations: sumCounts(shards.map(({ deviations }) => deviations)),
    buckets: combineBuckets(folder, states, shards),
    deaths: states.flatMap(({ deaths }) => deaths).sort((left, right) => compare(left.at, right.at)),
    curve: curveOf(shards),
  };
}

/** Of each shard the journal with the most cases; of equal ones the first by name. */
function farthest(states: readonly JournalState[]): JournalState[] {
  const best = new Map<number, JournalState>();
  for (const state of states) {
    const other = best.get(state.campaign.shard.index);
    const isBetter =
      other === undefined || state.cases > other.cases || (state.cases === other.cases && state.run < other.run);
    if (isBetter) best.set(state.campaign.shard.index, state);
  }
  return [...best].sort(([left], [right]) => left - right).map(([, state]) => state);
}

function combineBuckets(
  folder: string,
  states: readonly JournalState[],
  shards: readonly JournalState[],
): CampaignBucket[] {
  const smallest = smallestFindings(folder);
  const buckets = new Map<string, Bucket>();
  for (const state of states) {
    for (const bucket of state.buckets.values()) {
      const hits = shards.includes(state) ? bucket.hits : 0;
      const other = buckets.get(bucket.id);
      buckets.set(bucket.id, other === undefined ? { ...bucket, hits } : mergeBuckets(other, { ...bucket, hits }));
    }
  }
  return [...buckets.values()]
    .map((bucket) => {
      const { finding = null, file = null } = smallest.get(bucket.id) ?? {};
      return { ...bucket, hits: Math.max(1, bucket.hits), finding, file };
    })
    .sort((left, right) => compare(left.firstAt, right.firstAt) || compare(left.id, right.id));
}

function mergeBuckets(left: Bucket, right: Bucket): Bucket {
  const first = compare(left.firstAt, right.firstAt) || compare(left.case, right.case);
  return {
    ...(first <= 0 ? left : right),
    hits: left.hits + right.hits,
    lastAt: compare(left.lastAt, right.lastAt) >= 0 ? left.lastAt : right.lastAt,
    isWhole: left.isWhole || right.isWhole,
  };
}

type SavedFinding = ReturnType<typeof readFindings>[number];

/** The finding with the smallest case of each bucket. */
export function smallestFindings(folder: string): ReadonlyMap<string, SavedFinding> {
  const smallest = new Map<string, SavedFinding>();
  for (const saved of readFindings(folder)) {
    const other = smallest.get(saved.bucket);
    if (other === undefined || isSmaller(saved, other)) smallest.set(saved.bucket, saved);
  }
  return smallest;
}

/** By what a person prefers to read, and where that is equal by anything that is not a matter of luck. */
function isSmaller(left: SavedFinding, right: SavedFinding): boolean {
  const order = compareWeights(weigh(left.finding.case), weigh(right.finding.case));
  if (order !== 0) return order < 0;
  const texts = [left, right].map(({ finding, file }) => `${formatCase(bare(finding.case))} ${file.split('/').at(-1)}`);
  return texts[0]! < texts[1]!;
}

function bare(value: Case): Case {
  return { ...value, why: '', origin: null };
}

function sumCounts(maps: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const counts of maps) for (const [key, count] of counts) increment(sums, key, count);
  return sums;
}

/** Shards work side by side: their points are put in order of the seconds that each has worked. */
function curveOf(shards: readonly JournalState[]): CurvePoint[] {
  const points = shards.flatMap((state) => state.points).sort((left, right) => left.seconds - right.seconds);
  const pairs = new Set<string>();
  let hypercalls = 0;
  return points.map((point) => {
    hypercalls += point.hypercalls;
    for (const pair of point.pairs) pairs.add(pair);
    return { seconds: point.seconds, hypercalls, pairs: pairs.size, memoryBytes: point.memoryBytes };
  });
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
