/**
 * The same cases, in the same order, on two kernels side by side. What differs in a batch is run again alone on both,
 * grouped, and shrunk to the smallest case that shows the same difference.
 */
import type { Batch, Place } from '../campaign/stream/batches.ts';
import { withinCapacity } from '../campaign/target/capacity.ts';
import { aroundFaults } from '../campaign/target/emulator-faults.ts';
import { breathe, Interrupted, interruptible } from '../campaign/interrupt.ts';
import { hypercallsOf, judgeObservation, type Prepared } from '../campaign/judgement.ts';
import { reduce } from '../simplify/reduce.ts';
import type { Session } from '../campaign/target/session.ts';
import { type Case, caseId } from '../case/case.ts';
import type { Observation } from '../program/observation.ts';
import type { TargetFacts } from '../executor/facts.ts';
import { InfrastructureError, KernelFailure } from '../errors.ts';
import { classify, type GroupKind, type Pair, type Seen } from './difference.ts';

export interface CompareOptions {
  readonly batches: Iterable<Batch>;
  /** Seconds after the first case at which no further batch starts. */
  readonly seconds: number;
  readonly limits: CompareLimits;
}

export interface CompareLimits {
  readonly shrinkAttempts: number;
  readonly shrinkSeconds: number;
  /** Of all groups together; what is met later stays as it was found. */
  readonly shrinkSecondsTotal: number;
  /** How often a kernel may fail again while shrinking, since each time costs a boot. */
  readonly failures: number;
  readonly confirmations: number;
}

export const defaultCompareLimits: CompareLimits = {
  shrinkAttempts: 600,
  shrinkSeconds: 30,
  shrinkSecondsTotal: 90,
  failures: 6,
  confirmations: 10,
};

/** All cases that show one difference. */
export interface Group {
  readonly kind: GroupKind;
  readonly key: string;
  /** The smallest case, and what both kernels made of it. */
  value: Case;
  pair: Pair;
  /** How many cases of the stream showed it. */
  cases: number;
  /** `again/times` of fresh runs on both kernels. */
  confirmed: string;
  /** Whether the case alone has shown it again. */
  readonly isRepeatable: boolean;
  /** Where in the stream it was met first. */
  readonly path: string;
  /** Seconds after the first case at which it was confirmed. */
  readonly foundAfter: number;
}

export interface Comparison {
  readonly cases: number;
  readonly hypercalls: number;
  readonly seconds: number;
  readonly groups: readonly Group[];
  /** Cases that differed in a batch and neither alone nor in that batch again. */
  readonly unstable: number;
  readonly interrupted: boolean;
}

export interface CompareHooks {
  readonly onGroup?: (group: Group) => void;
  readonly onBatch?: (so: { cases: number; hypercalls: number; seconds: number; groups: number }) => void;
  /** What is to be done with both kernels while nothing runs; the batch is null where cases ran besides those of it. */
  readonly betweenBatches?: (batch: Batch | null) => Promise<void>;
}

/**
 * Runs until the stream or the time ends.
 *
 * @throws InfrastructureError when a kernel cannot be booted again.
 */
export async function compareKernels(
  sessions: { readonly base: Session; readonly kernel: Session },
  options: CompareOptions,
  signal: AbortSignal,
  hooks: CompareHooks = {},
): Promise<Comparison> {
  const comparer = new Comparer(sessions, options, signal, hooks);
  const interrupted = await comparer.run();
  const { cases, hypercalls, seconds, groups, unstable } = comparer;
  return { cases, hypercalls, seconds, groups: [...groups.values()], unstable, interrupted };
}

/** With aimed ones in turn these are two of each kind. */
const generatedBatchesMin = 4;

/** A batch as one kernel ran it; null where it failed. */
interface Pooled {
  readonly facts: TargetFacts;
  readonly prepared: readonly Prepared[];
  readonly observations: readonly Observation[] | null;
}

class Comparer {
  cases = 0;
  hypercalls = 0;
  unstable = 0;
  readonly groups = new Map<string, Group>();
  readonly #base: Session;
  readonly #kernel: Session;
  readonly #options: CompareOptions;
  readonly #signal: AbortSignal;
  readonly #hooks: CompareHooks;
  readonly #start = performance.now();
  #shrinkSeconds = 0;
  #generatedBatches = 0;
  /** Cases that were run alone. */
  #observed = 0;

  constructor(
    { base, kernel }: { readonly base: Session; readonly kernel: Session },
    options: CompareOptions,
    signal: AbortSignal,
    hooks: CompareHooks,
  ) {
    this.#base = base;
    this.#kernel = kernel;
    this.#options = options;
    this.#signal = signal;
    this.#hooks = hooks;
  }

  get seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }

  /** Whether the person has stopped it. */
  async run(): Promise<boolean> {
    try {
      for (const drawn of this.#options.batches) {
        const batch = this.#around(drawn);
        if (this.seconds >= this.#options.seconds && this.#isEnough(batch)) break;
        if (batch.number !== null) this.#generatedBatches++;
        const observed = this.#observed;
        await this.#runBatch(batch);
        this.#hooks.onBatch?.({ ...this.#counts(), groups: this.groups.size });
        await this.#hooks.betweenBatches?.(this.#observed === observed ? drawn : null);
        await breathe();
        if (this.#signal.aborted) return true;
      }
      return false;
    } catch (error) {
      if (error instanceof Interrupted) return true;
      throw error;
    }
  }

  /** What one KVM has no room for, or the emulator under it does otherwise than a CPU, is no difference between them. */
  #around(batch: Batch): Batch {
    return [this.#base, this.#kernel].reduce(
      (around, { facts }) => aroundFaults(withinCapacity(around, facts), facts).batch,
      batch,
    );
  }

  /** Saved cases and a few generated ones run however slow the computer is: "no change seen" is to rest on them. */
  #isEnough({ number }: Batch): boolean {
    return number !== null && this.#generatedBatches >= generatedBatchesMin;
  }

  async #runBatch(batch: Batch): Promise<void> {
    const pairs = await this.#runPooled(batch.cases);
    for (const [index, value] of batch.cases.entries()) {
      this.cases++;
      this.hypercalls += hypercallsOf(value);
      const pooled = pairs?.[index] ?? null;
      const suspicion = pooled === null ? null : classify(pooled);
      if (pooled !== null && suspicion === null) continue;
      const known = suspicion === null ? undefined : this.groups.get(suspicion.key);
      if (known !== undefined) known.cases++;
      else await this.#examine(batch, index, suspicion?.key ?? null);
      // What a broken kernel shows case after case must not keep a generated batch open for minutes.
      if (this.seconds > this.#options.seconds && this.groups.size > 0 && batch.number !== null) return;
      if (this.#signal.aborted) return;
    }
  }

  /** Runs a case alone on both; one that differs only behind others is told if the batch shows it again. */
  async #examine(batch: Batch, index: number, suspicion: string | null): Promise<void> {
    const value = batch.cases[index]!;
    const place = batch.placeOf(index);
    const alone = await this.#observe(value);
    if (classify(alone) !== null) return this.#pursue(value, alone, place);
    if (suspicion === null) return;
    const again = (await this.#runPooled(batch.cases.slice(0, index + 1)))?.[index];
    const found = again === undefined ? null : classify(again);
    if (again === undefined || found === null) {
      this.unstable++;
      return;
    }
    const confirmed = '0/1 alone, 1/1 in its batch';
    this.#add({ ...found, value, pair: again, cases: 1, confirmed, isRepeatable: false, path: place.path });
  }

  async #pursue(value: Case, pair: Pair, { path }: Place): Promise<void> {
    const found = classify(pair)!;
    const known = this.groups.get(found.key);
    if (known !== undefined) {
      known.cases++;
      return;
    }
    const smallest = await this.#shrink(value, pair, found.key);
    const confirmed = await this.#confirm(smallest.value, found.key);
    const isRepeatable = !confirmed.startsWith('0/');
    this.#add({ ...found, ...smallest, cases: 1, confirmed, isRepeatable, path });
  }

  #add(found: Omit<Group, 'foundAfter'>): void {
    const group: Group = { ...found, foundAfter: this.seconds };
    this.groups.set(group.key, group);
    this.#hooks.onGroup?.(group);
  }

  async #shrink(start: Case, pair: Pair, key: string): Promise<{ value: Case; pair: Pair }> {
    const { shrinkAttempts, shrinkSeconds, shrinkSecondsTotal, failures } = this.#options.limits;
    const begun = performance.now();
    const left = Math.min(shrinkSeconds, shrinkSecondsTotal - this.#shrinkSeconds);
    const boots = this.#restarts;
    const seen = new Map<string, Pair>([[caseId(start), pair]]);
    const stillDiffers = async (candidate: Case): Promise<boolean> => {
      if (this.#base.refusal(candidate) !== null || this.#kernel.refusal(candidate) !== null) return false;
      const other = await this.#observe(candidate);
      if (classify(other)?.key !== key) return false;
      seen.set(caseId(candidate), other);
      return true;
    };
    const { value } = await reduce(start, stillDiffers, {
      attemptsMax: shrinkAttempts,
      shouldStop: () => performance.now() - begun > left * 1000 || this.#restarts - boots >= failures,
    });
    this.#shrinkSeconds += (performance.now() - begun) / 1000;
    return { value, pair: seen.get(caseId(value)) ?? pair };
  }

  async #confirm(value: Case, key: string): Promise<string> {
    const boots = this.#restarts;
    let [again, times] = [0, 0];
    // A kernel that fails costs a boot each time: three of them are enough.
    while (times < this.#options.limits.confirmations && this.#restarts - boots < 3) {
      times++;
      if (classify(await this.#observe(value))?.key === key) again++;
    }
    return `${again}/${times}`;
  }

  /** The case alone, in a fresh VM, on both. */
  async #observe(value: Case): Promise<Pair> {
    this.#observed++;
    const one = async (session: Session): Promise<Seen> => {
      const prepared = session.prepare(value);
      return { prepared, facts: session.facts, ...(await session.observe(prepared)) };
    };
    const [base, kernel] = await Promise.all([one(this.#base), one(this.#kernel)]);
    return { base, kernel };
  }

  /** Both kernels' word on each case of a batch; null when one of them failed. */
  async #runPooled(cases: readonly Case[]): Promise<Pair[] | null> {
    const sides = [this.#base, this.#kernel].map(async (session): Promise<Pooled> => {
      const prepared = cases.map((value) => session.prepare(value));
      return { facts: session.facts, prepared, observations: await this.#runOn(session, prepared) };
    });
    const [base, kernel] = await Promise.all(sides);
    if (base!.observations === null || kernel!.observations === null) return null;
    const seen = (side: Pooled, observation: Observation, index: number): Seen => {
      const prepared = side.prepared[index]!;
      return { prepared, facts: side.facts, observation, judgement: judgeObservation(prepared, observation) };
    };
    // What is behind a program that was stopped has not been run.
    const count = Math.min(base!.observations.length, kernel!.observations.length);
    return base!.observations.slice(0, count).map((observation, index) => ({
      base: seen(base!, observation, index),
      kernel: seen(kernel!, kernel!.observations![index]!, index),
    }));
  }

  async #runOn(session: Session, prepared: readonly Prepared[]): Promise<Observation[] | null> {
    const executor = await session.executor();
    const programs = prepared.map(({ program }) => program);
    try {
      return await interruptible(executor.run(programs, { exact: false }), this.#signal);
    } catch (error) {
      if (!(error instanceof KernelFailure) && !(error instanceof InfrastructureError)) throw error;
      await session.discard();
      return null;
    }
  }

  get #restarts(): number {
    return this.#base.restarts + this.#kernel.restarts;
  }

  #counts(): { cases: number; hypercalls: number; seconds: number } {
    return { cases: this.cases, hypercalls: this.hypercalls, seconds: this.seconds };
  }
}
