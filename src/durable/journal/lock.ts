/**
 * One process a campaign directory. The lock is the kernel's (flock), held by a child that ends with us however we end,
 * so that no stale lock is left behind; util-linux, which every Debian has, brings the program.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { InfrastructureError } from '../../errors.ts';
import { UsageError } from '../../errors.ts';

const heldCode = 117;
/** A process that was killed a moment ago takes its lock with it, but not at once. */
const patienceMs = 2000;

/**
 * Works on a campaign directory that nobody else works on meanwhile.
 *
 * @throws UsageError that names the process which has it; InfrastructureError without flock.
 */
export async function withLock<Result>(file: string, folder: string, work: () => Promise<Result>): Promise<Result> {
  const child = await holdLock(file, patienceMs);
  if (child === null) throw new UsageError(`${folder}: in use by ${holderOf(file)}; one process a directory`);
  noteHolder(file);
  try {
    return await work();
  } finally {
    const closed = new Promise((resolve) => child.once('close', resolve));
    child.stdin!.end();
    await closed;
  }
}

/** Whether some process works on the directory now. */
export async function isLocked(file: string): Promise<boolean> {
  const child = await holdLock(file, 0);
  child?.stdin!.end();
  return child === null;
}

/** Who wrote that it holds the lock. */
export function holderOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim() || 'another process';
  } catch {
    return 'another process';
  }
}

/** The process that holds the lock until its stdin ends, or null when another one has it. */
function holdLock(file: string, waitMs: number): Promise<ChildProcess | null> {
  const wait = waitMs === 0 ? ['--nonblock'] : ['--timeout', `${waitMs / 1000}`];
  const args = [...wait, '--conflict-exit-code', `${heldCode}`, '--no-fork', file, 'cat'];
  const child = spawn('flock', args, { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
  return new Promise((resolve, reject) => {
    child.once('error', () => reject(new InfrastructureError('flock is missing; it is in the package util-linux')));
    child.once('close', (code) => {
      if (code === heldCode) resolve(null);
      else reject(new InfrastructureError(`${file}: cannot be locked (flock ended with ${code})`));
    });
    // cat answers as soon as flock has become it.
    child.stdout.once('data', () => resolve(child));
    child.stdin.on('error', () => undefined).write('.');
  });
}

/** Only a note for others: the lock holds without it, on a full disk too. */
function noteHolder(file: string): void {
  try {
    writeFileSync(file, `pid ${process.pid} on ${hostname()}\n`);
  } catch {
    // Nothing is lost but the name in a message.
  }
}
