/**
 * Runs one program on a machine. Calls that follow each other from one sender go into one KVM_RUN, unless the run is
 * exact, a vCPU halts meanwhile, or a later input block would overwrite an earlier one.
 */
import type { Program, ProgramAct, ProgramCall, ProgramRun, ProgramStep } from '../program/program.ts';
import type { LapicChanges, Observation, StepObservation } from '../program/observation.ts';
import { type CallResult, noCall, UnexpectedExit } from './call-result.ts';
import { startTicks, stopTicks } from '../kvm/ticks.ts';
import { fitsRing } from './call-ring.ts';
import type { GuestMachine } from './guest-machine.ts';
import { HaltedVcpus } from './halted.ts';

/** KVM reads at most this much of an input block: 24 bytes and 64 banks. */
const blockBytesMax = 24 + 8 * 64;
const pageBytes = 0x1000;
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
  /** The last step of each vCPU that called through its ring. */
  readonly #lastCalls = new Map<number, number>();
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
    startTicks();
    let stopped: string | null = null;
    try {
      await this.#threads.start(this.#halted);
      const { steps } = this.#program;
      for (let at = 0; at < steps.length;) {
        // Nothing has to be waited for where all is done on this thread.
        if (steps[at]!.kind === 'call' && this.#halted.length === 0) at += this.#callFrom(at);
        else await this.#step(steps[at++]!);
      }
      await this.#threads.stop(this.#halted);
      this.#lookAtUpperHalves();
    } catch (error) {
      if (!(error instanceof UnexpectedExit)) throw error;
      for (const call of error.completed) this.#record(call, this.#noLogs);
      stopped = error.message;
    } finally {
      stopTicks();
    }
    return { vpIndexes, steps: this.#steps, lapics: stopped === null ? this.#lapics() : [], memory: [], stopped };
  }

  /** Makes the call at `index` and those that go with it; how many that were. */
  #callFrom(index: number): number {
    const calls = groupFrom(this.#program.steps, index, this.#isExact ? 1 : Infinity);
    for (const result of this.#make(calls)) this.#record(result, this.#noLogs);
    return calls.length;
  }

  /** A step that is no call, or one while others halt. */
  async #step(step: ProgramStep): Promise<void> {
    if (step.kind === 'act') await this.#machine.act(step);
    else if (step.kind === 'run') await this.#goOn();
    else if (step.kind === 'call' || this.#halted.length > 0) return this.#stepFenced(step);
    else return this.#record(this.#change(step), this.#noLogs);
    this.#record(null, this.#takeLogs());
  }

  #change(step: Change): CallResult | null {
    switch (step.kind) {
      case 'write-msr':
        return { ...noCall, result: this.#machine.writeMsr(step) ? 1n : 0n };
      case 'set-apic':
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
    const { environment, sender, registers } = calls[0]!;
    if (fitsRing(environment)) {
      this.#lastCalls.set(sender, this.#steps.length + calls.length - 1);
      return this.#machine.call(sender, calls);
    }
    return [this.#machine.enter(sender, environment, registers)];
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

  /** A change shows at the last call of its vCPU: once for a program is often enough to look for what never happens. */
  #lookAtUpperHalves(): void {
    for (const [sender, index] of this.#lastCalls) {
      const changes = this.#machine.upperHalfChanges(sender);
      const step = this.#steps[index]!;
      if (changes.length > 0) this.#steps[index] = { ...step, registers: [...step.registers, ...changes] };
    }
  }

  #takeLogs(): Logs {
    const arrivals: (readonly number[])[] = [];
    const priorities: (readonly number[])[] = [];
    for (const [position, setup] of this.#program.vcpus.entries()) {
      const log = this.#machine.takeLog(position, setup);
      arrivals.push(log.vectors);
      priorities.push(log.priorities);
    }
    return { arrivals, priorities };
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

/** The calls from `index` on that can go into one KVM_RUN and still do what they do one by one; at most `callsMax`. */
export function groupFrom(steps: Program['steps'], index: number, callsMax = Infinity): ProgramCall[] {
  const group: ProgramCall[] = [];
  /** What the group's calls may read or execute: a later write must not come in between. */
  const used: { readonly start: number; readonly end: number }[] = [];
  for (let at = index; at < steps.length && group.length < callsMax; at++) {
    const step = steps[at]!;
    if (step.kind !== 'call') break;
    if (group.length > 0 && (!fitsRing(step.environment) || step.sender !== group[0]!.sender)) break;
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
    if (!fitsRing(step.environment)) break;
  }
  return group;
}
