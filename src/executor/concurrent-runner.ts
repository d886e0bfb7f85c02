/**
 * Runs a concurrent program on a machine: race after race, each up to its `run` step. Behind the fence whoever has
 * something left takes it, so that handlers can be counted.
 */
import type { Arrivals, Leftover, Observation, StepObservation } from '../program/observation.ts';
import { runsMeanwhile } from '../case/limits.ts';
import type { Program, ProgramCall, ProgramWriteMsr } from '../program/program.ts';
import { type Schedule, scheduleOf } from '../program/schedule.ts';
import { type CallResult, noCall, UnexpectedExit } from './call-result.ts';
import type { GuestMachine } from './guest-machine.ts';
import { hasPending } from './lapic-setup.ts';
import { Race, type RaceSteps } from './race.ts';

export class ConcurrentRunner {
  readonly #machine: GuestMachine;
  readonly #program: Program;
  readonly #race: Race;
  readonly #steps: StepObservation[] = [];
  readonly #noArrivals: Arrivals;

  constructor(machine: GuestMachine, program: Program, seed: number) {
    this.#machine = machine;
    this.#program = program;
    const schedule: Schedule = scheduleOf(seed, program);
    this.#race = new Race(machine, program, schedule);
    this.#noArrivals = program.vcpus.map(() => []);
  }

  /** The observation, without changes of memory. */
  async run(): Promise<Observation> {
    const vpIndexes = this.#machine.setUp(this.#program);
    let stopped: string | null = null;
    try {
      for (let at = 0; at < this.#program.steps.length && stopped === null; at = this.#steps.length) {
        stopped = await this.#runFrom(at);
      }
    } catch (error) {
      if (!(error instanceof UnexpectedExit)) throw error;
      stopped = error.message;
    }
    if (stopped !== null) this.#machine.spoil();
    const lapics = stopped === null ? this.#program.vcpus.map((_, vcpu) => this.#machine.lapicChanges(vcpu)) : [];
    return { vpIndexes, steps: this.#steps, lapics, memory: [], stopped };
  }

  /** Runs the race that begins at a step, and its fence; why it was stopped, or null. */
  async #runFrom(first: number): Promise<string | null> {
    const steps = stepsFrom(this.#program, first);
    const { results, leftovers, stopped } = await this.#race.run(steps);
    const count = steps.calls.length + steps.writes.length;
    for (let index = first; index < first + count; index++) {
      const result = results.get(index);
      if (result === undefined) return stopped ?? `step ${index + 1} was not made`;
      this.#record(result, this.#noArrivals, []);
    }
    // What a stopped race left over is known although its fence was not reached.
    if (stopped === null) this.#takeRest();
    const arrivals = this.#program.vcpus.map((vcpu, position) => this.#machine.takeLog(position, vcpu).vectors);
    this.#record(noCall, arrivals, leftovers);
    return stopped;
  }

  #takeRest(): void {
    for (const [position, vcpu] of this.#program.vcpus.entries()) {
      if (vcpu.idle === 'halted') this.#machine.guestAt(position).wakeUp();
      const takes = vcpu.idle === 'parked' || runsMeanwhile(vcpu);
      if (takes && hasPending(this.#machine.lapicChanges(position))) this.#machine.openWindow(position);
    }
  }

  #record(
    { result, exception, exit, registers }: CallResult,
    arrivals: Arrivals,
    leftovers: readonly Leftover[],
  ): void {
    this.#steps.push({
      result,
      exception,
      exit,
      registers,
      arrivals,
      priorities: this.#noArrivals,
      leftovers,
      lapics: null,
    });
  }
}

/** The steps up to the next `run` step; a concurrent program ends with one. */
function stepsFrom({ steps }: Program, first: number): RaceSteps {
  const calls: (ProgramCall & { index: number })[] = [];
  const writes: (ProgramWriteMsr & { index: number })[] = [];
  for (let index = first; steps[index]!.kind !== 'run'; index++) {
    const step = steps[index]!;
    if (step.kind === 'call') calls.push({ ...step, index });
    else if (step.kind === 'write-msr') writes.push({ ...step, index });
    else throw new Error(`a concurrent program has no ${step.kind} step`);
  }
  return { first, calls, writes };
}
