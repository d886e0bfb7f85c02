/**
 * Runs programs on real KVM, through a hand. A batch is one script. VMs are kept by platform and set up anew for each program;
 * an exact run gets a VM of its own.
 */
import { arenaStart, ramEnd } from '../case/memory.ts';
import type { Neighbour } from '../case/neighbour.ts';
import { InfrastructureError } from '../errors.ts';
import { assembleGuest } from '../guest/program.ts';
import type { Hand } from '../hand/hand.ts';
import { type CaseRecord, casesOfRecord, RecordEnd } from '../hand/record.ts';
import { keptCase, Script } from '../hand/script.ts';
import { requestName } from '../hand/uapi.ts';
import { addConcurrent } from '../machine/concurrent.ts';
import { ObjectNumbers } from '../machine/vm/object-numbers.ts';
import { addOrdered } from '../machine/ordered.ts';
import { NeighbourVm, pauseMs } from '../machine/vm/neighbour.ts';
import { platformKey } from '../machine/vm/platform.ts';
import { Slots } from '../machine/vm/slots.ts';
import { VectorRegisters } from '../machine/calls/vector-registers.ts';
import { Vm, type VmParts } from '../machine/vm/vm.ts';
import { UnexpectedExit } from '../machine/stop.ts';
import type { Read } from '../machine/writer.ts';
import type { MemoryChange, Observation } from '../program/observation.ts';
import { neighbourProgram } from '../program/neighbour.ts';
import type { Program } from '../program/program.ts';
import type { Executor, RunOptions } from './executor.ts';
import type { TargetFacts } from './facts.ts';
import { type FactOptions, type KvmFacts, readKvmFacts, spareVcpus, spareVms } from './kvm-facts.ts';

/** VMs that are kept; a batch uses few platforms. */
const poolMax = 24;
/** vCPUs that those have together, besides the largest: it is the one that takes longest to make. */
const pooledVcpusMax = 256;

/**
 * KVM walks all vCPUs of a VM whenever one of them is made or a LAPIC is set. A VM of 1,024 takes some 8 s of an emulated
 * CPU to make, and 2 s to reset when all of them have got something; this is twice that.
 */
const patienceMsPerPair = 0.02;

/** What a case of a script is read by. */
interface Written {
  /** The program's place in its batch; null for what is done between programs. */
  readonly index: number | null;
  readonly read: Read<void>;
}

/** A batch on its way. */
interface Draft {
  readonly script: Script;
  readonly cases: Written[];
  readonly observations: (Observation | undefined)[];
  /** Changes of memory that no program is known to have made. */
  readonly stray: MemoryChange[];
  /** Second VMs that live beside programs of the batch; they go with its end, so that what KVM does for them is undone. */
  readonly neighbours: Map<Program, NeighbourVm>;
}

export class KvmExecutor implements Executor {
  readonly facts: TargetFacts;
  readonly #hand: Hand;
  readonly #parts: VmParts;
  /** By platform, the one that was used last at the end. */
  readonly #pool = new Map<string, Vm>();
  /** Machines that ran something since memory was last compared. */
  readonly #used = new Set<Vm>();
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
    const draft: Draft = { script: new Script(), cases: [], observations, stray: [], neighbours: new Map() };
    if (this.#isLost) this.#reset();
    for (const index of indexes) {
      if (exact) this.#addExact(draft, programs[index]!, index, quiet);
      else this.#addPooled(draft, programs[index]!, index);
    }
    if (!exact) this.#addMemory(draft);
    for (const { vm } of draft.neighbours.values()) this.#drop(draft, vm, false);
    const patienceMs = indexes.reduce((total, index) => total + patienceFor(programs[index]!), 0);
    const record = await this.#hand.run(draft.script.finish(), patienceMs).catch((error: unknown) => {
      // How much of it was done is not known.
      this.#isLost = true;
      throw error;
    });
    const isEndless = this.#read(draft, record);
    // A change of memory that shows only behind a batch cannot be assigned to a program: it shows at each of them.
    for (const index of draft.stray.length === 0 ? [] : indexes) {
      const observation = observations[index];
      if (observation !== undefined) {
        observations[index] = { ...observation, memory: [...observation.memory, ...draft.stray] };
      }
    }
    return isEndless;
  }

  #read(draft: Draft, record: Buffer): boolean {
    let isEndless = false;
    for (const each of casesOfRecord(record)) {
      if (each.number === keptCase) continue;
      const written = draft.cases[each.number]!;
      if (each.ending !== 'done') this.#isLost = true;
      if (each.ending === 'endless') isEndless = true;
      if (each.ending === 'failed') throw failureOf(each);
      if (each.ending !== 'skipped') readCase(written, each);
    }
    return isEndless;
  }

  #case(draft: Draft, index: number | null, add: () => Read<void>): void {
    draft.script.case(draft.cases.length);
    draft.cases.push({ index, read: add() });
  }

  /** Everything that was made is given up. Scripts are executed in order, so nobody waits for this one. */
  #reset(): void {
    this.#runReset(spareVms).catch(() => undefined);
    this.#isLost = false;
    this.#pool.clear();
    this.#used.clear();
    this.#parts.slots.clear();
    this.#parts.numbers.clear();
  }

  #runReset(firstVm: number): Promise<Buffer> {
    const script = new Script();
    script.case(0);
    script.add('reset', { firstVm });
    return this.#hand.run(script.finish(), 0);
  }

  #addExact(draft: Draft, program: Program, index: number, isQuiet: boolean): void {
    const vm = new Vm(this.#parts, program);
    const { script, observations } = draft;
    this.#case(draft, index, () => {
      const readCreated = vm.create(script, program);
      const read = this.#addProgram(draft, vm, program, !isQuiet);
      return (record) => {
        readCreated(record);
        observations[index] = read(record);
      };
    });
    this.#case(draft, null, () => {
      const read = vm.memory.takeChanges(script);
      return (record) => addMemory(observations, index, read(record));
    });
    // An exact run is alone: what its VM comes to at its end is its own doing.
    this.#drop(draft, vm, false);
  }

  #addPooled(draft: Draft, program: Program, index: number): void {
    const { script, observations } = draft;
    const key = platformKey(program);
    const known = this.#pool.get(key);
    this.#pool.delete(key);
    if (known === undefined) this.#makeRoom(draft, program.vcpus.length);
    const vm = known ?? new Vm(this.#parts, program);
    this.#pool.set(key, vm);
    this.#used.add(vm);
    const pages = hypercallPages(program);
    this.#case(draft, index, () => {
      const readCreated = known === undefined ? vm.create(script, program) : null;
      const readStray = vm.memory.takeChangesOf(script, pages);
      const read = this.#addProgram(draft, vm, program, false);
      const readMemory = vm.memory.takeChangesOf(script, pages);
      return (record) => {
        readCreated?.(record);
        draft.stray.push(...readStray(record));
        const observation = read(record);
        observations[index] = observation;
        if (observation.stopped === null) addMemory(observations, index, readMemory(record));
      };
    });
  }

  #addProgram({ script, neighbours }: Draft, vm: Vm, program: Program, looksAtSteps: boolean): Read<Observation> {
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

  #neighbourOf(known: Draft['neighbours'], neighbour: Neighbour): NeighbourVm {
    const program = neighbourProgram(neighbour);
    const isBeside = neighbour.life === 'beside';
    const one =
      (isBeside ? known.get(program) : undefined) ?? new NeighbourVm(new Vm(this.#parts, program), program, neighbour);
    if (isBeside) known.set(program, one);
    return one;
  }

  /** Compares the memory of all machines that ran something. */
  #addMemory(draft: Draft): void {
    for (const vm of this.#used) this.#addMemoryOf(draft, vm);
    this.#used.clear();
  }

  #addMemoryOf(draft: Draft, vm: Vm): void {
    this.#case(draft, null, () => {
      const read = vm.memory.takeChanges(draft.script);
      return (record) => void draft.stray.push(...read(record));
    });
  }

  /** Drops those VMs that were used longest ago until there is room for one more. */
  #makeRoom(draft: Draft, vcpuCount: number): void {
    for (const [key, vm] of this.#pool) {
      if (this.#pool.size < poolMax && this.#pooledVcpusWith(vcpuCount) <= pooledVcpusMax) return;
      if (this.#used.delete(vm)) this.#addMemoryOf(draft, vm);
      this.#drop(draft, vm, true);
      this.#pool.delete(key);
    }
  }

  /** vCPUs of the pool and of one VM more, without those of the largest. */
  #pooledVcpusWith(vcpuCount: number): number {
    const counts = [vcpuCount, ...[...this.#pool.values()].map((vm) => vm.vcpuCount)];
    return counts.reduce((total, count) => total + count, 0) - Math.max(...counts);
  }

  #drop(draft: Draft, vm: Vm, later: boolean): void {
    this.#case(draft, null, () => {
      vm.drop(draft.script, later);
      return () => undefined;
    });
  }
}

/** How long a program may take beyond what all may: milliseconds. */
function patienceFor({ machine: { neighbour }, vcpus }: Program): number {
  return patienceMsPerPair * vcpus.length ** 2 + (neighbour?.life === 'long-gone' ? pauseMs : 0);
}

/** What a case recorded. One that ended early is a program's; what is between programs has nothing to tell then. */
function readCase({ index, read }: Written, { reader, ending }: CaseRecord): void {
  try {
    read(reader);
  } catch (error) {
    if (!(error instanceof RecordEnd)) throw error;
    if (index !== null) throw new InfrastructureError(`the hand's record ends too early (${ending})`);
  }
}

/** Of VP indexes nothing is known then, so they are as they were asked for. */
function stoppedAtOnce({ vcpus }: Program, stopped: string): Observation {
  const vpIndexes = vcpus.map(({ vpIndex }) => vpIndex);
  return { vpIndexes, steps: [], lapics: [], neighbour: null, memory: [], stopped };
}

function failureOf({ reader }: CaseRecord): InfrastructureError {
  const { request, errno } = reader.failure();
  return new InfrastructureError(`${requestName(request)} failed with errno ${errno}`);
}

function addMemory(observations: (Observation | undefined)[], index: number, memory: readonly MemoryChange[]): void {
  const observation = observations[index];
  if (observation === undefined || memory.length === 0) return;
  observations[index] = { ...observation, memory: [...observation.memory, ...memory] };
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
