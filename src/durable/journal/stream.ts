/** The batches of one shard from where its journal ends: every n-th of the corpus and of the generated ones. */
import { type Batch, batchSize, corpusBatch, generatedBatch } from '../../campaign/stream/batches.ts';
import type { CorpusEntry } from '../../campaign/corpus.ts';
import type { Shard } from './record.ts';

/** The next batch of the corpus and the next generated one that are not in the journal. */
export interface Position {
  readonly nextCorpus: number;
  readonly nextBatch: number;
}

/** A batch with what names it in the campaign and where the stream goes on behind it. */
export interface PlacedBatch extends Batch {
  readonly name: string;
  readonly next: Position;
}

export interface ShardStream {
  readonly seed: string;
  readonly shard: Shard;
  readonly from: Position;
  readonly corpus: readonly CorpusEntry[];
  /** Generated cases of all shards together. */
  readonly runs: number;
  /** Asked before each batch; true ends the stream. */
  readonly shouldEnd: () => boolean;
}

export function* shardBatches({ seed, shard, from, corpus, runs, shouldEnd }: ShardStream): Generator<PlacedBatch> {
  const isOurs = (number: number): boolean => number % shard.count === shard.index;
  for (let number = from.nextCorpus; number * batchSize < corpus.length; number++) {
    if (!isOurs(number)) continue;
    if (shouldEnd()) return;
    const entries = corpus.slice(number * batchSize, (number + 1) * batchSize);
    yield { ...corpusBatch(entries), name: `corpus:${number}`, next: { ...from, nextCorpus: number + 1 } };
  }
  const nextCorpus = Math.ceil(corpus.length / batchSize);
  for (let number = from.nextBatch; number * batchSize < runs; number++) {
    if (!isOurs(number)) continue;
    if (shouldEnd()) return;
    const size = Math.min(batchSize, runs - number * batchSize);
    yield { ...generatedBatch(seed, number, size), name: `${number}`, next: { nextCorpus, nextBatch: number + 1 } };
  }
}
