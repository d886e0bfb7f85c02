import { describe, expect, it } from 'vitest';
import { caseId } from '../../../src/case/case.ts';
import { shardOf } from '../../../src/durable/shard.ts';
import { shardBatches } from '../../../src/durable/journal/stream.ts';

describe('shardOf', () => {
  it.each([
    ['3/4', {}, { index: 3, count: 4 }],
    [undefined, {}, { index: 0, count: 1 }],
    [undefined, { JOB_COMPLETION_INDEX: '2', HVIPI_SHARDS: '50' }, { index: 2, count: 50 }],
    [undefined, { SLURM_ARRAY_TASK_ID: '3', SLURM_ARRAY_TASK_COUNT: '4' }, { index: 3, count: 4 }],
    [
      undefined,
      { SLURM_ARRAY_TASK_ID: '4', SLURM_ARRAY_TASK_COUNT: '4', SLURM_ARRAY_TASK_MIN: '1' },
      { index: 3, count: 4 },
    ],
    [undefined, { HVIPI_SHARD: '0', HVIPI_SHARDS: '2' }, { index: 0, count: 2 }],
    ['0/1', { SLURM_ARRAY_TASK_ID: '3' }, { index: 0, count: 1 }],
  ])('should read %j with %j', (option, env, shard) => {
    expect(shardOf(option, env)).toEqual(shard);
  });

  it.each([
    ['4/4', {}, /--shard 4\/4: a shard is i\/n/],
    ['one', {}, /--shard one/],
    [undefined, { JOB_COMPLETION_INDEX: '2' }, /JOB_COMPLETION_INDEX is set, .* set HVIPI_SHARDS/],
    [undefined, { SLURM_ARRAY_TASK_ID: '9', SLURM_ARRAY_TASK_COUNT: '4' }, /SLURM_ARRAY_TASK_ID=9/],
  ])('should refuse %j with %j', (option, env, message) => {
    expect(() => shardOf(option, env)).toThrow(message);
  });
});

describe('shardBatches', () => {
  const stream = (index: number, count: number, nextBatch = 0) =>
    shardBatches({
      seed: 'shards',
      shard: { index, count },
      from: { nextCorpus: 0, nextBatch },
      corpus: [],
      runs: 400,
      shouldEnd: () => false,
    });
  const ids = (batches: Iterable<{ readonly cases: readonly Parameters<typeof caseId>[0][] }>): string[] =>
    [...batches].flatMap(({ cases }) => cases.map(caseId));

  it('should give every case to exactly one shard', () => {
    const parts = [0, 1, 2].flatMap((index) => ids(stream(index, 3)));
    expect(parts.sort()).toEqual(ids(stream(0, 1)).sort());
  });

  it('should go on behind any batch with what comes there', () => {
    const whole = [...stream(1, 3)];
    const rest = [...stream(1, 3, whole[1]!.next.nextBatch)];
    expect(rest.map(({ name }) => name)).toEqual(whole.slice(2).map(({ name }) => name));
    expect(ids(rest)).toEqual(ids(whole.slice(2)));
  });
});
