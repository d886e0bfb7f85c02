/** One builder at a time in a source: a file that holds the builder's process number. */
import { readFileSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { atExit } from './at-exit.ts';
import type { Say } from './say.ts';

const pollMs = 500;

/** Runs `work` while no other process does the same under this lock. A lock whose owner has died is taken over. */
export async function withLock<Result>(path: string, say: Say, work: () => Promise<Result>): Promise<Result> {
  let isTold = false;
  while (!(await take(path))) {
    if (!isTold) say(`waiting for another hvipi that builds in the same source (${path})`);
    isTold = true;
    await sleep(pollMs);
  }
  const forget = atExit(() => rmSync(path, { force: true }));
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
    forget();
  }
}

async function take(path: string): Promise<boolean> {
  try {
    await writeFile(path, `${process.pid}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (!isOwned(path)) rmSync(path, { force: true });
    return false;
  }
}

function isOwned(path: string): boolean {
  try {
    const owner = Number(readFileSync(path, 'utf8'));
    // Its owner has made the file and not written to it yet.
    if (owner === 0) return true;
    process.kill(owner, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
