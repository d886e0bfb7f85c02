/**
 * The threads of this process as the kernel sees them. A thread that sleeps shows the system call in which it does, one
 * that runs, or that has been woken and has yet to run, shows none (proc(5): syscall, stat; task_current_syscall). So
 * "asleep" is a fact about what has woken it, and no matter of time.
 */
import { readdirSync, readFileSync } from 'node:fs';

export const SYS_ioctl = 16;
const tasks = '/proc/self/task';

/** A system call in which a thread sleeps: its number and its first two arguments. */
export interface SleepingCall {
  readonly number: number;
  readonly first: number;
  readonly second: number;
}

/** Threads of this process but the main one. */
export function otherThreads(): number[] {
  return readdirSync(tasks)
    .map(Number)
    .filter((tid) => tid !== process.pid);
}

/**
 * The system call in which a thread sleeps until something wakes it or a signal comes (TASK_INTERRUPTIBLE); null for one
 * that runs, is about to, waits for the kernel's own work, or is gone.
 */
export function sleepingCall(tid: number): SleepingCall | null {
  const [number, first, second] = read(tid, 'syscall').split(' ');
  if (number === undefined || !/^\d+$/.test(number)) return null;
  // What is in parentheses is the name, which may have spaces.
  const state = /\) (\S)/.exec(read(tid, 'stat'))?.[1];
  return state === 'S' ? { number: Number(number), first: Number(first), second: Number(second) } : null;
}

function read(tid: number, file: string): string {
  try {
    return readFileSync(`${tasks}/${tid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}
