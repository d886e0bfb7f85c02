/**
 * The stream of cases: the corpus first, then a space that is walked completely, or else generated batches, each drawn
 * from the campaign's seed and its number.
 */
import { drawBatch, isConcurrentBatch } from '../../../generators/batch.ts';
import { casesOf, type Space } from '../../../generators/spaces/spaces.ts';
import type { Case } from '../../case/case.ts';
import type { CorpusEntry } from '../corpus.ts';
import { variantOf } from './steering.ts';

/** Cases that go to the executor in one piece: large enough to hide the way there, small enough to repeat. */
export const batchSize = 64;
const smallestBatch = 8;

/**
 * How many cases a batch of the stream has. The first ones are small, because cases of a new platform need a new VM each:
 * the first verdict comes sooner, and a short campaign draws from more swarms.
 */
export function sizeOfBatch(number: number): number {
  const nextPowerOfTwo = 2 ** Math.ceil(Math.log2(number + 1));
  return Math.min(batchSize, Math.max(smallestBatch, nextPowerOfTwo));
}

/** Saved cases come first, and each has a VM of its own kind: the first verdict should not wait for 64 of them. */
const corpusBatchSize = 16;

/** Where a case of the stream comes from. */
export interface Place {
  /** `batch:index` of a generated case, `space:number` of one of a space, or the file of a saved one. */
  readonly path: string;
}

export interface Batch {
  /** Number of a generated batch; null for cases of the corpus and of spaces. */
  readonly number: number | null;
  readonly origin: 'corpus' | 'space' | 'drawn';
  readonly cases: readonly Case[];
  placeOf(index: number): Place;
}

/** Which batches of a stream are wanted: all, those whose steps follow each other, or those whose calls race. */
export const tierChoices = ['all', 'ordered', 'concurrent'] as const;
export type TierChoice = (typeof tierChoices)[number];

export interface StreamOptions {
  readonly seed: string;
  readonly fromBatch: number;
  readonly corpus: readonly CorpusEntry[];
  /** How many generated cases there are; infinity when only time ends the stream. */
  readonly runs: number;
  /** Default all. */
  readonly tier?: TierChoice;
  /** Spaces that are walked instead of drawing cases. */
  readonly spaces?: readonly Space[];
}

/** The batches of a campaign, in order. The same options give the same batches. */
export function* batchesOf({
  seed,
  fromBatch,
  corpus,
  runs,
  tier = 'all',
  spaces = [],
}: StreamOptions): Generator<Batch> {
  const isConcurrent = ({ value }: CorpusEntry): boolean => value.machine.schedule !== null;
  const ordered = corpus.filter((entry) => tier !== 'concurrent' && !isConcurrent(entry));
  yield* corpusBatches(ordered);
  // Behind the others: their lab has yet to boot.
  yield* corpusBatches(corpus.filter((entry) => tier !== 'ordered' && isConcurrent(entry)));
  if (spaces.length > 0) {
    for (const space of spaces) yield* spaceBatches(space);
    return;
  }
  let left = runs;
  for (let number = fromBatch; left > 0; number++) {
    if (tier !== 'all' && isConcurrentBatch(number) !== (tier === 'concurrent')) continue;
    const batch = generatedBatch(seed, number, Math.min(left, sizeOfBatch(number)));
    left -= batch.cases.length;
    yield batch;
  }
}

/** The generated case at `batch:index`. */
export function caseAt(seed: string, { batch, index }: { readonly batch: number; readonly index: number }): Case {
  const value = drawBatch(seed, batch, index + 1, variantOf(seed, batch)).cases[index];
  if (value === undefined) throw new Error(`batch ${batch} has no case ${index}`);
  return value;
}

/** A generated batch with its first `size` cases. */
export function generatedBatch(seed: string, number: number, size: number): Batch {
  const { cases } = drawBatch(seed, number, size, variantOf(seed, number));
  return {
    number,
    origin: 'drawn',
    cases,
    placeOf: (index) => ({ path: `${number}:${index}` }),
  };
}

function* corpusBatches(corpus: readonly CorpusEntry[]): Generator<Batch> {
  for (let start = 0; start < corpus.length; start += corpusBatchSize)
    yield corpusBatch(corpus.slice(start, start + corpusBatchSize));
}

function* spaceBatches(space: Space): Generator<Batch> {
  let cases: Case[] = [];
  let first = 0;
  const finish = (): Batch => {
    const start = first;
    const batch: Batch = {
      number: null,
      origin: 'space',
      cases,
      placeOf: (index) => ({ path: `${space.name}:${start + index}` }),
    };
    first += cases.length;
    cases = [];
    return batch;
  };
  for (const { value } of casesOf(space)) {
    cases.push(value);
    if (cases.length === batchSize) yield finish();
  }
  if (cases.length > 0) yield finish();
}

/** Saved cases as a batch. */
export function corpusBatch(entries: readonly CorpusEntry[]): Batch {
  return {
    number: null,
    origin: 'corpus',
    cases: entries.map(({ value }) => value),
    placeOf: (index) => ({ path: entries[index]!.file }),
  };
}
