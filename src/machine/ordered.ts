/**
 * A program whose steps follow each other, as operations. Calls that follow each other from one sender go into one KVM_RUN,
 * unless the run is exact, a vCPU halts meanwhile, or a later input block would overwrite an earlier one.
 */
import type { RecordReader } from '../hand/record.ts';
import type { Script } from '../hand/script.ts';
import type { LapicChanges, Observation, StepObservation } from '../program/observation.ts';
import { kindOfChange } from '../case/steps/kinds.ts';
import {
  isRingEnvironment,
  type Program,
  type ProgramCall,
  type ProgramChange,
  type ProgramStep,
} from '../program/program.ts';
import { takesInterrupts } from '../program/tier.ts';
import { addChange, bringsOut } from './changes.ts';
import { type CallResult, noCall, UnexpectedExit } from './stop.ts';
import type { NeighbourVm } from './vm/neighbour.ts';
import { giveThreads } from './threads.ts';
import type { Vm } from './vm/vm.ts';
import type { Read } from './writer.ts';

/** KVM reads at most this much of an input block: 24 bytes and 64 banks. */
const blockBytesMax = 24 + 8 * 64;
const pageBytes = 0x1000;
/** What the handlers of all vCPUs logged during a step. */
type Logs = Pick<StepObservation, 'arrivals' | 'priorities'>;

/** Adds a program; the observation is without changes of memory. */
export function addOrdered(
  script: Script,
  vm: Vm,
  program: Program,
  isExact: boolean,
  neighbour: NeighbourVm | null,
): Read<Observation> {
  return new OrderedProgram(script, vm, program, isExact, neighbour).add();
}

class OrderedProgram {
  readonly #script: Script;
  readonly #vm: Vm;
  readonly #program: Program;
  readonly #isExact: boolean;
  readonly #neighbour: NeighbourVm | null;
  /** Whoever sleeps between steps; a vCPU that gets INIT leaves them. */
  #halted: readonly number[];
  /** vCPUs that got INIT: they run no more. */
  readonly #initialized = new Set<number>();
  /** The last step of each vCPU that called through its ring. */
  readonly #lastCalls = new Map<number, number>();
  readonly #noLogs: Logs;
  readonly #reads: Read<void>[] = [];
  /** How many steps are in the script so far. */
  #stepCount = 0;
  /** Filled while the record is read. */
  #steps: StepObservation[] = [];

  constructor(script: Script, vm: Vm, program: Program, isExact: boolean, neighbour: NeighbourVm | null) {
    this.#script = script;
    this.#vm = vm;
    this.#program = program;
    this.#isExact = isExact;
    this.#neighbour = neighbour;
    // A vCPU without an APIC takes nothing, and the fence would not reach it: it may as well stay outside.
    this.#halted = program.vcpus.flatMap(({ idle, apic }, position) =>
      idle === 'halted' && apic !== 'hardware-disabled' ? [position] : [],
    );
    giveThreads(vm, this.#halted);
    const nothing = program.vcpus.map(() => []);
    this.#noLogs = { arrivals: nothing, priorities: nothing };
  }

  add(): Read<Observation> {
    const readSetUp = this.#vm.setUp(this.#script, this.#program);
    if (this.#neighbour !== null) this.#reads.push(this.#neighbour.arrive(this.#script, false));
    this.#start(this.#halted);
    const { steps } = this.#program;
    for (let at = 0; at < steps.length;) {
      if (at > 0 && this.#neighbour !== null) this.#reads.push(this.#neighbour.between(this.#script));
      if (steps[at]!.kind === 'call' && this.#halted.length === 0) at += this.#callFrom(at);
      else this.#step(steps[at++]!);
    }
    this.#stop(this.#halted);
    this.#lookAtUpperHalves();
    const readLapics = this.#lapics();
    const readNeighbour = this.#neighbour?.look(this.#script, false) ?? (() => null);
    return (record) => this.#observe(record, readSetUp, readLapics, readNeighbour);
  }

  #observe(
    record: RecordReader,
    readSetUp: Read<number[]>,
    readLapics: Read<LapicChanges[]>,
    readNeighbour: Read<Observation['neighbour']>,
  ): Observation {
    this.#steps = [];
    const vpIndexes = readSetUp(record);
    try {
      for (const read of this.#reads) read(record);
      const [steps, lapics, neighbour] = [this.#steps, readLapics(record), readNeighbour(record)];
      return { vpIndexes, steps, lapics, neighbour, memory: [], stopped: null };
    } catch (error) {
      if (!(error instanceof UnexpectedExit)) throw error;
      for (const call of error.completed) this.#steps.push(stepOf(call, this.#noLogs, null));
      return { vpIndexes, steps: this.#steps, lapics: [], neighbour: null, memory: [], stopped: error.message };
    }
  }

  /** Makes the call at `index` and those that go with it; how many that were. */
  #callFrom(index: number): number {
    const calls = groupFrom(this.#program.steps, index, this.#isExact ? 1 : Infinity);
    const readCalls = this.#make(calls);
    this.#record(readCalls, takesInterrupts(calls[0]!) ? this.#takeLogs() : () => this.#noLogs, calls.length);
    return calls.length;
  }

  /** A step that is no call, or one while others halt. */
  #step(step: ProgramStep): void {
    const takes = step.kind !== 'call' && takesInterrupts(step);
    if (step.kind === 'call' || (this.#halted.length > 0 && !takes)) this.#stepFenced(step);
    else this.#record(this.#change(step), takes ? this.#takeLogs() : () => this.#noLogs);
  }

  #change(step: ProgramChange): Read<CallResult[]> {
    const surroundings = { script: this.#script, vm: this.#vm, program: this.#program, isExact: this.#isExact };
    const read = addChange(step, { ...surroundings, initialized: this.#initialized, racing: null });
    if ('vcpu' in step && kindOfChange(step).stops) {
      this.#initialized.add(step.vcpu);
      this.#halted = this.#halted.filter((position) => position !== step.vcpu);
    }
    return (record) => [{ ...noCall, result: read(record) }];
  }

  /** Makes calls of one sender. */
  #make(calls: readonly ProgramCall[]): Read<CallResult[]> {
    const { environment, sender } = calls[0]!;
    if (isRingEnvironment(environment)) this.#lastCalls.set(sender, this.#stepCount + calls.length - 1);
    return this.#vm.call(this.#script, sender, calls);
  }

  /**
   * One step while others halt: its vCPUs come out of their own halt, and everybody is fenced behind it. Who gets INIT would
   * wait for SIPI in KVM_RUN, where no NMI fetches it (kvm_apic_accept_events): it stays outside.
   */
  #stepFenced(step: ProgramStep): void {
    const actors = this.#halted.filter((position) =>
      step.kind === 'call' ? step.sender === position : bringsOut(step, position),
    );
    this.#stop(actors);
    const read = step.kind === 'call' ? this.#make([step]) : this.#change(step);
    let results: CallResult[] = [];
    this.#reads.push((record) => void (results = read(record)));
    this.#start(actors.filter((position) => !this.#initialized.has(position)));
    this.#stop(this.#halted);
    this.#record(() => results, this.#takeLogs());
    this.#start(this.#halted);
  }

  #start(positions: readonly number[]): void {
    for (const position of positions) this.#vm.startHalting(this.#script, position);
    for (const position of positions) this.#reads.push(this.#vm.waitForHalt(this.#script, position));
  }

  #stop(positions: readonly number[]): void {
    for (const position of positions) this.#reads.push(this.#vm.fetch(this.#script, position));
  }

  /** A change shows at the last call of its vCPU: once for a program is often enough to look for what never happens. */
  #lookAtUpperHalves(): void {
    for (const [sender, index] of this.#lastCalls) {
      const read = this.#vm.upperHalfChanges(this.#script, sender);
      this.#reads.push((record) => {
        const changes = read(record);
        const step = this.#steps[index]!;
        if (changes.length > 0) this.#steps[index] = { ...step, registers: [...step.registers, ...changes] };
      });
    }
  }

  #takeLogs(): Read<Logs> {
    const reads = this.#program.vcpus.map((setup, position) => this.#vm.takeLog(this.#script, position, setup));
    return (record) => {
      const logs = reads.map((read) => read(record));
      return { arrivals: logs.map(({ vectors }) => vectors), priorities: logs.map(({ priorities }) => priorities) };
    };
  }

  /** Notes steps: what came of them, what was logged, and in an exact run the LAPICs behind them. */
  #record(readResults: Read<readonly CallResult[]>, readLogs: Read<Logs>, count = 1): void {
    this.#stepCount += count;
    const readLapics = this.#isExact && this.#halted.length === 0 ? this.#lapics() : null;
    this.#reads.push((record) => {
      const results = readResults(record);
      const logs = readLogs(record);
      const lapics = readLapics?.(record) ?? null;
      for (const result of results) this.#steps.push(stepOf(result, logs, lapics));
    });
  }

  #lapics(): Read<LapicChanges[]> {
    const reads = this.#program.vcpus.map((_, position) => this.#vm.vcpuAt(position).lapicChanges(this.#script));
    return (record) => reads.map((read) => read(record));
  }
}

function stepOf(
  { result, exception, exit, registers }: CallResult,
  { arrivals, priorities }: Logs,
  lapics: readonly LapicChanges[] | null,
): StepObservation {
  return { result, exception, exit, registers, arrivals, priorities, leftovers: [], lapics };
}

/** The calls from `index` on that can go into one KVM_RUN and still do what they do one by one; at most `callsMax`. */
export function groupFrom(steps: Program['steps'], index: number, callsMax = Infinity): ProgramCall[] {
  const group: ProgramCall[] = [];
  /** What the group's calls may read or execute: a later write must not come in between. */
  const used: { readonly start: number; readonly end: number }[] = [];
  for (let at = index; at < steps.length && group.length < callsMax; at++) {
    const step = steps[at]!;
    if (step.kind !== 'call') break;
    if (group.length > 0 && takesInterrupts(step)) break;
    if (group.length > 0 && (!isRingEnvironment(step.environment) || step.sender !== group[0]!.sender)) break;
    // Without a write the call is fast or its block lies outside of RAM; what is written lies in RAM.
    const [write] = step.writes;
    if (write !== undefined) {
      const gpa = Number(write.gpa);
      const end = gpa + write.bytes.length;
      if (used.some((one) => gpa < one.end && end > one.start)) break;
      used.push({ start: gpa, end: gpa + blockBytesMax });
    }
    const { page } = step.environment;
    if (page !== null) used.push({ start: Number(page), end: Number(page) + pageBytes });
    group.push(step);
    // What its handlers log is the call's.
    if (!isRingEnvironment(step.environment) || takesInterrupts(step)) break;
  }
  return group;
}
