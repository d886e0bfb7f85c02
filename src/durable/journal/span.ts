/** What happened in the batches since the last line of the journal that committed some. */
import { createHash } from 'node:crypto';
import { caseId } from '../../case/case.ts';
import { rounded } from '../../campaign/findings/pursuit.ts';
import { hypercallsOf, isProblem, type Judgement, type Prepared } from '../../campaign/judgement.ts';
import { bucketId } from '../bucket.ts';
import { addCoverage, increment } from '../coverage.ts';
import type { RecordOf } from './record.ts';
import type { PlacedBatch, Position } from './stream.ts';

const hashModulus = 1n << 128n;

/** Counts of whole batches; a batch under way is counted apart until it is whole. */
export class Span {
  #batches = 0;
  #cases = 0;
  #corpusCases = 0;
  #hypercalls = 0;
  #hash = 0n;
  readonly #pairs = new Map<string, number>();
  readonly #deliveries = new Map<string, number>();
  readonly #hits = new Map<string, number>();
  readonly #deviations = new Map<string, number>();
  #open = new OpenBatch();

  get isEmpty(): boolean {
    return this.#batches === 0;
  }

  /** Takes a case of the batch under way. */
  add(prepared: Prepared, verdict: string, judgement: Judgement): void {
    this.#open.add(prepared, verdict, judgement);
  }

  /** The batch under way is whole. */
  finish({ name, number }: PlacedBatch): void {
    const { cases, hypercalls, hits, deviations, hash } = this.#open;
    this.#batches++;
    this.#cases += cases.length;
    if (number === null) this.#corpusCases += cases.length;
    this.#hypercalls += hypercalls;
    this.#hash = addHashes(this.#hash, `0x${hash.update(`batch ${name}\n`).digest('hex').slice(0, 32)}`);
    for (const prepared of cases) addCoverage(prepared, this.#pairs, this.#deliveries);
    for (const bucket of hits) increment(this.#hits, bucket);
    for (const deviation of deviations) increment(this.#deviations, deviation);
    this.#open = new OpenBatch();
  }

  toRecord({ nextCorpus, nextBatch }: Position, seconds: number): Omit<RecordOf<'span'>, 'seq' | 'at'> {
    return {
      type: 'span',
      seconds: rounded(seconds),
      nextCorpus,
      nextBatch,
      batches: this.#batches,
      cases: this.#cases,
      corpusCases: this.#corpusCases,
      hypercalls: this.#hypercalls,
      hash: formatHash(this.#hash),
      pairs: Object.fromEntries(this.#pairs),
      deliveries: Object.fromEntries(this.#deliveries),
      hits: Object.fromEntries(this.#hits),
      deviations: Object.fromEntries(this.#deviations),
      memoryBytes: process.memoryUsage.rss(),
    };
  }
}

/** A sum that does not depend on the order, so that shards and resumes come to the same hash. */
export function addHashes(sum: bigint, hash: string): bigint {
  return (sum + BigInt(hash)) % hashModulus;
}

export function formatHash(hash: bigint): string {
  return `0x${hash.toString(16).padStart(32, '0')}`;
}

class OpenBatch {
  readonly cases: Prepared[] = [];
  readonly hits: string[] = [];
  readonly deviations: string[] = [];
  readonly hash = createHash('sha256');
  hypercalls = 0;

  add(prepared: Prepared, verdict: string, judgement: Judgement): void {
    this.cases.push(prepared);
    this.hypercalls += hypercallsOf(prepared.value);
    const signature = judgement.class === 'match' ? '' : ` ${judgement.signature}`;
    this.hash.update(`${caseId(prepared.value)} ${verdict}${signature}\n`);
    if (isProblem(judgement)) {
      this.hits.push(
        bucketId({ class: judgement.class, signature: judgement.signature, stable: verdict !== 'unstable' }),
      );
    } else if (judgement.class === 'deviation') this.deviations.push(...judgement.names);
  }
}
