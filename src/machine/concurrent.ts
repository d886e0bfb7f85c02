/**
 * A concurrent program as operations: race after race, each up to its `run` step. In a race each sender calls on a thread of
 * its own, among receivers that sleep or spin on theirs. Its fence wakes nobody. It waits until all senders are done, so that
 * every wake-up and every kick has been sent; then a receiver that sleeps in KVM_RUN was not woken, and one that spins has
 * rounds enough to be kicked out of the guest. What is still pending is written down before anybody does something about it.
 * Behind the fence whoever has something left takes it, so that handlers can be counted.
 */
import { runsMeanwhile } from '../case/limits.ts';
import * as map from '../guest/memory-map.ts';
import { area } from '../guest/memory-map.ts';
import type { GuestCode } from '../guest/program.ts';
import type { RecordReader } from '../hand/record.ts';
import { encodeConditions, type Script } from '../hand/script.ts';
import type { Arrivals, Leftover, Observation, StepObservation } from '../program/observation.ts';
import type { Program, ProgramCall, ProgramChange } from '../program/program.ts';
import { type Schedule, scheduleOf } from '../program/schedule.ts';
import { addChange } from './changes.ts';
import { type CallResult, expectExit, lostAfterMs, noCall, orLost, UnexpectedExit } from './stop.ts';
import type { NeighbourVm } from './vm/neighbour.ts';
import { giveThreads } from './threads.ts';
import type { Vm } from './vm/vm.ts';
import type { Read } from './writer.ts';

/** The longest race takes well below a second; the lab's own watchdogs come later. */
const stuckAfterMs = 10_000;

/** Who got INIT: in a race there is none. */
const nobody: ReadonlySet<number> = new Set();

/** Steps that race with each other, each with its index in the program. */
interface RaceSteps {
  readonly first: number;
  readonly calls: readonly (ProgramCall & { readonly index: number })[];
  /** What the host does meanwhile. */
  readonly changes: readonly (ProgramChange & { readonly index: number })[];
}

/** What came of a race. */
interface RaceResult {
  /** By index of the step; those that were not made are missing. */
  readonly results: ReadonlyMap<number, CallResult>;
  readonly leftovers: readonly Leftover[];
  /** Why the race did not come to its fence, or null. */
  readonly stopped: string | null;
}

/** Adds a concurrent program; the observation is without changes of memory. */
export function addConcurrent(
  script: Script,
  vm: Vm,
  program: Program,
  seed: number,
  code: GuestCode,
  neighbour: NeighbourVm | null,
): Read<Observation> {
  return new ConcurrentProgram(script, vm, program, seed, code).add(neighbour);
}

class ConcurrentProgram {
  readonly #script: Script;
  readonly #vm: Vm;
  readonly #program: Program;
  readonly #schedule: Schedule;
  readonly #code: GuestCode;
  readonly #noArrivals: Arrivals;

  constructor(script: Script, vm: Vm, program: Program, seed: number, code: GuestCode) {
    this.#script = script;
    this.#vm = vm;
    this.#program = program;
    this.#schedule = scheduleOf(seed, program);
    this.#code = code;
    this.#noArrivals = program.vcpus.map(() => []);
    giveThreads(
      vm,
      program.vcpus.map((_, position) => position),
    );
  }

  add(neighbourVm: NeighbourVm | null): Read<Observation> {
    const readSetUp = this.#vm.setUp(this.#script, this.#program);
    const readArrival = neighbourVm?.arrive(this.#script, true) ?? (() => undefined);
    const races: { steps: RaceSteps; read: Read<RaceResult>; readRest: Read<Arrivals> }[] = [];
    const { steps } = this.#program;
    for (let at = 0; at < steps.length;) {
      const own = stepsFrom(this.#program, at);
      races.push({ steps: own, read: this.#race(own), readRest: this.#takeRest() });
      at += own.calls.length + own.changes.length + 1;
    }
    const readLapics = this.#program.vcpus.map((_, position) => this.#vm.vcpuAt(position).lapicChanges(this.#script));
    const readNeighbour = neighbourVm?.look(this.#script, true) ?? (() => null);
    return (record) => {
      const vpIndexes = readSetUp(record);
      readArrival(record);
      const observed: StepObservation[] = [];
      let stopped: string | null = null;
      try {
        for (const race of races) {
          const result = race.read(record);
          stopped = this.#noteRace(race.steps, result, observed);
          // What a stopped race left over is known although its fence was not reached.
          const arrivals = stopped === null ? race.readRest(record) : this.#noArrivals;
          observed.push(stepOf(noCall, arrivals, result.leftovers));
          if (stopped !== null) break;
        }
      } catch (error) {
        if (!(error instanceof UnexpectedExit)) throw error;
        stopped = error.message;
      }
      const lapics = stopped === null ? readLapics.map((read) => read(record)) : [];
      const neighbour = stopped === null ? readNeighbour(record) : null;
      return { vpIndexes, steps: observed, lapics, neighbour, memory: [], stopped };
    };
  }

  #noteRace({ first, calls, changes }: RaceSteps, result: RaceResult, observed: StepObservation[]): string | null {
    for (let index = first; index < first + calls.length + changes.length; index++) {
      const one = result.results.get(index);
      if (one === undefined) return result.stopped ?? `step ${index + 1} was not made`;
      observed.push(stepOf(one, this.#noArrivals, []));
    }
    return result.stopped;
  }

  #race(steps: RaceSteps): Read<RaceResult> {
    const script = this.#script;
    const sleepers = this.#positionsOf('halted');
    if (steps.changes.some((step) => step.kind === 'vmm' && step.does === 'interrupt')) {
      // The VM's first KVM_RUN starts a thread, which a signal may prevent for good (before 916b7f42b3b3).
      script.add('completeExit', { vcpu: this.#vm.vcpuAt(0).object });
    }
    for (const position of sleepers) this.#vm.startHalting(script, position);
    const readReady = this.#schedule.waitsForSleep[steps.first]! ? this.#waitForSleep(sleepers, false) : null;
    for (const { writes } of steps.calls) this.#vm.memory.write(script, writes);
    const senders = bySender(steps.calls);
    const { runners, readPlaces } = this.#startRunners(senders);
    const racing = [...runners, ...sleepers];
    const surroundings = { script, vm: this.#vm, program: this.#program, isExact: false, initialized: nobody, racing };
    const readChanges = steps.changes.map((step) => ({ index: step.index, read: addChange(step, surroundings) }));
    const readDone = this.#waitForEnd(runners);
    const readAsleep = this.#waitForSleep(sleepers, true);
    for (const position of racing) {
      script.add('stop', { thread: this.#vm.vcpuAt(position).thread, milliseconds: lostAfterMs });
    }
    const readResults = [...senders].map(([sender, calls]) => {
      const resultsAfter = this.#vm.ringOf(sender).results(script);
      return { calls, read: resultsAfter(null) };
    });
    const readStuck = this.#addStuck();
    for (const position of runners) {
      const { idle } = map.ports;
      script.add('exit', { vcpu: this.#vm.vcpuAt(position).object, port: idle, lenient: 1 });
    }
    script.add('settle', {});
    const readLeftovers = this.#leftovers(racing);
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

  /** Waits for the runners; those that do not come. */
  #waitForEnd(runners: readonly number[]): Read<number[]> {
    const conditions = runners.map((position) => ({ position, wordAt: null }));
    return this.#wait(conditions, true);
  }

  /** Waits until all halted vCPUs sleep in their `hlt`; those that do not. */
  #waitForSleep(sleepers: readonly number[], isRequired: boolean): Read<number[]> {
    const conditions = sleepers.map((position) => ({ position, wordAt: map.vcpuArea(position) + area.halting }));
    return this.#wait(conditions, isRequired);
  }

  #wait(conditions: readonly { position: number; wordAt: number | null }[], isRequired: boolean): Read<number[]> {
    const encoded = encodeConditions(
      conditions.map(({ position, wordAt }) => ({
        thread: this.#vm.vcpuAt(position).thread,
        asleepAt: wordAt === null ? null : { vm: this.#vm.number, offset: wordAt },
      })),
    );
    this.#script.add('wait', { milliseconds: stuckAfterMs, required: Number(isRequired), conditions: encoded });
    return (record) => {
      if (record.u8() === 1) return [];
      return conditions.filter(() => record.u8() === 0).map(({ position }) => position);
    };
  }

  /** Where somebody did not come to the fence, the states of all vCPUs are what is known; the VM ends with that. */
  #addStuck(): Read<Leftover['states'] | null> {
    let readStates: Read<Leftover['states']> = () => [];
    this.#script.branch('ifMissed', {}, () => {
      readStates = this.#states();
      this.#script.add('giveUp', {});
    });
    return (record) => (record.u8() === 1 ? readStates(record) : null);
  }

  #leftovers(positions: readonly number[]): Read<Leftover[]> {
    const reads = positions.flatMap((vcpu) => {
      const { idle } = this.#program.vcpus[vcpu]!;
      if (idle === 'parked') return [];
      let readStates: Read<Leftover['states']> = () => [];
      if (this.#program.machine.irqchip === 'none') return [];
      this.#script.branch('ifPending', { vcpu: this.#vm.vcpuAt(vcpu).object }, () => {
        readStates = this.#states();
      });
      const wait = idle === 'halted' ? ('asleep' as const) : ('spinning' as const);
      return [
        (record: RecordReader): Leftover[] => (record.u8() === 1 ? [{ vcpu, wait, states: readStates(record) }] : []),
      ];
    });
    return (record) => reads.flatMap((read) => read(record));
  }

  #states(): Read<Leftover['states']> {
    const reads = this.#program.vcpus.map((_, position) => this.#vm.vcpuAt(position).state(this.#script));
    return (record) => reads.map((read) => read(record));
  }

  /** Whoever has something left takes it, and logs are read. */
  #takeRest(): Read<Arrivals> {
    const script = this.#script;
    const reads = this.#program.vcpus.flatMap((vcpu, position) => {
      if (vcpu.idle === 'halted') this.#vm.vcpuAt(position).wakeUp(script);
      const takes = vcpu.idle === 'parked' || runsMeanwhile(vcpu);
      if (!takes || this.#program.machine.irqchip === 'none') return [];
      const one = this.#vm.vcpuAt(position);
      let readWindow: Read<void> = () => undefined;
      // Its registers are given inside of the condition: where the vCPU does not run, KVM would take them, CR8 among them, in
      // its next run. Outside of it nobody knows which registers it has.
      one.leaveHome();
      script.branch('ifPending', { vcpu: one.object }, () => {
        readWindow = this.#vm.receiverAt(position).openWindow(script);
      });
      one.leaveHome();
      return [(record: RecordReader): void => void (record.u8() === 1 && readWindow(record))];
    });
    const logs = this.#program.vcpus.map((setup, position) => this.#vm.takeLog(script, position, setup));
    return (record) => {
      for (const read of reads) read(record);
      return logs.map((read) => read(record).vectors);
    };
  }

  #positionsOf(idle: 'halted' | 'spinning'): number[] {
    return this.#program.vcpus.flatMap((vcpu, position) => (vcpu.idle === idle ? [position] : []));
  }
}

function stepOf(
  { result, exception, exit, registers }: CallResult,
  arrivals: Arrivals,
  leftovers: readonly Leftover[],
): StepObservation {
  const priorities = arrivals.map(() => []);
  return { result, exception, exit, registers, arrivals, priorities, leftovers, lapics: null };
}

/** The steps up to the next `run` step; a concurrent program ends with one. */
function stepsFrom({ steps }: Program, first: number): RaceSteps {
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
