/** A campaign whose disk runs full in the middle, on a small file system of its own. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { comparable } from '../../../src/durable/view/comparable.ts';
import { readFindings, readJournals } from '../../../src/durable/journal/folder.ts';
import { run } from '../../src/commands/run.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

const checkout = fileURLToPath(new URL('../../..', import.meta.url));
const settings = ['--target', 'model:clobbers-rbx', '--seed', 'full', '--runs', '2000'];

/** Whether this process may mount. */
function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'hvipi-mount-'));
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', 'hvipi-test', folder]).status === 0;
  if (isMounted) spawnSync('umount', [folder]);
  rmdirSync(folder);
  return isMounted;
}

describe.skipIf(!canMount())('a campaign on a full disk', () => {
  let disk: string;
  beforeEach(() => {
    disk = mkdtempSync(join(tmpdir(), 'hvipi-disk-'));
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'hvipi-test', disk]).status).toBe(0);
  });
  afterEach(() => {
    spawnSync('umount', [disk]);
    rmdirSync(disk);
  });

  it('should wait for room, and come to the same', async () => {
    const folder = join(disk, 'campaign');
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli.ts', 'campaign', 'start', folder, ...settings], {
      cwd: checkout,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    await until(() => stderr.includes('FINDING'));
    fill(join(disk, 'filler'));
    await until(() => stderr.includes('the disk is full; waiting for room'));
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(child.exitCode).toBeNull();
    rmSync(join(disk, 'filler'));

    expect(await ended).toBe(1);
    const whole = temporaryFolder();
    await run('campaign', 'start', join(whole, 'whole'), ...settings);
    expect(comparable(folder)).toEqual(comparable(join(whole, 'whole')));
    const [{ records }] = readJournals(folder) as [ReturnType<typeof readJournals>[number]];
    expect(records.some((record) => record.type === 'trouble' && record.what === 'disk')).toBe(true);
    expect(readFindings(folder)).toHaveLength(readFindings(join(whole, 'whole')).length);
    expect(readdirSync(join(folder, 'findings')).filter((name) => name.endsWith('.part'))).toEqual([]);
  }, 180_000);
});

/** Writes until nothing fits any more. */
function fill(file: string): void {
  for (const size of [65_536, 4096, 1]) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(size), { flag: 'a' });
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
    }
  }
  expect(readFileSync(file).length).toBeGreaterThan(0);
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 100));
}
