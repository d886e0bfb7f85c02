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
  return parseSleepingCall(read(tid, 'syscall'), read(tid, 'stat'));
}

/**
 * PF_USER_WORKER (include/linux/sched.h). Since 6.2 the kernel's own workers can be threads of a process. They begin as a
 * copy of whoever asked for them, registers and all, so `syscall` shows them in that call for ever: KVM makes one for each
 * VM in the first KVM_RUN (kvm_mmu_post_init_vm, vhost_task_create), which looks like a vCPU that no signal wakes.
 */
const PF_USER_WORKER = 0x4000;

/** @param syscall and @param stat are the texts of the two files in proc(5). */
export function parseSleepingCall(syscall: string, stat: string): SleepingCall | null {
  const [number, first, second] = syscall.split(' ');
  if (number === undefined || !/^\d+$/.test(number)) return null;
  // What is in parentheses is the name, which may have spaces; behind it: state, parent, group, session, tty, its group, flags.
  const [state, , , , , , flags] = stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
  if (state !== 'S' || (Number(flags) & PF_USER_WORKER) !== 0) return null;
  return { number: Number(number), first: Number(first), second: Number(second) };
}

function read(tid: number, file: string): string {
  try {
    return readFileSync(`${tasks}/${tid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}
