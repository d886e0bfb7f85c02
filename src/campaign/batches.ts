/** The stream of cases: the corpus first, then generated batches, each drawn from the campaign's seed and its number. */
import { drawBatch } from '../../generators/batch.ts';
import type { Case } from '../case/case.ts';
import type { CorpusEntry } from './corpus.ts';

/** Cases that go to the executor in one piece: large enough to hide the way there, small enough to repeat. */
export const batchSize = 64;

/** Where a case of the stream comes from. */
export interface Place {
  /** `batch:index` of a generated case, or the file of a saved one. */
  readonly path: string;
  /** What draws the case again, with fast-check's shrinking around it; null for a saved case. */
  readonly drawn: { readonly batch: number; readonly index: number } | null;
}

export interface Batch {
  /** Number of a generated batch; null for cases of the corpus. */
  readonly number: number | null;
  readonly cases: readonly Case[];
  placeOf(index: number): Place;
}

export interface StreamOptions {
  readonly seed: string;
  readonly fromBatch: number;
  readonly corpus: readonly CorpusEntry[];
  /** How many generated cases there are; infinity when only time ends the stream. */
  readonly runs: number;
}

/** The batches of a campaign, in order. The same options give the same batches. */
export function* batchesOf({ seed, fromBatch, corpus, runs }: StreamOptions): Generator<Batch> {
  for (let start = 0; start < corpus.length; start += batchSize)
    yield corpusBatch(corpus.slice(start, start + batchSize));
  let left = runs;
  for (let number = fromBatch; left > 0; number++) {
    const batch = generatedBatch(seed, number, Math.min(left, batchSize));
    left -= batch.cases.length;
    yield batch;
  }
}

/** The generated case at `batch:index`. */
export function caseAt(seed: string, { batch, index }: NonNullable<Place['drawn']>): Case {
  const value = drawBatch(seed, batch, index + 1).cases[index];
  if (value === undefined) throw new Error(`batch ${batch} has no case ${index}`);
  return value;
}

function generatedBatch(seed: string, number: number, size: number): Batch {
  const { cases } = drawBatch(seed, number, size);
  return {
    number,
    cases,
    placeOf: (index) => ({ path: `${number}:${index}`, drawn: { batch: number, index } }),
  };
}

function corpusBatch(entries: readonly CorpusEntry[]): Batch {
  return {
    number: null,
    cases: entries.map(({ value }) => value),
    placeOf: (index) => ({ path: entries[index]!.file, drawn: null }),
  };
}
