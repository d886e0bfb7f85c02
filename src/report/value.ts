/** A campaign as one JSON value; every other form of the report is a rendering of it. */
import { kvmRules } from '../../oracle/call/rules.ts';
import { type Finding, findingToJson } from '../campaign/findings/finding.ts';
import { bucketKind, type BucketKind } from '../durable/bucket.ts';
import { type CampaignBucket, combineJournals, type CurvePoint } from '../durable/combine.ts';
import { dimensions } from '../campaign/coverage.ts';
import type { Tier } from '../program/tier.ts';
import { callsByTier, pairKey } from '../durable/coverage.ts';
import { readJournals } from '../durable/journal/folder.ts';
import { findKnown, type KnownFinding } from '../durable/known.ts';
import type { CampaignIdentity } from '../durable/journal/record.ts';
import { formatHash } from '../durable/journal/span.ts';
import type { JournalState } from '../durable/journal/state.ts';
import { readTrace } from '../durable/line-coverage.ts';
import { countedFiles, coverageOf, type FileCoverage } from '../counts/coverage-report.ts';

export const reportSchemaName = 'hvipi/campaign/1';

export interface ReportBucket {
  readonly id: string;
  readonly kind: BucketKind;
  readonly class: Finding['class'];
  readonly signature: string;
  readonly cases: number;
  readonly firstSeen: string;
  readonly lastSeen: string;
  /** `again/times` of fresh runs, or null when it was not tried. */
  readonly replayRate: string | null;
  /** Commit, release and reason of a known finding. */
  readonly known: KnownFinding | null;
  /** The smallest case's finding, as it is saved; null when there is none yet. */
  readonly finding: ReturnType<typeof findingToJson> | null;
  /** The same, for renderings that show expected against observed. */
  readonly file: string | null;
}

export interface ReportShard {
  readonly index: number;
  readonly run: string;
  readonly seconds: number;
  readonly cases: number;
  readonly hypercalls: number;
  readonly startedAt: string;
  readonly lastAt: string;
  readonly opens: number;
  readonly deaths: number;
  readonly ending: string | null;
}

export interface CampaignValue {
  readonly schema: typeof reportSchemaName;
  readonly folder: string;
  readonly campaign: Omit<CampaignIdentity, 'shard'> & { readonly shards: number };
  readonly kernelRelease: string | null;
  readonly cpu: string | null;
  readonly shards: readonly ReportShard[];
  readonly missingShards: readonly number[];
  readonly batches: number;
  readonly cases: number;
  readonly corpusCases: number;
  readonly hypercalls: number;
  /** Work of all shards together, and of the one that worked longest. */
  readonly seconds: number;
  readonly longestSeconds: number;
  readonly hypercallsPerSecond: number;
  readonly bootSeconds: number;
  readonly streamHash: string;
  readonly memory: { readonly firstBytes: number; readonly lastBytes: number; readonly maxBytes: number };
  readonly deaths: {
    readonly warning: number;
    readonly oops: number;
    readonly hang: number;
    readonly infrastructure: number;
    readonly last: readonly JournalState['deaths'][number][];
  };
  readonly troubles: readonly { readonly at: string; readonly what: string; readonly message: string }[];
  /** Calls by the tier of their case. */
  readonly tiers: Readonly<Record<Tier, number>>;
  readonly rules: { readonly hit: readonly string[]; readonly total: number };
  readonly coverage: {
    readonly pairs: number;
    /** Calls by rule (row) and value of a dimension (column). */
    readonly columns: readonly { readonly dimension: string; readonly value: string }[];
    readonly rows: readonly { readonly rule: string; readonly counts: readonly number[] }[];
    /** Seconds of work at which it last grew. */
    readonly grewAt: number;
  };
  /** Deliveries by bank and bit of the VP index, of those that there were. */
  readonly deliveries: readonly { readonly bank: number; readonly bit: number; readonly count: number }[];
  readonly curve: readonly CurvePoint[];
  /** What ran of KVM's own source; null where that was not counted. */
  readonly kvmLines: readonly FileCoverage[] | null;
  readonly deviations: readonly { readonly name: string; readonly cases: number }[];
  readonly buckets: readonly ReportBucket[];
}

const lastDeaths = 20;
const vpsPerBank = 64;
/** More points than this are no better to look at. */
const curvePoints = 100;

/**
 * Reads a campaign directory.
 *
 * @throws UsageError when it is none, or is damaged.
 */
export function campaignValue(folder: string, known: readonly KnownFinding[]): CampaignValue {
  const combined = combineJournals(folder, readJournals(folder));
  const { campaign, shards, hypercalls, seconds } = combined;
  const { shard, ...identity } = campaign;
  const present = new Set(shards.map((state) => state.campaign.shard.index));
  const memory = combined.curve.map(({ memoryBytes }) => memoryBytes);
  const trace = readTrace(folder);
  const longestSeconds = Math.max(...shards.map((state) => state.seconds));
  return {
    schema: reportSchemaName,
    folder,
    campaign: { ...identity, shards: shard.count },
    kernelRelease: shards[0]!.kernelRelease,
    cpu: shards[0]!.cpu,
    shards: shards.map(shardValue),
    missingShards: Array.from({ length: shard.count }, (_, index) => index).filter((index) => !present.has(index)),
    batches: combined.batches,
    cases: combined.cases,
    corpusCases: combined.corpusCases,
    hypercalls,
    seconds,
    longestSeconds,
    hypercallsPerSecond: longestSeconds > 0 ? Math.round(hypercalls / longestSeconds) : 0,
    bootSeconds: shards[0]!.bootSeconds,
    streamHash: formatHash(combined.hash),
    memory: { firstBytes: memory[0] ?? 0, lastBytes: memory.at(-1) ?? 0, maxBytes: Math.max(0, ...memory) },
    deaths: deathsValue(combined.deaths),
    troubles: combined.journals.flatMap(({ troubles }) =>
      troubles.map(({ at, what, message }) => ({ at, what, message })),
    ),
    tiers: callsByTier(combined.pairs),
    rules: rulesValue(combined.pairs),
    coverage: {
      pairs: combined.pairs.size,
      ...heatMap(combined.pairs),
      grewAt: Math.max(...shards.map(({ grewAt }) => grewAt)),
    },
    deliveries: [...combined.deliveries]
      .map(([vp, count]) => ({ bank: Math.floor(Number(vp) / vpsPerBank), bit: Number(vp) % vpsPerBank, count }))
      .sort((left, right) => left.bank - right.bank || left.bit - right.bit),
    curve: thinned(combined.curve),
    kvmLines: trace === null ? null : coverageOf(trace, countedFiles),
    deviations: [...combined.deviations].map(([name, cases]) => ({ name, cases })),
    buckets: combined.buckets.map((bucket) => bucketValue(bucket, findKnown(known, bucket))),
  };
}

function shardValue(state: JournalState): ReportShard {
  const { run, seconds, cases, hypercalls, startedAt, lastAt, opens, deaths, ending, campaign } = state;
  const { index } = campaign.shard;
  return { index, run, seconds, cases, hypercalls, startedAt, lastAt, opens, deaths: deaths.length, ending };
}

function bucketValue(bucket: CampaignBucket, known: KnownFinding | null): ReportBucket {
  const { id, signature, hits, firstAt, lastAt, finding, file, stable } = bucket;
  return {
    id,
    kind: bucketKind(bucket, known),
    class: bucket.class,
    signature,
    cases: hits,
    firstSeen: firstAt,
    lastSeen: lastAt,
    replayRate: finding === null || !stable ? null : finding.confirmed,
    known,
    finding: finding === null ? null : findingToJson(finding),
    file,
  };
}

function deathsValue(deaths: readonly JournalState['deaths'][number][]): CampaignValue['deaths'] {
  const count = (kind: string): number => deaths.filter((death) => death.kind === kind).length;
  return {
    warning: count('warning'),
    oops: count('oops'),
    hang: count('hang'),
    infrastructure: count('infrastructure'),
    last: deaths.slice(-lastDeaths),
  };
}

function rulesValue(pairs: ReadonlyMap<string, number>): CampaignValue['rules'] {
  const seen = new Set([...pairs.keys()].map((key) => key.split('|')[0]!));
  const hit = kvmRules.map(({ name }) => name).filter((name) => seen.has(name));
  return { hit, total: kvmRules.length };
}

function heatMap(pairs: ReadonlyMap<string, number>): Pick<CampaignValue['coverage'], 'columns' | 'rows'> {
  const columns = dimensions.flatMap(({ name, values }) => values.map((value) => ({ dimension: name, value })));
  const rows = kvmRules.map(({ name }) => ({
    rule: name,
    counts: columns.map(({ dimension, value }) => pairs.get(pairKey(name, dimension, value)) ?? 0),
  }));
  return { columns, rows };
}

/**
 * Points that are far enough from each other, and the last one. A shard tells of a span at its end: between two points
 * that stand close together, of two shards, lies all that one of them did in half a minute.
 */
export function thinned(curve: readonly CurvePoint[]): CurvePoint[] {
  const apart = (curve.at(-1)?.seconds ?? 0) / curvePoints;
  const kept: CurvePoint[] = [];
  for (const point of curve) if (point.seconds - (kept.at(-1)?.seconds ?? 0) >= apart) kept.push(point);
  const last = curve.at(-1);
  if (last !== undefined && kept.at(-1) !== last) kept.splice(-1, 1, last);
  return kept;
}
