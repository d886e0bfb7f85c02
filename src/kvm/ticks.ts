/**
 * A signal that comes again and again while a program runs. KVM_RUN ends early when one comes (EINTR), and `Vcpu.run` goes
 * on; a guest that has made no exit after several is one that makes none, and the thread is ours again.
 *
 * No signal comes while a VM is made, which some kernels give up for one (KVM_CREATE_VM, mm_take_all_locks), and the first
 * comes long after a program's first KVM_RUN, in which KVM starts a thread that a signal keeps from starting (before
 * 916b7f42b3b3).
 */
import { setTimer, timerOf } from './libc.ts';

/** SIGALRM goes to the process; the kernel gives it to the main thread, where vCPUs run one after the other. */
const signal = 'SIGALRM';
const tickMs = 400;
/** At least 0.8 s of a KVM_RUN, and at most 1.2 s. 64 calls take a few milliseconds. */
const ticksOfRun = 3;

const ignore = (): void => undefined;
const ticking = timerOf(tickMs);
const silent = timerOf(0);

export function startTicks(): void {
  if (process.listenerCount(signal) === 0) process.on(signal, ignore);
  setTimer(ticking);
}

export function stopTicks(): void {
  setTimer(silent);
}

/** Whether a KVM_RUN that was interrupted so often is given up. */
export function isEndless(interruptions: number): boolean {
  return interruptions >= ticksOfRun;
}
