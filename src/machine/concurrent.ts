/** A concurrent program as operations: race after race, each up to its `run` step. */
import type { GuestCode } from '../guest/program.ts';
import type { Script } from '../hand/script.ts';
import type { Arrivals, Leftover, Observation, StepObservation } from '../program/observation.ts';
import type { Program } from '../program/program.ts';
import { scheduleOf } from '../program/schedule.ts';
import { Fence } from './race/fence.ts';
import { type RaceResult, Races, type RaceSteps, stepsFrom } from './race/race.ts';
import { type CallResult, noCall, UnexpectedExit } from './stop.ts';
import type { NeighbourVm } from './vm/neighbour.ts';
import { giveThreads } from './threads.ts';
import type { Vm } from './vm/vm.ts';
import type { Read } from './writer.ts';

/** Adds a concurrent program; the observation is without changes of memory. */
export function addConcurrent(
  script: Script,
  vm: Vm,
  program: Program,
  seed: number,
  code: GuestCode,
  neighbour: NeighbourVm | null,
): Read<Observation> {
  giveThreads(
    vm,
    program.vcpus.map((_, position) => position),
  );
  const fence = new Fence(script, vm, program);
  const races = new Races(script, vm, program, scheduleOf(seed, program), code, fence);
  const noArrivals: Arrivals = program.vcpus.map(() => []);
  const readSetUp = vm.setUp(script, program);
  const readArrival = neighbour?.arrive(script, true) ?? (() => undefined);
  const written: { steps: RaceSteps; read: Read<RaceResult>; readRest: Read<Arrivals> }[] = [];
  const { steps } = program;
  for (let at = 0; at < steps.length;) {
    const own = stepsFrom(program, at);
    written.push({ steps: own, read: races.run(own), readRest: fence.takeRest() });
    at += own.calls.length + own.changes.length + 1;
  }
  const readLapics = program.vcpus.map((_, position) => vm.vcpuAt(position).lapicChanges(script));
  const readNeighbour = neighbour?.look(script, true) ?? (() => null);
  return (record) => {
    const vpIndexes = readSetUp(record);
    readArrival(record);
    const observed: StepObservation[] = [];
    let stopped: string | null = null;
    try {
      for (const race of written) {
        const result = race.read(record);
        stopped = noteRace(race.steps, result, observed, noArrivals);
        // What a stopped race left over is known although its fence was not reached.
        const arrivals = stopped === null ? race.readRest(record) : noArrivals;
        observed.push(stepOf(noCall, arrivals, result.leftovers));
        if (stopped !== null) break;
      }
    } catch (error) {
      if (!(error instanceof UnexpectedExit)) throw error;
      stopped = error.message;
    }
    const lapics = stopped === null ? readLapics.map((read) => read(record)) : [];
    const neighbourLapics = stopped === null ? readNeighbour(record) : null;
    return { vpIndexes, steps: observed, lapics, neighbour: neighbourLapics, memory: [], stopped };
  };
}

/** Adds what was seen of a race's calls and changes; why it stopped, or null. */
function noteRace(
  { first, calls, changes }: RaceSteps,
  result: RaceResult,
  observed: StepObservation[],
  noArrivals: Arrivals,
): string | null {
  for (let index = first; index < first + calls.length + changes.length; index++) {
    const one = result.results.get(index);
    if (one === undefined) return result.stopped ?? `step ${index + 1} was not made`;
    observed.push(stepOf(one, noArrivals, []));
  }
  return result.stopped;
}

function stepOf(
  { result, exception, exit, registers }: CallResult,
  arrivals: Arrivals,
  leftovers: readonly Leftover[],
): StepObservation {
  const priorities = arrivals.map(() => []);
  return { result, exception, exit, registers, arrivals, priorities, leftovers, lapics: null };
}
