/**
 * One race of a concurrent case: the calls of a phase, each sender on a thread of its own, among receivers that sleep or
 * spin on theirs. Its fence wakes nobody. It waits until all senders are done, so that every wake-up and every kick has
 * been sent; then a receiver that sleeps in KVM_RUN was not woken, and one that spins has rounds enough to be kicked out
 * of the guest. What is still pending is written down before anybody does something about it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Leftover } from '../program/observation.ts';
import type { Program, ProgramCall, ProgramWriteMsr } from '../program/program.ts';
import type { Schedule } from '../program/schedule.ts';
import * as map from '../guest/memory-map.ts';
import { area } from '../guest/memory-map.ts';
import { type CallResult, noCall, UnexpectedExit } from './call-result.ts';
import type { GuestMachine } from './guest-machine.ts';
import { hasPending } from './lapic-setup.ts';
import { ThreadedVcpu } from './threaded-vcpu.ts';

const pollMs = 1;
/** The longest race takes well below a second; the lab's own watchdogs come later. */
const stuckAfterMs = 10_000;

/** Steps that race with each other, each with its index in the program. */
export interface RaceSteps {
  readonly first: number;
  readonly calls: readonly (ProgramCall & { readonly index: number })[];
  readonly writes: readonly (ProgramWriteMsr & { readonly index: number })[];
}

/** What came of a race. */
export interface RaceResult {
  /** By index of the step; those that were not made are missing. */
  readonly results: ReadonlyMap<number, CallResult>;
  readonly leftovers: readonly Leftover[];
  /** Why the race did not come to its fence, or null. */
  readonly stopped: string | null;
}

export class Race {
  readonly #machine: GuestMachine;
  readonly #program: Program;
  readonly #schedule: Schedule;

  constructor(machine: GuestMachine, program: Program, schedule: Schedule) {
    this.#machine = machine;
    this.#program = program;
    this.#schedule = schedule;
  }

  /** @throws UnexpectedExit when a vCPU does not come back at all, or makes an exit that its program does not make. */
  async run(steps: RaceSteps): Promise<RaceResult> {
    const sleepers = this.#positionsOf('halted').map((position) =>
      this.#onThread(position, this.#machine.halt(position)),
    );
    if (this.#schedule.waitsForSleep[steps.first]!) await until(() => sleepers.every((one) => this.#rests(one)));
    for (const { writes } of steps.calls) this.#machine.write(writes);
    const runners = this.#startRunners(steps);
    const results = new Map<number, CallResult>();
    for (const write of steps.writes) {
      results.set(write.index, { ...noCall, result: this.#machine.writeMsr(write) ? 1n : 0n });
    }
    const isFinished = await until(() => runners.every(({ isDone }) => isDone));
    const isFenced = isFinished && (await until(() => sleepers.every((one) => this.#rests(one))));
    const stuck = isFenced ? undefined : [...runners, ...sleepers].find((one) => !one.isDone && !this.#rests(one));
    await this.#stop([...runners, ...sleepers]);
    for (const [sender, calls] of bySender(steps.calls)) {
      for (const [place, result] of this.#machine.resultsOf(sender, calls.length).entries()) {
        results.set(calls[place]!.index, result);
      }
    }
    if (stuck !== undefined) {
      const leftovers = [{ vcpu: stuck.position, wait: 'stuck' as const, states: this.#states() }];
      return { results, leftovers, stopped: `vCPU ${stuck.position} does not come to the fence` };
    }
    this.#expectIdle(runners);
    return { results, leftovers: this.#leftovers([...runners, ...sleepers]), stopped: null };
  }

  #startRunners({ calls }: RaceSteps): ThreadedVcpu[] {
    const sent = bySender(calls);
    const spinning = this.#positionsOf('spinning');
    const parties = sent.size + spinning.length;
    this.#machine.share(map.race.arrived, 0);
    this.#machine.share(map.race.done, 0);
    for (const [sender, own] of sent) {
      this.#machine.putCalls(sender, own);
      const spins = own.map(({ index }) => this.#schedule.spins[index]!);
      this.#machine.putSpins(sender, spins);
    }
    return this.#schedule.starts.flatMap((position) => {
      if (sent.has(position)) return [this.#start(position, 'race', [[area.parties, parties]])];
      if (!spinning.includes(position)) return [];
      return [
        this.#start(position, 'spin', [
          [area.senders, sent.size],
          [area.flickers, Number(this.#schedule.flickers[position]!)],
          [area.tprClass, this.#program.vcpus[position]!.tpr],
        ]),
      ];
    });
  }

  #start(position: number, ...how: Parameters<GuestMachine['start']> extends [number, ...infer Rest] ? Rest : never) {
    return this.#onThread(position, this.#machine.start(position, ...how));
  }

  #onThread(position: number, exit: Promise<boolean>): ThreadedVcpu {
    return new ThreadedVcpu(position, this.#machine.guestAt(position), exit);
  }

  /** Whether a halted vCPU has come to its `hlt` and sleeps there. */
  #rests(one: ThreadedVcpu): boolean {
    return this.#machine.isHalting(one.position) && one.isAsleep;
  }

  async #stop(threads: readonly ThreadedVcpu[]): Promise<void> {
    for (const one of threads) {
      if (await one.stop()) continue;
      this.#machine.giveUp();
      throw new UnexpectedExit(`vCPU ${one.position} does not come out of KVM_RUN`);
    }
  }

  #expectIdle(runners: readonly ThreadedVcpu[]): void {
    for (const { position } of runners) {
      const exit = this.#machine.describeUnexpectedExit(position);
      if (exit !== null) throw new UnexpectedExit(exit);
    }
  }

  #leftovers(threads: readonly ThreadedVcpu[]): Leftover[] {
    return threads.flatMap(({ position: vcpu }) => {
      const { idle } = this.#program.vcpus[vcpu]!;
      if (idle === 'parked' || !hasPending(this.#machine.lapicChanges(vcpu))) return [];
      return [{ vcpu, wait: idle === 'halted' ? ('asleep' as const) : ('spinning' as const), states: this.#states() }];
    });
  }

  #states(): Leftover['states'] {
    return this.#program.vcpus.map((_, position) => this.#machine.guestAt(position).state());
  }

  #positionsOf(idle: 'halted' | 'spinning'): number[] {
    return this.#program.vcpus.flatMap((vcpu, position) => (vcpu.idle === idle ? [position] : []));
  }
}

function bySender(calls: RaceSteps['calls']): Map<number, (typeof calls)[number][]> {
  const groups = new Map<number, (typeof calls)[number][]>();
  for (const call of calls) groups.set(call.sender, [...(groups.get(call.sender) ?? []), call]);
  return groups;
}

/** Waits for something; false when it does not come. */
async function until(condition: () => boolean): Promise<boolean> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > stuckAfterMs) return false;
    await sleep(pollMs);
  }
  return true;
}
