/**
 * A signal that comes again and again while programs run. KVM_RUN ends early when one comes (EINTR), and `Vcpu.run` goes
 * on; a guest that has made no exit after several is one that makes none, and the thread is ours again.
 */
import { setTimer } from './libc.ts';

/** SIGALRM goes to the process; the kernel gives it to the main thread, where vCPUs run one after the other. */
const signal = 'SIGALRM';
const tickMs = 400;
/** At least 0.8 s of a KVM_RUN, since the first tick may come at once. 64 calls take a few milliseconds. */
const ticksOfRun = 3;

const ignore = (): void => undefined;

/** Starts ticks, which go on to the end of the process: they cost nothing. */
export function startTicks(): void {
  if (process.listenerCount(signal) > 0) return;
  process.on(signal, ignore);
  setTimer(tickMs);
}

/** Whether a KVM_RUN that was interrupted so often is given up. */
export function isEndless(interruptions: number): boolean {
  return interruptions >= ticksOfRun;
}
