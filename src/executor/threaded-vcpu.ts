/** A vCPU that runs on a thread of its own until it exits by itself or is asked to. */
import { setTimeout as sleep } from 'node:timers/promises';
import { signalThread, wakingSignal } from '../kvm/libc.ts';
import { otherThreads, sleepingCall } from '../kvm/threads.ts';
import type { GuestVcpu } from './guest-vcpu.ts';

const pollMs = 1;
/** A thread that no signal gets out of KVM_RUN is lost, and with it its machine. */
const lostAfterMs = 5_000;

/** The signal only makes a system call return; without a handler it would end the process. */
const ignore = (): void => undefined;

export class ThreadedVcpu {
  readonly position: number;
  readonly guest: GuestVcpu;
  readonly #end: Promise<void>;
  #hasExited: boolean | null = null;
  /** The thread on which it was last seen asleep. */
  #tid = 0;

  /** @param exit ends with whether there was an exit to us. */
  constructor(position: number, guest: GuestVcpu, exit: Promise<boolean>) {
    this.position = position;
    this.guest = guest;
    this.#end = exit.then((hasExited) => void (this.#hasExited = hasExited));
  }

  get isDone(): boolean {
    return this.#hasExited !== null;
  }

  /** Whether it sleeps in KVM_RUN and nothing has woken it. */
  get isAsleep(): boolean {
    if (this.#sleepsOn(this.#tid)) return true;
    const tid = otherThreads().find((one) => this.#sleepsOn(one));
    if (tid === undefined) return false;
    this.#tid = tid;
    return true;
  }

  /** Gets it out of KVM_RUN without waking the guest; false when it does not come. */
  async stop(): Promise<boolean> {
    if (process.listenerCount(wakingSignal) === 0) process.on(wakingSignal, ignore);
    for (let waitedMs = 0; !this.isDone; waitedMs += pollMs) {
      if (waitedMs > lostAfterMs) return false;
      this.guest.vcpu.askToExit();
      const tids = this.isAsleep ? [this.#tid] : otherThreads().filter((tid) => sleepingCall(tid) === null);
      for (const tid of tids) signalThread(tid);
      await sleep(pollMs);
    }
    await this.#end;
    return true;
  }

  #sleepsOn(tid: number): boolean {
    const systemCall = tid === 0 ? null : sleepingCall(tid);
    return systemCall !== null && this.guest.vcpu.isRun(systemCall);
  }
}
