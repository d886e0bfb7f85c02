/**
 * The second VM of a host (`src/case/neighbour.ts`): when it comes, what it does meanwhile, and what is observed of
 * it. It comes when the VM under test is set up. So both need what KVM turns on for either, and one is there when the
 * other goes.
 */
import type { Neighbour } from '../../case/neighbour.ts';
import { handLimits } from '../../hand/operations.ts';
import { encodeConditions, type Script } from '../../hand/script.ts';
import type { LapicChanges } from '../../program/observation.ts';
import type { Program, ProgramCall } from '../../program/program.ts';
import * as map from '../../guest/memory-map.ts';
import { orLost } from '../stop.ts';
import { lostAfterMs } from '../stop.ts';
import type { Vm } from './vm.ts';
import type { Read } from '../writer.ts';

/** KVM turns some static keys off a second after their last user (`DEFINE_STATIC_KEY_DEFERRED_FALSE(..., HZ)`). */
export const pauseMs = 1200;
/** Thread of the hand on which a busy one runs beside a race. */
const neighbourThread = handLimits.threads - 1;
/** How often it goes round in a circle between two calls of a race: the calls of a race come as seldom. */
const spins = 2_000;

const nothing: Read<void> = () => undefined;

/** A second VM while one case runs. */
export class NeighbourVm {
  readonly vm: Vm;
  readonly #program: Program;
  readonly #neighbour: Neighbour;
  #isMade = false;

  /** @param program `neighbourProgram` of it. */
  constructor(vm: Vm, program: Program, neighbour: Neighbour) {
    this.vm = vm;
    this.#program = program;
    this.#neighbour = neighbour;
  }

  get #isBeside(): boolean {
    return this.#neighbour.life === 'beside';
  }

  /** It comes, if it is not there yet; one that does not stay goes again. */
  arrive(script: Script, isConcurrent: boolean): Read<void> {
    const reads: Read<unknown>[] = [];
    if (!this.#isMade) reads.push(this.vm.create(script, this.#program));
    reads.push(this.vm.setUp(script, this.#program));
    this.#isMade = true;
    if (this.#isBeside && isConcurrent) this.#start(script);
    else reads.push(this.#call(script));
    if (!this.#isBeside) this.vm.drop(script, false);
    if (this.#neighbour.life === 'long-gone') script.add('pause', { milliseconds: pauseMs });
    return (record) => {
      for (const read of reads) read(record);
    };
  }

  /** What it does between two steps. */
  between(script: Script): Read<void> {
    return this.#isBeside ? this.#call(script) : nothing;
  }

  /** Its LAPICs at the end; null where it is gone. */
  look(script: Script, isConcurrent: boolean): Read<readonly LapicChanges[] | null> {
    if (!this.#isBeside) return () => null;
    const readEnd = isConcurrent ? this.#finish(script) : nothing;
    const reads = this.#program.vcpus.map((_, position) => this.vm.vcpuAt(position).lapicChanges(script));
    return (record) => {
      readEnd(record);
      return reads.map((read) => read(record));
    };
  }

  get #calls(): readonly ProgramCall[] {
    return this.#program.steps.filter((step) => step.kind === 'call');
  }

  #call(script: Script): Read<void> {
    const calls = this.#calls;
    if (calls.length === 0) return nothing;
    const read = this.vm.call(script, 0, calls);
    return (record) => void read(record);
  }

  #start(script: Script): void {
    const [call] = this.#calls;
    if (call === undefined) return;
    const vcpu = this.vm.vcpuAt(0);
    vcpu.thread = neighbourThread;
    vcpu.goHome(script);
    const calls = Array.from({ length: map.ringEntries }, () => call);
    const paces = calls.map(() => ({ meets: 0, spins }));
    this.vm.ringOf(0).put(script, calls, map.commands.calls, paces);
    script.add('start', { thread: neighbourThread, vcpu: vcpu.object });
  }

  #finish(script: Script): Read<void> {
    if (this.#calls.length === 0) return nothing;
    const done = encodeConditions([{ thread: neighbourThread, asleepAt: null }]);
    script.add('wait', { milliseconds: lostAfterMs, required: 0, conditions: done });
    script.add('stop', { thread: neighbourThread, milliseconds: lostAfterMs });
    return (record) => {
      if (record.u8() === 0) record.u8();
      orLost(() => record.u8(), 'the second VM does not come out of KVM_RUN');
    };
  }
}
