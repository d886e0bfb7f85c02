/**
 * Runs programs on real KVM, through a hand. A batch is one script. VMs are kept by platform and set up anew for each program;
 * an exact run gets a VM of its own.
 */
import { arenaStart, ramEnd } from '../case/memory.ts';
import type { Neighbour } from '../case/neighbour.ts';
import { InfrastructureError } from '../errors.ts';
import { assembleGuest } from '../guest/program.ts';
import type { Hand } from '../hand/hand.ts';
import { Script } from '../hand/script.ts';
import { addConcurrent } from '../machine/concurrent.ts';
import { ObjectNumbers } from '../machine/vm/object-numbers.ts';
import { addOrdered } from '../machine/ordered.ts';
import { NeighbourVm, pauseMs } from '../machine/vm/neighbour.ts';
import { Slots } from '../machine/vm/slots.ts';
import { VectorRegisters } from '../machine/calls/vector-registers.ts';
import { Vm, type VmParts } from '../machine/vm/vm.ts';
import { UnexpectedExit } from '../machine/stop.ts';
import type { Read } from '../machine/writer.ts';
import type { Observation } from '../program/observation.ts';
import { neighbourProgram } from '../program/neighbour.ts';
import type { Program } from '../program/program.ts';
import { Draft } from './draft.ts';
import type { Executor, RunOptions } from './executor.ts';
import type { TargetFacts } from './facts.ts';
import { type FactOptions, type KvmFacts, readKvmFacts, spareVcpus, spareVms } from './kvm-facts.ts';
import { dropVm, VmPool } from './vm-pool.ts';

/**
 * KVM walks all vCPUs of a VM whenever one of them is made or a LAPIC is set. A VM of 1,024 takes some 8 s of an emulated
 * CPU to make, and 2 s to reset when all of them have got something; this is twice that.
 */
const patienceMsPerPair = 0.02;

/** Second VMs that live beside programs of a batch, by their program; they go with its end, so that what KVM does for them is undone. */
type Neighbours = Map<Program, NeighbourVm>;

export class KvmExecutor implements Executor {
  readonly facts: TargetFacts;
  readonly #hand: Hand;
  readonly #parts: VmParts;
  readonly #pool: VmPool;
  /** Whether something ended otherwise than its script says: what is there in the hand is not known any more. */
  #isLost = false;

  /** @throws as `readKvmFacts`. */
  static async open(hand: Hand, target: TargetFacts['target'], options: FactOptions = {}): Promise<KvmExecutor> {
    return new KvmExecutor(hand, await readKvmFacts(hand, target, options));
  }

  private constructor(hand: Hand, { facts, cpuid }: KvmFacts) {
    this.#hand = hand;
    this.facts = facts;
    const isAmd = facts.cpu === 'AuthenticAMD' || facts.cpu === 'HygonGenuine';
    this.#parts = {
      slots: new Slots(),
      numbers: new ObjectNumbers({ vms: spareVms, vcpus: spareVcpus }),
      code: assembleGuest(isAmd ? 'vmmcall' : 'vmcall'),
      cpuid,
      vectors: new VectorRegisters(cpuid.hasAvx),
      kvmMaxVcpus: facts.kvmMaxVcpus,
      canInterceptXen: facts.xen,
      canEnforceCpuid: facts.enforcesCpuid === true,
    };
    this.#pool = new VmPool(this.#parts);
  }

  async run(programs: readonly Program[], options: RunOptions): Promise<Observation[]> {
    const observations: (Observation | undefined)[] = Array.from({ length: programs.length }, () => undefined);
    let isEndless = false;
    // What a program left behind may keep others of its batch from running: those are run again.
    for (let round = 0; !isEndless; round++) {
      const missing = programs.flatMap((_, index) => (observations[index] === undefined ? [index] : []));
      if (missing.length === 0) break;
      if (round > programs.length) throw new InfrastructureError('the hand leaves programs out');
      isEndless = await this.#runSome(programs, missing, options, observations);
    }
    const end = observations.indexOf(undefined);
    return (end === -1 ? observations : observations.slice(0, end)) as Observation[];
  }

  /** Drops the spare VMs too, where there are any: the next one to open this hand makes its own. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runReset(0).catch(() => undefined);
  }

  /** Runs programs of a batch in one script; whether one of them made no exit, behind which nothing was run. */
  async #runSome(
    programs: readonly Program[],
    indexes: readonly number[],
    { exact, quiet = false }: RunOptions,
    observations: (Observation | undefined)[],
  ): Promise<boolean> {
    if (this.#isLost) this.#reset();
    const draft = new Draft(observations);
    const neighbours: Neighbours = new Map();
    for (const index of indexes) {
      if (exact) this.#addExact(draft, neighbours, programs[index]!, index, quiet);
      else this.#addPooled(draft, neighbours, programs[index]!, index);
    }
    if (!exact) this.#pool.compareMemory(draft);
    for (const { vm } of neighbours.values()) dropVm(draft, vm, false);
    const patienceMs = indexes.reduce((total, index) => total + patienceFor(programs[index]!), 0);
    try {
      const { isEndless, isDone } = draft.read(await this.#hand.run(draft.script.finish(), patienceMs));
      if (!isDone) this.#isLost = true;
      return isEndless;
    } catch (error) {
      // How much of it was done is not known.
      this.#isLost = true;
      throw error;
    }
  }

  /** Everything that was made is given up. Scripts are executed in order, so nobody waits for this one. */
  #reset(): void {
    this.#runReset(spareVms).catch(() => undefined);
    this.#isLost = false;
    this.#pool.clear();
    this.#parts.slots.clear();
    this.#parts.numbers.clear();
  }

  #runReset(firstVm: number): Promise<Buffer> {
    const script = new Script();
    script.case(0);
    script.add('reset', { firstVm });
    return this.#hand.run(script.finish(), 0);
  }

  #addExact(draft: Draft, neighbours: Neighbours, program: Program, index: number, isQuiet: boolean): void {
    const vm = new Vm(this.#parts, program);
    const { script } = draft;
    draft.add(index, () => {
      const readCreated = vm.create(script, program);
      const read = this.#addProgram(script, neighbours, vm, program, !isQuiet);
      return (record) => {
        readCreated(record);
        draft.observe(index, read(record));
      };
    });
    draft.add(null, () => {
      const read = vm.memory.takeChanges(script);
      return (record) => draft.addMemory(index, read(record));
    });
    // An exact run is alone: what its VM comes to at its end is its own doing.
    dropVm(draft, vm, false);
  }

  #addPooled(draft: Draft, neighbours: Neighbours, program: Program, index: number): void {
    const { vm, isNew } = this.#pool.take(draft, program);
    const { script } = draft;
    const pages = hypercallPages(program);
    draft.add(index, () => {
      const readCreated = isNew ? vm.create(script, program) : null;
      const readStray = vm.memory.takeChangesOf(script, pages);
      const read = this.#addProgram(script, neighbours, vm, program, false);
      const readMemory = vm.memory.takeChangesOf(script, pages);
      return (record) => {
        readCreated?.(record);
        draft.addStray(readStray(record));
        const observation = read(record);
        draft.observe(index, observation);
        if (observation.stopped === null) draft.addMemory(index, readMemory(record));
      };
    });
  }

  #addProgram(
    script: Script,
    neighbours: Neighbours,
    vm: Vm,
    program: Program,
    looksAtSteps: boolean,
  ): Read<Observation> {
    const { schedule, neighbour } = program.machine;
    const other = neighbour === null ? null : this.#neighbourOf(neighbours, neighbour);
    const read =
      schedule === null
        ? addOrdered(script, vm, program, looksAtSteps, other)
        : addConcurrent(script, vm, program, schedule, this.#parts.code, other);
    return (record) => {
      try {
        return read(record);
      } catch (error) {
        // While its vCPUs are brought up to date (`addCatchUp`), before a step.
        if (!(error instanceof UnexpectedExit)) throw error;
        return stoppedAtOnce(program, error.message);
      }
    };
  }

  #neighbourOf(known: Neighbours, neighbour: Neighbour): NeighbourVm {
    const program = neighbourProgram(neighbour);
    const isBeside = neighbour.life === 'beside';
    const one =
      (isBeside ? known.get(program) : undefined) ?? new NeighbourVm(new Vm(this.#parts, program), program, neighbour);
    if (isBeside) known.set(program, one);
    return one;
  }
}

/** How long a program may take beyond what all may: milliseconds. */
function patienceFor({ machine: { neighbour }, vcpus }: Program): number {
  return patienceMsPerPair * vcpus.length ** 2 + (neighbour?.life === 'long-gone' ? pauseMs : 0);
}

/** Of VP indexes nothing is known then, so they are as they were asked for. */
function stoppedAtOnce({ vcpus }: Program, stopped: string): Observation {
  const vpIndexes = vcpus.map(({ vpIndex }) => vpIndex);
  return { vpIndexes, steps: [], lapics: [], neighbour: null, memory: [], stopped };
}

/** Pages of RAM that KVM may be asked to write: hypercall pages, ascending. Nothing else is for KVM to write. */
function hypercallPages({ steps }: Program): bigint[] {
  const pages = new Set<bigint>();
  for (const step of steps) {
    if (step.kind !== 'write-msr' || step.msr !== 'hypercall' || step.value >= ramEnd) continue;
    const page = step.value - (step.value % 0x1000n);
    if (page >= arenaStart) pages.add(page);
  }
  return [...pages].sort((left, right) => (left < right ? -1 : 1));
}
