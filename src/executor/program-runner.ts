/**
 * Runs one program on a machine. Calls that follow each other from one sender go into one KVM_RUN, unless the run is
 * exact, a vCPU halts meanwhile, or a later input block would overwrite an earlier one.
 */
import type { Program, ProgramCall } from '../case/program.ts';
import type { Arrivals, LapicChanges, Observation, StepObservation } from '../case/observation.ts';
import { type CallResult, type GuestMachine, UnexpectedExit } from './guest-machine.ts';
import { HaltedVcpus } from './halted.ts';

/** KVM reads at most this much of an input block: 24 bytes and 64 banks. */
const blockBytesMax = 24 + 8 * 64;

export class ProgramRunner {
  readonly #machine: GuestMachine;
  readonly #program: Program;
  readonly #isExact: boolean;
  readonly #halted: readonly number[];
  readonly #threads: HaltedVcpus;
  readonly #steps: StepObservation[] = [];
  readonly #noArrivals: Arrivals;

  constructor(machine: GuestMachine, program: Program, isExact: boolean) {
    this.#machine = machine;
    this.#program = program;
    this.#isExact = isExact;
    // A vCPU without an APIC takes nothing, and the fence would not reach it: it may as well stay outside.
    this.#halted = program.vcpus.flatMap(({ idle, apic }, position) =>
      idle === 'halted' && apic !== 'hardware-disabled' ? [position] : [],
    );
    this.#threads = new HaltedVcpus(machine);
    this.#noArrivals = program.vcpus.map(() => []);
  }

  /** The observation, without changes of memory. */
  async run(): Promise<Observation> {
    const vpIndexes = this.#machine.setUp(this.#program.vcpus);
    let stopped: string | null = null;
    try {
      await this.#threads.start(this.#halted);
      for (let at = 0; at < this.#program.steps.length;) at += await this.#runFrom(at);
      await this.#threads.stop(this.#halted);
    } catch (error) {
      if (!(error instanceof UnexpectedExit)) throw error;
      for (const call of error.completed) this.#record(call, this.#noArrivals);
      stopped = error.message;
    }
    return { vpIndexes, steps: this.#steps, lapics: stopped === null ? this.#lapics() : [], memory: [], stopped };
  }

  /** Runs the step at `index` and those that go with it; how many that were. */
  async #runFrom(index: number): Promise<number> {
    const { steps } = this.#program;
    const step = steps[index]!;
    if (step.kind === 'run') {
      this.#openWindows();
      this.#record(null, this.#takeLogs());
      return 1;
    }
    if (this.#halted.length > 0) {
      await this.#callFenced(step);
      return 1;
    }
    const calls = this.#isExact ? [step] : groupFrom(steps, index);
    for (const call of calls) this.#machine.write(call.writes);
    for (const result of this.#machine.call(step.sender, calls)) this.#record(result, this.#noArrivals);
    return calls.length;
  }

  /** One call while others halt: the sender comes out of its own halt, and everybody is fenced behind the call. */
  async #callFenced(call: ProgramCall): Promise<void> {
    const senderHalts = this.#halted.includes(call.sender);
    if (senderHalts) await this.#threads.stop([call.sender]);
    this.#machine.write(call.writes);
    const [result] = this.#machine.call(call.sender, [call]);
    if (senderHalts) await this.#threads.start([call.sender]);
    await this.#threads.stop(this.#halted);
    this.#record(result!, this.#takeLogs());
    await this.#threads.start(this.#halted);
  }

  #openWindows(): void {
    this.#program.vcpus.forEach((vcpu, position) => {
      if (vcpu.idle === 'parked') this.#machine.openWindow(position);
    });
  }

  #takeLogs(): Arrivals {
    return this.#program.vcpus.map((_, position) => this.#machine.takeLog(position));
  }

  #record(call: CallResult | null, arrivals: Arrivals): void {
    this.#steps.push({
      result: call === null || call.exception !== null ? null : call.result,
      exception: call?.exception ?? null,
      registers: call?.registers ?? [],
      arrivals,
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
    if (step.kind === 'run' || (group.length > 0 && step.sender !== group[0]!.sender)) break;
    // Without a write the call is fast or its block lies outside of RAM; what is written lies in RAM.
    const [write] = step.writes;
    if (write !== undefined) {
      const gpa = Number(write.gpa);
      const end = gpa + write.bytes.length;
      if (starts.some((start) => gpa < start + blockBytesMax && end > start)) break;
      starts.push(gpa);
    }
    group.push(step);
  }
  return group;
}
