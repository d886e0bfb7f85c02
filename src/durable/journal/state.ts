/** What a journal says, line after line: the same fold serves the running campaign, `status` and `report`. */
import { increment } from '../coverage.ts';
import type { BucketKey } from '../bucket.ts';
import type { CampaignIdentity, EndingName, JournalRecord, Limits, RecordOf } from './record.ts';
import { addHashes } from './span.ts';
import type { Position } from './stream.ts';

/** Problems of one signature in one journal. */
export interface Bucket extends BucketKey {
  readonly id: string;
  /** Cases that showed it; at least 1, also where it was seen in a batch and in no case alone. */
  hits: number;
  readonly firstAt: string;
  lastAt: string;
  /** The case that showed it first, and where it comes from. */
  readonly case: string;
  readonly path: string;
  /** Whether it has been shrunk and confirmed. */
  isWhole: boolean;
}

/** An executor that died. */
export interface Death {
  readonly at: string;
  readonly kind: RecordOf<'death'>['kind'];
  readonly signature: string;
  readonly console: string | null;
}

/** A span as a point of the curves of a report. */
export interface Point {
  readonly seconds: number;
  readonly hypercalls: number;
  readonly memoryBytes: number;
  /** Keys of the pairs that this span covered. */
  readonly pairs: readonly string[];
}

export class JournalState implements Position {
  readonly run: string;
  readonly campaign: CampaignIdentity;
  readonly limits: Limits;
  readonly startedAt: string;
  lastAt: string;
  kernelRelease: string | null = null;
  cpu: string | null = null;
  /** How often the campaign was started or resumed. */
  opens = 0;
  bootSeconds = 0;
  seconds = 0;
  nextCorpus = 0;
  nextBatch = 0;
  batches = 0;
  cases = 0;
  corpusCases = 0;
  hypercalls = 0;
  hash = 0n;
  readonly pairs = new Map<string, number>();
  readonly deliveries = new Map<string, number>();
  readonly deviations = new Map<string, number>();
  readonly buckets = new Map<string, Bucket>();
  readonly deaths: Death[] = [];
  readonly troubles: RecordOf<'trouble'>[] = [];
  readonly points: Point[] = [];
  /** Seconds of work at which coverage last grew. */
  grewAt = 0;
  /** How the last process ended; null while it runs, and when it was killed. */
  ending: EndingName | null = null;
  error: string | null = null;
  readonly #hits = new Map<string, number>();

  constructor(start: RecordOf<'start'>) {
    this.run = start.run;
    this.campaign = start.campaign;
    this.limits = start.limits;
    this.startedAt = start.at;
    this.lastAt = start.at;
  }

  apply(record: JournalRecord): void {
    this.lastAt = record.at;
    switch (record.type) {
      case 'start':
        break;
      case 'open':
        this.kernelRelease ??= record.kernelRelease;
        this.cpu ??= record.cpu;
        this.bootSeconds = record.bootSeconds;
        this.opens++;
        this.ending = null;
        this.error = null;
        break;
      case 'span':
        this.#applySpan(record);
        break;
      case 'sighting':
      case 'finding':
        this.#applyProblem(record);
        break;
      case 'death':
        this.deaths.push(record);
        break;
      case 'trouble':
        this.troubles.push(record);
        break;
      case 'end':
        this.ending = record.ending;
        this.error = record.error;
        break;
    }
  }

  #applySpan(span: RecordOf<'span'>): void {
    const covered = this.pairs.size + this.deliveries.size;
    this.seconds = span.seconds;
    this.nextCorpus = span.nextCorpus;
    this.nextBatch = span.nextBatch;
    this.batches += span.batches;
    this.cases += span.cases;
    this.corpusCases += span.corpusCases;
    this.hypercalls += span.hypercalls;
    this.hash = addHashes(this.hash, span.hash);
    addCounts(this.pairs, span.pairs);
    addCounts(this.deliveries, span.deliveries);
    addCounts(this.deviations, span.deviations);
    if (this.pairs.size + this.deliveries.size > covered) this.grewAt = span.seconds;
    const { seconds, hypercalls, memoryBytes, pairs } = span;
    this.points.push({ seconds, hypercalls, memoryBytes, pairs: Object.keys(pairs) });
    for (const [id, hits] of Object.entries(span.hits)) {
      increment(this.#hits, id, hits);
      const bucket = this.buckets.get(id);
      if (bucket === undefined) continue;
      bucket.hits = this.#hits.get(id)!;
      bucket.lastAt = span.at;
    }
  }

  #applyProblem(record: RecordOf<'sighting'> | RecordOf<'finding'>): void {
    const isWhole = record.type === 'finding' && record.isWhole;
    const known = this.buckets.get(record.bucket);
    if (known !== undefined) {
      known.isWhole ||= isWhole;
      return;
    }
    this.buckets.set(record.bucket, {
      id: record.bucket,
      class: record.class,
      signature: record.signature,
      stable: record.stable,
      hits: 1,
      firstAt: record.at,
      lastAt: record.at,
      case: record.case,
      path: record.type === 'sighting' ? record.path : '',
      isWhole,
    });
  }
}

/** @throws Error when the records do not begin with a start. */
export function foldJournal(records: readonly JournalRecord[]): JournalState {
  const [start] = records;
  if (start?.type !== 'start') throw new Error('a journal begins with a start record');
  const state = new JournalState(start);
  for (const record of records) state.apply(record);
  return state;
}

export function addCounts(sums: Map<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [key, count] of Object.entries(counts)) increment(sums, key, count);
}
