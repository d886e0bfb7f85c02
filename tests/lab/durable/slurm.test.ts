/** The array script on a real Slurm: four shards, one of them killed and requeued, merged, against one piece. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { comparable } from '../../../src/durable/view/comparable.ts';
import { combineJournals } from '../../../src/durable/combine.ts';
import { readJournals } from '../../../src/durable/journal/folder.ts';
import { run } from '../../src/commands/run.ts';
import { missingSlurm, SlurmCluster } from './slurm.ts';

const checkout = fileURLToPath(new URL('../../..', import.meta.url));
const missing = missingSlurm();
if (missing !== null) process.stderr.write(`the test of Slurm is skipped: ${missing}\n`);

const campaign = ['--target', 'model:misses-last-vp', '--runs', '4000'];

describe.skipIf(missing !== null)('a campaign as a Slurm array', () => {
  let cluster: SlurmCluster;
  beforeAll(async () => {
    cluster = new SlurmCluster();
    await cluster.start();
  }, 90_000);
  afterAll(() => cluster[Symbol.dispose]());

  it('should come to what the campaign in one piece comes to, with a task killed and requeued', async () => {
    // Arrange
    const shared = join(cluster.folder, 'campaign');
    const shard = (index: number): string => join(shared, `shard-${index}`);
    const exported = `ALL,HVIPI_SEED=slurm,HVIPI_DIR=${shared},HVIPI_CHECKOUT=${checkout}`;
    const options = [
      '--parsable',
      '--array=0-3',
      `--export=${exported}`,
      `--output=${cluster.folder}/task-%a.log`,
      '--mem=1G',
    ];

    // Act: one task is killed behind its first span, as a node that fails would, and goes on when it is requeued
    const job = cluster.run('sbatch', ...options, join(checkout, 'deploy/slurm/campaign.sbatch'), ...campaign).trim();
    await until(() => spansOf(shard(2)) > 0);
    cluster.run('scontrol', 'requeue', `${job}_2`);
    await until(() => {
      release(cluster, `${job}_2`);
      return isOver(cluster, job);
    });
    const merged = await run('campaign', 'merge', join(shared, 'merged'), ...[0, 1, 2, 3].map(shard));
    const whole = await run('campaign', 'start', join(shared, 'whole'), '--seed', 'slurm', ...campaign);

    // Assert
    expect(merged).toMatchObject({ exitCode: 0, stderr: '' });
    expect(whole.exitCode).toBe(1);
    expect(openings(shard(2))).toBe(2);
    expect([0, 1, 3].map(shard).map(openings)).toEqual([1, 1, 1]);
    expect(comparable(join(shared, 'merged'))).toEqual(comparable(join(shared, 'whole')));
  }, 240_000);
});

function spansOf(folder: string): number {
  const journals = join(folder, 'journals');
  if (!existsSync(journals)) return 0;
  const texts = readdirSync(journals).map((name) => readFileSync(join(journals, name), 'utf8'));
  return texts.join('').split('"type":"span"').length - 1;
}

function openings(folder: string): number {
  return combineJournals(folder, readJournals(folder)).journals[0]!.opens;
}

/** Slurm lets a requeued job wait for two minutes. */
function release(cluster: SlurmCluster, task: string): void {
  if (!/PD/.test(cluster.run('squeue', '--noheader', '--format=%t', '--job', task))) return;
  try {
    cluster.run('scontrol', 'update', `JobId=${task}`, 'StartTime=now');
  } catch (error) {
    // It started in between.
    if (!(error as Error).message.includes('no longer pending')) throw error;
  }
}

function isOver(cluster: SlurmCluster, job: string): boolean {
  return cluster.run('squeue', '--noheader', '--job', job).trim() === '';
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 300));
}
