/**
 * Runs one program on a machine. Calls that follow each other from one sender go into one KVM_RUN, unless the run is
 * exact, a vCPU halts meanwhile, or a later input block would overwrite an earlier one.
 */
import type { Program, ProgramAct, ProgramCall, ProgramRun, ProgramStep } from '../case/program.ts';
import type { LapicChanges, Observation, StepObservation } from '../case/observation.ts';
import { type CallResult, noCall, UnexpectedExit } from './call-result.ts';
import type { GuestMachine } from './guest-machine.ts';
import { HaltedVcpus } from './halted.ts';

/** KVM reads at most this much of an input block: 24 bytes and 64 banks. */
const blockBytesMax = 24 + 8 * 64;
/** A step that the host makes while no vCPU runs. */
type Change = Exclude<ProgramStep, ProgramCall | ProgramRun | ProgramAct>;
/** What the handlers of all vCPUs logged during a step. */
type Logs = Pick<StepObservation, 'arrivals' | 'priorities'>;

export class ProgramRunner {
  readonly #machine: GuestMachine;
  readonly #program: Program;
  readonly #isExact: boolean;
  readonly #halted: readonly number[];
  readonly #threads: HaltedVcpus;
  readonly #steps: StepObservation[] = [];
  /** vCPUs that got INIT: they run no more. */
  readonly #initialized = new Set<number>();
  readonly #noLogs: Logs;

  constructor(machine: GuestMachine, program: Program, isExact: boolean) {
    this.#machine = machine;
    this.#program = program;
    this.#isExact = isExact;
    // A vCPU without an APIC takes nothing, and the fence would not reach it: it may as well stay outside.
    this.#halted = program.vcpus.flatMap(({ idle, apic }, position) =>
      idle === 'halted' && apic !== 'hardware-disabled' ? [position] : [],
    );
    this.#threads = new HaltedVcpus(machine);
    const nothing = program.vcpus.map(() => []);
    this.#noLogs = { arrivals: nothing, priorities: nothing };
  }

  /** The observation, without changes of memory. */
  async run(): Promise<Observation> {
    const vpIndexes = this.#machine.setUp(this.#program);
    let stopped: string | null = null;
    try {
      await this.#threads.start(this.#halted);
      for (let at = 0; at < this.#program.steps.length;) at += await this.#runFrom(at);
      await this.#threads.stop(this.#halted);
    } catch (error) {
      if (!(error instanceof UnexpectedExit)) throw error;
      for (const call of error.completed) this.#record(call, this.#noLogs);
      stopped = error.message;
    }
    return { vpIndexes, steps: this.#steps, lapics: stopped === null ? this.#lapics() : [], memory: [], stopped };
  }

  /** Runs the step at `index` and those that go with it; how many that were. */
  async #runFrom(index: number): Promise<number> {
    const { steps } = this.#program;
    const step = steps[index]!;
    if (this.#halted.length > 0 && step.kind !== 'run' && step.kind !== 'act') {
      await this.#stepFenced(step);
      return 1;
    }
    if (step.kind !== 'call') {
      await this.#recordChange(step);
      return 1;
    }
    const calls = this.#isExact ? [step] : groupFrom(steps, index);
    for (const result of this.#make(calls)) this.#record(result, this.#noLogs);
    return calls.length;
  }

  /** A step that is no call. */
  async #recordChange(step: Exclude<ProgramStep, ProgramCall>): Promise<void> {
    if (step.kind !== 'run' && step.kind !== 'act') return this.#record(this.#change(step), this.#noLogs);
    if (step.kind === 'act') await this.#machine.act(step);
    else await this.#goOn();
    this.#record(null, this.#takeLogs());
  }

  #change(step: Change): CallResult | null {
    switch (step.kind) {
      case 'msr':
        return { ...noCall, result: this.#machine.writeMsr(step) ? 1n : 0n };
      case 'apic':
        this.#machine.changeApic(step, this.#program.vcpus[step.vcpu]!);
        return null;
      case 'init':
        this.#machine.init(step);
        this.#initialized.add(step.vcpu);
        return null;
    }
  }

  /** Makes calls of one sender: through its ring, or one call in its own way. */
  #make(calls: readonly ProgramCall[]): CallResult[] {
    for (const call of calls) this.#machine.write(call.writes);
    const { entry, sender, registers } = calls[0]!;
    return entry === null ? this.#machine.call(sender, calls) : [this.#machine.enter(sender, entry, registers)];
  }

  /** One step while others halt: its vCPU comes out of its own halt, and everybody is fenced behind it. */
  async #stepFenced(step: ProgramCall | Change): Promise<void> {
    const actor = step.kind === 'call' ? step.sender : step.vcpu;
    const actorHalts = this.#halted.includes(actor);
    if (actorHalts) await this.#threads.stop([actor]);
    const result = step.kind === 'call' ? this.#make([step])[0]! : this.#change(step);
    if (actorHalts) await this.#threads.start([actor]);
    await this.#threads.stop(this.#halted);
    this.#record(result, this.#takeLogs());
    await this.#threads.start(this.#halted);
  }

  /** The parked vCPUs go on, one after the other. */
  async #goOn(): Promise<void> {
    for (const [position, { idle }] of this.#program.vcpus.entries()) {
      if (idle === 'parked' && !this.#initialized.has(position)) await this.#machine.goOn(position);
    }
  }

  #takeLogs(): Logs {
    const logs = this.#program.vcpus.map((setup, position) => this.#machine.takeLog(position, setup));
    return {
      arrivals: logs.map(({ vectors }) => vectors),
      priorities: logs.map(({ priorities }) => priorities),
    };
  }

  #record(call: CallResult | null, { arrivals, priorities }: Logs): void {
    this.#steps.push({
      result: call?.result ?? null,
      exception: call?.exception ?? null,
      exit: call?.exit ?? null,
      registers: call?.registers ?? [],
      arrivals,
      priorities,
      leftovers: [],
      lapics: this.#isExact && this.#halted.length === 0 ? this.#lapics() : null,
    });
  }

  #lapics(): LapicChanges[] {
    return this.#program.vcpus.map((_, position) => this.#machine.lapicChanges(position));
  }
}

/** The calls from `index` on that can go into one KVM_RUN and still do what they do one by one. */
export function groupFrom(steps: Program['steps'], index: number): ProgramCall[] {
  const group: ProgramCall[] = [];
  /** Where the blocks of the group start; each may be read up to `blockBytesMax` further. */
  const starts: number[] = [];
  for (let at = index; at < steps.length; at++) {
    const step = steps[at]!;
    if (step.kind !== 'call' || (group.length > 0 && (step.entry !== null || step.sender !== group[0]!.sender))) break;
    // Without a write the call is fast or its block lies outside of RAM; what is written lies in RAM.
    const [write] = step.writes;
    if (write !== undefined) {
      const gpa = Number(write.gpa);
      const end = gpa + write.bytes.length;
      if (starts.some((start) => gpa < start + blockBytesMax && end > start)) break;
      starts.push(gpa);
    }
    group.push(step);
    if (step.entry !== null) break;
  }
  return group;
}
