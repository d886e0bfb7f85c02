/** Campaign figures as words: shared by the screen, the plain line and `status`. Pure. */
import { kvmRules } from '../../../oracle/call/rules.ts';
import { formatCount, formatTable } from '../../campaign/text/table.ts';
import { bucketKind, type BucketKind } from '../bucket.ts';
import { callsByTier } from '../coverage.ts';
import { findKnown, type KnownFinding } from '../known.ts';
import type { Limits } from '../journal/record.ts';
import type { Bucket, JournalState } from '../journal/state.ts';

/** What is shown of a campaign that runs, or ran. */
export interface Figures {
  readonly state: JournalState;
  readonly limits: Limits;
  readonly known: readonly KnownFinding[];
  readonly seconds: number;
  readonly hypercalls: number;
  readonly cases: number;
  /** Hypercalls a second lately. */
  readonly rate: number;
  readonly status: string;
}

const shownBuckets = 8;

export function kindsOf(state: JournalState, known: readonly KnownFinding[]): Map<BucketKind, Bucket[]> {
  const kinds = new Map<BucketKind, Bucket[]>([
    ['finding', []],
    ['unstable', []],
    ['known', []],
    ['trouble', []],
  ]);
  for (const bucket of state.buckets.values()) kinds.get(bucketKind(bucket, findKnown(known, bucket)))!.push(bucket);
  return kinds;
}

/** One line for a log. */
export function plainLine(figures: Figures): string {
  const { state, known, seconds, hypercalls, cases, rate } = figures;
  const kinds = kindsOf(state, known);
  const rest = leftText(figures);
  return [
    formatSpan(seconds),
    `${formatCount(cases)} cases`,
    `${formatCount(hypercalls)} hypercalls`,
    `${formatCount(rate)}/s`,
    `coverage ${state.pairs.size} pairs, ${state.deliveries.size} VPs`,
    `findings ${kinds.get('finding')!.length}`,
    `restarts ${state.deaths.length}`,
    ...(rest === null ? [] : [rest]),
  ].join(' | ');
}

/** The screen: lines without line ends, not wider than `columns`. */
export function screenLines(figures: Figures, columns: number): string[] {
  const { state, known, seconds, hypercalls, rate, status } = figures;
  const { campaign } = state;
  const kinds = kindsOf(state, known);
  const average = seconds > 0 ? hypercalls / seconds : 0;
  const rules = rulesHit(state);
  const failures = state.deaths.filter(({ kind }) => kind !== 'infrastructure').length;
  const rows = [
    ['campaign', `seed ${campaign.seed}, ${targetText(state)}, shard ${campaign.shard.index}/${campaign.shard.count}`],
    ['status', `${status}; ${formatSpan(seconds)} of work${prefixed(', ', leftText(figures))}`],
    [
      'rates',
      `${formatCount(rate)} hypercalls/s now, ${formatCount(average)} on average; ${formatCount(hypercalls)} in all`,
    ],
    [
      'cases',
      `corpus ${formatCount(state.corpusCases)}, generated ${formatCount(state.cases - state.corpusCases)} in ${formatCount(state.batches)} batches`,
    ],
    [
      'tiers',
      Object.entries(callsByTier(state.pairs))
        .map(([tier, calls]) => `${tier} ${formatCount(calls)} calls`)
        .join(', '),
    ],
    [
      'coverage',
      `rules ${rules.length}/${kvmRules.length}, ${state.pairs.size} (rule, dimension) pairs, ${formatCount(state.deliveries.size)} VP indexes; grew ${formatSpan(seconds - state.grewAt)} ago`,
    ],
    [
      'lab',
      `restarts ${state.deaths.length}: kernel failures ${failures}, own failures ${state.deaths.length - failures}; waits ${state.troubles.length}`,
    ],
    ['buckets', [...kinds].map(([kind, buckets]) => `${kind} ${buckets.length}`).join(', ')],
  ];
  const shown = [...kinds].flatMap(([kind, buckets]) => buckets.map((bucket) => ({ kind, bucket })));
  const lines = [...formatTable(rows).split('\n').filter(Boolean), ...shown.slice(0, shownBuckets).map(bucketLine)];
  if (shown.length > shownBuckets) lines.push(`  and ${shown.length - shownBuckets} more`);
  return lines.map((line) => (line.length > columns ? `${line.slice(0, columns - 1)}…` : line));
}

export function rulesHit(state: Pick<JournalState, 'pairs'>): string[] {
  const hit = new Set([...state.pairs.keys()].map((key) => key.split('|')[0]!));
  return kvmRules.map(({ name }) => name).filter((name) => hit.has(name));
}

export function targetText({ campaign, kernelRelease }: Pick<JournalState, 'campaign' | 'kernelRelease'>): string {
  const kernel = kernelRelease === null || kernelRelease === campaign.target ? '' : ` ${kernelRelease}`;
  const modules = campaign.kvmModules === null ? '' : ` with ${campaign.kvmModules}`;
  const options = campaign.kvmOptions === null ? '' : ` with ${campaign.kvmOptions}`;
  return `${campaign.target}${kernel}${modules}${options}`;
}

/** `45 s`, `12 m 03 s`, `5 h 07 m`, `2 d 03 h`. */
export function formatSpan(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number): string => `${value}`.padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} m`;
  return `${Math.floor(whole / 86_400)} d ${two(Math.floor((whole % 86_400) / 3600))} h`;
}

function leftText({ limits, seconds, state }: Figures): string | null {
  if (limits.seconds !== null) return `${formatSpan(limits.seconds - seconds)} left`;
  const { runs } = state.campaign;
  return runs === null ? null : `of ${formatCount(runs)} generated cases`;
}

function bucketLine({ kind, bucket }: { kind: BucketKind; bucket: Bucket }): string {
  const note = kind === 'finding' ? '' : ` (${kind})`;
  return `  ${bucket.id}  ${formatCount(bucket.hits)}x  ${bucket.class} ${bucket.signature}${note}`;
}

function prefixed(prefix: string, text: string | null): string {
  return text === null ? '' : `${prefix}${text}`;
}
