/**
 * The executor that a campaign uses, and its replacement after a crash. A session also runs single cases in exact mode
 * ("probes"): suspects, shrinking and replay use them to see whether a problem is there.
 */
import type { Executor } from '../../executor/executor.ts';
import type { TargetFacts } from '../../executor/facts.ts';
import { InfrastructureError, KernelFailure, SkippedError } from '../../errors.ts';
import type { Case } from '../../case/case.ts';
import { encodeCase } from '../../program/encode.ts';
import type { Observation } from '../../program/observation.ts';
import { beyondCapacity } from './capacity.ts';
import { faultMet } from './emulator-faults.ts';
import { interruptible } from '../interrupt.ts';
import {
  type ContractName,
  type Failure,
  type Judgement,
  judgeObservation,
  prepare,
  type Prepared,
} from '../judgement.ts';
import type { Target } from './target.ts';
import { disagreements, twinsOf } from '../tiers.ts';

/** A target that dies more often than this is not worth another boot. */
const restartsMaxDefault = 50;

/**
 * A race that does not show what another one showed is run in so many rounds before that counts, one race in the first and
 * so many in each of the others. What shows in one race of ten is missed by all of them in one case of 25.
 */
const raceRounds = 4;
const racesOfRound = 10;
/** Rounds for a race that has shown something in its batch: there are few of these, and what is lost here is lost. */
export const suspectRounds = 16;

/** How the problem of a case begins that the hand does not survive: our own failure, not the kernel's. */
export const agentDeath = 'agent died: ';
/** How long a dying executor may take to go. */
const disposeMs = 10_000;

/** What came of running a case, and what was seen; null when the kernel or the hand failed. */
interface Look {
  readonly judgement: Judgement;
  readonly observation: Observation | null;
}

interface SeenLook extends Look {
  readonly observation: Observation;
}

export class Session implements AsyncDisposable {
  readonly facts: TargetFacts;
  /** Seconds that the first boot took; 0 where nothing boots. */
  readonly bootSeconds: number;
  /** How many batches the executor works on at the same time. */
  readonly lanes: number;
  /** Changes when the executor is replaced; what was sent to an older one is lost. */
  generation = 0;
  readonly #target: Target;
  readonly #signal: AbortSignal;
  readonly #contract: ContractName;
  readonly #restartsMax: number;
  #executor: Executor | null;

  private constructor(
    target: Target,
    signal: AbortSignal,
    contract: ContractName,
    executor: Executor,
    restartsMax: number,
  ) {
    this.#target = target;
    this.#signal = signal;
    this.#contract = contract;
    this.#executor = executor;
    this.#restartsMax = restartsMax;
    this.facts = executor.facts;
    this.bootSeconds = executor.bootSeconds ?? 0;
    this.lanes = executor.lanes ?? 1;
  }

  /** @param restartsMax how often the target may die before the session gives up. */
  static async open(
    target: Target,
    signal: AbortSignal,
    contract: ContractName = 'kvm',
    restartsMax: number = restartsMaxDefault,
  ): Promise<Session> {
    return new Session(target, signal, contract, await openInterruptible(target, signal), restartsMax);
  }

  /** How often the executor was replaced. */
  get restarts(): number {
    return this.generation;
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  /** The executor, opened again if the last one is gone. */
  async executor(): Promise<Executor> {
    if (this.#executor !== null) return this.#executor;
    if (this.generation > this.#restartsMax) {
      throw new InfrastructureError(`${this.#target.name} died ${this.generation} times; giving up`);
    }
    this.#executor = await openInterruptible(this.#target, this.#signal);
    return this.#executor;
  }

  /** Gives up the executor because it died. */
  async discard(): Promise<void> {
    const executor = this.#executor;
    this.#executor = null;
    this.generation++;
    if (executor !== null) await disposeQuietly(executor);
  }

  /** Makes a case ready to be run here and judged by the session's contract. */
  prepare(value: Case): Prepared {
    return prepare(value, this.facts, this.#contract);
  }

  /** Why a case cannot be run here: KVM has no room for its machine, or the emulator would make of it what no CPU does. */
  refusal(value: Case): string | null {
    return beyondCapacity(value, this.facts) ?? faultMet(value, this.facts);
  }

  /** Runs one case alone in exact mode. A hand that dies is tried once more; the second death is the case's own. */
  async probe(prepared: Prepared): Promise<Judgement> {
    return (await this.observe(prepared)).judgement;
  }

  /** As `probe`, again and again where the case is a race, until it shows what is wanted. */
  async probePatiently(
    prepared: Prepared,
    isWanted: (judgement: Judgement) => boolean,
    rounds = raceRounds,
  ): Promise<Judgement> {
    return (await this.observePatiently(prepared, isWanted, rounds)).judgement;
  }

  /** As `observe`, again and again where the case is a race, until it shows what is wanted. */
  async observePatiently(
    prepared: Prepared,
    isWanted: (judgement: Judgement) => boolean,
    rounds = raceRounds,
  ): Promise<Look> {
    let look = await this.observe(prepared);
    if (prepared.program.machine.schedule === null) return look;
    for (let round = 2; round <= rounds && !isWanted(look.judgement); round++) {
      look = await this.#observeRaces(prepared, isWanted);
    }
    return look;
  }

  /** As `probe`, with what was seen. */
  async observe(prepared: Prepared): Promise<Look> {
    return this.#look(prepared, async (executor) => {
      const look = await lookAlone(executor, prepared, false);
      if (look.judgement.class !== 'match') return look;
      if (readingActs(this.facts)) {
        const quiet = await lookAlone(executor, prepared, true);
        if (quiet.judgement.class !== 'match') return quiet;
      }
      return { ...look, judgement: await this.#compareTiers(prepared, look.observation, executor) };
    });
  }

  /** Runs a race many times in one go, in VMs that are used again; the first that shows what is wanted, or the last. */
  async #observeRaces(prepared: Prepared, isWanted: (judgement: Judgement) => boolean): Promise<Look> {
    return this.#look(prepared, async (executor) => {
      const programs = Array<Prepared['program']>(racesOfRound).fill(prepared.program);
      const observations = await executor.run(programs, { exact: false });
      const looks = observations.map((observation) => ({
        judgement: judgeObservation(prepared, observation),
        observation,
      }));
      const look = looks.find(({ judgement }) => isWanted(judgement)) ?? looks.at(-1);
      if (look === undefined) throw new InfrastructureError('the executor gave no observation');
      return look;
    });
  }

  /** Looks at a case; a kernel that fails is the case's own problem, and so is the second death of a hand. */
  async #look({ value, outcome }: Prepared, work: (executor: Executor) => Promise<Look>): Promise<Look> {
    this.#refuse(value);
    for (let attempt = 1; ; attempt++) {
      const executor = await this.executor();
      try {
        return await interruptible(work(executor), this.#signal);
      } catch (error) {
        if (error instanceof KernelFailure) {
          await this.discard();
          return { judgement: failureOf(error, outcome), observation: null };
        }
        if (!(error instanceof InfrastructureError)) throw error;
        await this.discard();
        const signature = `${agentDeath}${withoutNumbers(error.message)}`;
        if (attempt < 2) continue;
        return { judgement: { class: 'hang', signature, console: error.message, outcome }, observation: null };
      }
    }
  }

  /** @throws SkippedError for a case that cannot be run here. */
  #refuse(value: Case): void {
    const reason = this.refusal(value);
    if (reason !== null) throw new SkippedError(reason);
  }

  /** A concurrent case that is as predicted must agree with its twins of the other tiers as well. */
  async #compareTiers(prepared: Prepared, observation: Observation, executor: Executor): Promise<Judgement> {
    const twins = twinsOf(prepared.value);
    if (twins === null) return { class: 'match' };
    const programs = [twins.counted, ...(twins.pending === null ? [] : [twins.pending])].map(encodeCase);
    const [counted, pending] = await executor.run(programs, { exact: true });
    const differences = disagreements(prepared.value, observation, counted!, pending ?? null);
    if (differences.length === 0) return { class: 'match' };
    return { class: 'divergence', signature: 'tiers/disagree', differences, outcome: prepared.outcome, observation };
  }

  /** Runs cases as a pooled batch and judges the last one, which is how an unstable problem was seen. */
  async observeLast(cases: readonly Prepared[]): Promise<Look> {
    const last = cases.at(-1)!;
    for (const { value } of cases) this.#refuse(value);
    const executor = await this.executor();
    const programs = cases.map(({ program }) => program);
    try {
      const observations = await interruptible(executor.run(programs, { exact: false }), this.#signal);
      const observation = observations[cases.length - 1];
      // One before it was stopped.
      if (observation === undefined) return { judgement: { class: 'match' }, observation: null };
      return { judgement: judgeObservation(last, observation), observation };
    } catch (error) {
      if (!(error instanceof KernelFailure)) throw error;
      await this.discard();
      return { judgement: failureOf(error, last.outcome), observation: null };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const executor = this.#executor;
    this.#executor = null;
    if (executor !== null) await disposeQuietly(executor);
  }
}

async function lookAlone(executor: Executor, prepared: Prepared, quiet: boolean): Promise<SeenLook> {
  const [observation] = await executor.run([prepared.program], { exact: true, quiet });
  if (observation === undefined) throw new InfrastructureError('the executor gave no observation');
  return { judgement: judgeObservation(prepared, observation), observation };
}

/**
 * Whether reading a LAPIC may hide what a case shows: where interrupts are posted, KVM_GET_LAPIC moves them into IRR, and
 * sets RVI (vmx_sync_pir_to_irr).
 */
function readingActs({ cpu }: TargetFacts): boolean {
  return cpu === 'GenuineIntel';
}

function failureOf({ kind, fingerprint, console }: KernelFailure, outcome: Prepared['outcome']): Failure {
  return { class: kind, signature: fingerprint, console, outcome };
}

/** An executor that opens after the person has gone is closed again. */
async function openInterruptible(target: Target, signal: AbortSignal): Promise<Executor> {
  const opening = target.open(signal);
  try {
    return await interruptible(opening, signal);
  } catch (error) {
    opening.then(disposeQuietly, () => undefined);
    throw error;
  }
}

/** An executor that is dead already may fail to close, or never finish; neither is of interest. */
async function disposeQuietly(executor: Executor): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, disposeMs);
  });
  const closing = Promise.resolve(executor[Symbol.asyncDispose]()).catch(() => undefined);
  await Promise.race([closing, timeout]);
  clearTimeout(timer);
}

/** An error's text without what changes from one death to the next. */
function withoutNumbers(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/0x[0-9a-f]+|\d+(\.\d+)?/gi, 'N').slice(0, 120);
}
