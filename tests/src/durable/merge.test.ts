import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { comparable } from '../../../src/durable/view/comparable.ts';
import { mergeCampaigns } from '../../../src/durable/merge.ts';
import { noLimits } from '../../../src/durable/limits.ts';
import { modelTarget } from '../campaign/helpers.ts';
import { temporaryFolder } from '../../temporary-folder.ts';
import { startIn } from './helpers.ts';

const mutant = 'misses-last-vp';
const shards = [0, 1, 2].map(() => temporaryFolder(afterAll));
const whole = temporaryFolder(afterAll);

beforeAll(async () => {
  const target = modelTarget(mutant);
  for (const [index, folder] of shards.entries()) {
    await startIn(folder, { target, campaign: { shard: { index, count: 3 } }, run: `00000000000${index}` });
  }
  await startIn(whole, { target });
}, 60_000);

function filesOf(folder: string): Record<string, string> {
  const names = ['journals', 'findings', 'cases', 'console'].flatMap((kind) =>
    readdirSync(join(folder, kind)).map((name) => join(kind, name)),
  );
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

describe('mergeCampaigns', () => {
  it('should make of all shards what the campaign in one piece comes to', async () => {
    const merged = temporaryFolder();
    await mergeCampaigns(merged, shards);
    expect(comparable(merged)).toEqual(comparable(whole));
  });

  it('should not depend on order, repetition or grouping', async () => {
    const [one, other, step] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];
    await mergeCampaigns(one, shards);
    for (const shard of [...shards, ...shards].reverse()) await mergeCampaigns(other, [shard]);
    await mergeCampaigns(step, shards.slice(1));
    await mergeCampaigns(step, [one]);
    expect(filesOf(other)).toEqual(filesOf(one));
    expect(filesOf(step)).toEqual(filesOf(one));
  });

  it('should keep one finding of each bucket', async () => {
    const merged = temporaryFolder();
    await mergeCampaigns(merged, shards);
    const buckets = readdirSync(join(merged, 'findings')).map((name) => name.slice(0, 12));
    expect(new Set(buckets).size).toBe(buckets.length);
    expect(buckets.length).toBe(Object.keys(comparable(whole).hits).length);
  });

  it('should take the longer of two copies of a journal', async () => {
    const [copy, merged] = [temporaryFolder(), temporaryFolder()];
    cpSync(shards[0]!, copy, { recursive: true });
    const journal = join(copy, 'journals', '000000000000.ndjson');
    const lines = readFileSync(journal, 'utf8').split('\n');
    writeFileSync(journal, `${lines.slice(0, 2).join('\n')}\n{"seq":2,`);
    await mergeCampaigns(merged, [copy, shards[0]!, copy]);
    expect(comparable(merged)).toEqual(comparable(shards[0]!));
  });

  it('should count a shard that was started anew once', async () => {
    const [again, merged] = [temporaryFolder(), temporaryFolder()];
    const options = { limits: { ...noLimits, calls: 2000 } };
    const campaign = { shard: { index: 0, count: 3 } };
    await startIn(again, { target: modelTarget(mutant), campaign, run: 'ffffffffffff', options });
    await mergeCampaigns(merged, [again, ...shards]);
    expect(comparable(merged)).toEqual(comparable(whole));
  });

  it('should refuse copies of a journal that go different ways', async () => {
    const copy = temporaryFolder();
    cpSync(shards[0]!, copy, { recursive: true });
    const journal = join(copy, 'journals', '000000000000.ndjson');
    writeFileSync(journal, readFileSync(journal, 'utf8').replace('"pid":', '"pid":1'));
    await expect(mergeCampaigns(temporaryFolder(), [shards[0]!, copy])).rejects.toThrow(
      /differs from .*; one of them was changed/,
    );
  });

  it('should refuse shards of another campaign', async () => {
    const other = temporaryFolder();
    const campaign = { seed: 'another', shard: { index: 1, count: 3 } };
    await startIn(other, { campaign: { ...campaign, runs: 64 }, run: 'eeeeeeeeeeee' });
    const merge = mergeCampaigns(temporaryFolder(), [shards[0]!, other]);
    await expect(merge).rejects.toThrow(/another campaign .*: seed durable and another; runs 576 and 64/);
  });

  it('should refuse to merge into the directory of a shard', async () => {
    await expect(mergeCampaigns(shards[0]!, [shards[1]!])).rejects.toThrow(/is the directory of a shard/);
  });
});
