/** A race: each sender calls on a thread of its own, among receivers that sleep or spin on theirs, up to the fence. */
import * as map from '../../guest/memory-map.ts';
import { area } from '../../guest/memory-map.ts';
import type { GuestCode } from '../../guest/program.ts';
import type { Script } from '../../hand/script.ts';
import type { Leftover } from '../../program/observation.ts';
import type { Program, ProgramCall, ProgramChange } from '../../program/program.ts';
import type { Schedule } from '../../program/schedule.ts';
import { addChange } from '../changes.ts';
import { type CallResult, expectExit, lostAfterMs, noCall, orLost } from '../stop.ts';
import type { Vm } from '../vm/vm.ts';
import type { Read } from '../writer.ts';
import type { Fence } from './fence.ts';

/** Who got INIT: in a race there is none. */
const nobody: ReadonlySet<number> = new Set();

/** Steps that race with each other, each with its index in the program. */
export interface RaceSteps {
  readonly first: number;
  readonly calls: readonly (ProgramCall & { readonly index: number })[];
  /** What the host does meanwhile. */
  readonly changes: readonly (ProgramChange & { readonly index: number })[];
}

/** What came of a race. */
export interface RaceResult {
  /** By index of the step; those that were not made are missing. */
  readonly results: ReadonlyMap<number, CallResult>;
  readonly leftovers: readonly Leftover[];
  /** Why the race did not come to its fence, or null. */
  readonly stopped: string | null;
}

/** The races of a program. */
export class Races {
  readonly #script: Script;
  readonly #vm: Vm;
  readonly #program: Program;
  readonly #schedule: Schedule;
  readonly #code: GuestCode;
  readonly #fence: Fence;

  constructor(script: Script, vm: Vm, program: Program, schedule: Schedule, code: GuestCode, fence: Fence) {
    this.#script = script;
    this.#vm = vm;
    this.#program = program;
    this.#schedule = schedule;
    this.#code = code;
    this.#fence = fence;
  }

  /** Runs one up to its fence. */
  run(steps: RaceSteps): Read<RaceResult> {
    const script = this.#script;
    const sleepers = this.#positionsOf('halted');
    if (steps.changes.some((step) => step.kind === 'vmm' && step.does === 'interrupt')) {
      // The VM's first KVM_RUN starts a thread, which a signal may prevent for good (before 916b7f42b3b3).
      script.add('completeExit', { vcpu: this.#vm.vcpuAt(0).object });
    }
    for (const position of sleepers) this.#vm.startHalting(script, position);
    const readReady = this.#schedule.waitsForSleep[steps.first]! ? this.#fence.waitForSleep(sleepers, false) : null;
    for (const { writes } of steps.calls) this.#vm.memory.write(script, writes);
    const senders = bySender(steps.calls);
    const { runners, readPlaces } = this.#startRunners(senders);
    const racing = [...runners, ...sleepers];
    const surroundings = { script, vm: this.#vm, program: this.#program, isExact: false, initialized: nobody, racing };
    const readChanges = steps.changes.map((step) => ({ index: step.index, read: addChange(step, surroundings) }));
    const readDone = this.#fence.waitForEnd(runners);
    const readAsleep = this.#fence.waitForSleep(sleepers, true);
    for (const position of racing) {
      script.add('stop', { thread: this.#vm.vcpuAt(position).thread, milliseconds: lostAfterMs });
    }
    const readResults = [...senders].map(([sender, calls]) => {
      const resultsAfter = this.#vm.ringOf(sender).results(script);
      return { calls, read: resultsAfter(null) };
    });
    const readStuck = this.#fence.stuck();
    for (const position of runners) {
      const { idle } = map.ports;
      script.add('exit', { vcpu: this.#vm.vcpuAt(position).object, port: idle, lenient: 1 });
    }
    script.add('settle', {});
    const readLeftovers = this.#fence.leftovers(racing);
    return (record) => {
      if (readReady !== null) readReady(record);
      readPlaces(record);
      const results = new Map<number, CallResult>();
      for (const { index, read } of readChanges) results.set(index, { ...noCall, result: read(record) });
      const stuck = [...readDone(record), ...readAsleep(record)][0];
      for (const position of racing) {
        orLost(() => record.u8(), `vCPU ${position} does not come out of KVM_RUN`);
      }
      for (const { calls, read } of readResults) {
        for (const [place, result] of read(record).entries()) results.set(calls[place]!.index, result);
      }
      const states = readStuck(record);
      if (stuck !== undefined && states !== null) {
        const leftovers = [{ vcpu: stuck, wait: 'stuck' as const, states }];
        return { results, leftovers, stopped: `vCPU ${stuck} does not come to the fence` };
      }
      for (const position of runners) expectExit(position, record.exit(), this.#code);
      return { results, leftovers: readLeftovers(record), stopped: null };
    };
  }

  /** Senders wait for each other and then call; spinning receivers go round until the senders are done. */
  #startRunners(senders: ReadonlyMap<number, RaceSteps['calls']>): { runners: number[]; readPlaces: Read<void> } {
    const script = this.#script;
    const spinning = this.#positionsOf('spinning');
    const parties = senders.size + spinning.length;
    for (const offset of [map.race.arrived, map.race.done, map.race.met])
      script.add('put', { vm: this.#vm.number, offset, value: 0 });
    const meetings = this.#meetingsOf(senders);
    const reads: Read<void>[] = [];
    for (const [sender, own] of senders) {
      const receiver = this.#vm.receiverAt(sender);
      receiver.forget();
      receiver.prepare(script, map.commands.race, [[area.parties, parties]]);
      const paces = own.map(({ index }, place) => ({
        meets: place < meetings ? senders.size * (place + 1) : 0,
        spins: this.#schedule.spins[index]!,
      }));
      reads.push(this.#vm.ringOf(sender).put(script, own, map.commands.race, paces));
    }
    const runners = this.#schedule.starts.filter((position) => {
      if (senders.has(position)) return true;
      if (!spinning.includes(position)) return false;
      this.#vm.receiverAt(position).prepare(script, map.commands.spin, [
        [area.senders, senders.size],
        [area.flickers, Number(this.#schedule.flickers[position]!)],
        [area.tprClass, this.#program.vcpus[position]!.tpr],
      ]);
      return true;
    });
    for (const position of runners) {
      const vcpu = this.#vm.vcpuAt(position);
      script.add('start', { thread: vcpu.thread, vcpu: vcpu.object });
    }
    return {
      runners,
      readPlaces: (record) => {
        for (const read of reads) read(record);
      },
    };
  }

  /** How many calls of each sender meet one of the other. A third one would have to wait for one of two CPUs first. */
  #meetingsOf(senders: ReadonlyMap<number, RaceSteps['calls']>): number {
    if (!this.#schedule.meets || senders.size !== 2) return 0;
    return Math.min(...[...senders.values()].map((calls) => calls.length));
  }

  #positionsOf(idle: 'halted' | 'spinning'): number[] {
    return this.#program.vcpus.flatMap((vcpu, position) => (vcpu.idle === idle ? [position] : []));
  }
}

/** The steps up to the next `run` step; a concurrent program ends with one. */
export function stepsFrom({ steps }: Program, first: number): RaceSteps {
  const calls: (ProgramCall & { index: number })[] = [];
  const changes: (ProgramChange & { index: number })[] = [];
  for (let index = first; steps[index]!.kind !== 'run'; index++) {
    const step = steps[index]!;
    if (step.kind === 'call') calls.push({ ...step, index });
    else changes.push({ ...step, index });
  }
  return { first, calls, changes };
}

function bySender(calls: RaceSteps['calls']): Map<number, (typeof calls)[number][]> {
  const groups = new Map<number, (typeof calls)[number][]>();
  for (const call of calls) groups.set(call.sender, [...(groups.get(call.sender) ?? []), call]);
  return groups;
}
