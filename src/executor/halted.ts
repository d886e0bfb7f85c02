/**
 * vCPUs that sit in `sti; hlt` on threads of their own. The fence is an NMI, sent as an MSI: its handler sets a flag, and the guest
 * program then opens its window once more before it exits. Whatever was in IRR before the NMI has been handled by then,
 * whichever vector it has and whatever the sender is about to do.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { UnexpectedExit } from './call-result.ts';
import type { GuestMachine } from './guest-machine.ts';

const pollMs = 1;
/** An NMI that arrives just before `hlt` wakes nobody, so it is sent again; after this the vCPU counts as lost. */
const lostAfterMs = 5_000;

export class HaltedVcpus {
  readonly #machine: GuestMachine;
  readonly #running = new Map<number, Promise<boolean>>();

  constructor(machine: GuestMachine) {
    this.#machine = machine;
  }

  /** Starts vCPUs and waits until each is about to halt. */
  async start(positions: readonly number[]): Promise<void> {
    for (const position of positions) this.#running.set(position, this.#machine.halt(position));
    for (const position of positions) {
      await this.#until(() => this.#machine.isHalting(position), `vCPU ${position} does not come to hlt`);
    }
  }

  /** Makes running vCPUs take what is pending and exit. */
  async stop(positions: readonly number[]): Promise<void> {
    for (const position of positions) {
      const exit = this.#running.get(position);
      if (exit === undefined) continue;
      let isDone = false;
      const done = exit.finally(() => (isDone = true));
      const nudge = () => {
        if (!isDone) this.#machine.nmi(position);
        return isDone;
      };
      await Promise.race([done, this.#until(nudge, `vCPU ${position} does not wake up from hlt`)]);
      await done;
      this.#running.delete(position);
      const unexpected = this.#machine.describeUnexpectedExit(position);
      if (unexpected !== null) throw new UnexpectedExit(unexpected);
      // An NMI too many must be taken here: in a call with an entry of its own nothing would return from it, and NMIs
      // would stay blocked.
      this.#machine.openWindow(position);
    }
  }

  async #until(condition: () => boolean, complaint: string): Promise<void> {
    for (let waitedMs = 0; !condition(); waitedMs += pollMs) {
      if (waitedMs > lostAfterMs) {
        this.#machine.giveUp();
        throw new UnexpectedExit(complaint);
      }
      await sleep(pollMs);
    }
  }
}
