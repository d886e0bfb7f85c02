/**
 * The main loop: batches in order of the stream, some for each lane of the executor on their way, each case judged in order.
 * What the kernel's failures and the hand's deaths mean for the batches on their way is decided here; what becomes of
 * a single problem is decided in `findings/pursuit.ts`.
 */
import type { Case } from '../case/case.ts';
import { contractFor } from '../../oracle/contract.ts';
import { isSameMemory } from '../../oracle/compare/verdict.ts';
import type { Observation } from '../program/observation.ts';
import { InfrastructureError, KernelFailure } from '../errors.ts';
import { type Batch, batchesOf, type Place } from './stream/batches.ts';
import type { CampaignHooks, CampaignOptions, CampaignResult, Ending } from './campaign-terms.ts';
import { withinCapacity } from './target/capacity.ts';
import { aroundFaults, describeFault } from './target/emulator-faults.ts';
import { breathe, Interrupted, interruptible } from './interrupt.ts';
import { type DeviationGroup, DeviationLog } from './deviation-log.ts';
import { isProblem, type Judgement, judgeObservation, type Prepared, type Problem } from './judgement.ts';
import { Pursuit, type PursuitOptions } from './findings/pursuit.ts';
import type { EmulatorFault } from '../lab/emulator/faults.ts';
import { Session, suspectRounds } from './target/session.ts';
import { Tally } from './tally.ts';
import type { Target } from './target/target.ts';
import type { Finding } from './findings/finding.ts';

/** Batches that are with each lane of the executor: it always has the next one while this side judges the last one. */
const flightsPerLane = 4;

/** So many cases of a concurrent batch are compared between the tiers. */
const comparedOfBatch = 2;

/** A batch on its way. Its answer never rejects, so that nobody needs to be waiting for it. */
interface Flight {
  readonly batch: Batch;
  readonly cases: readonly Prepared[];
  /** Where its first case is in the batch: those before have been judged. */
  readonly first: number;
  readonly generation: number;
  readonly answer: Promise<readonly Observation[] | Error>;
  /** Whether the hand died of it before. */
  readonly isRepeat: boolean;
}

/**
 * Runs a campaign to its end.
 *
 * @throws SkippedError, InfrastructureError when the target does not open at all.
 */
export async function runCampaign(
  target: Target,
  options: CampaignOptions,
  signal: AbortSignal,
  hooks: CampaignHooks = {},
): Promise<CampaignResult> {
  await using session = await Session.open(target, signal, options.contract, options.restartsMax);
  hooks.onOpen?.(session);
  const campaign = new Campaign(session, { ...options, target }, hooks);
  const { ending, error } = await campaign.run();
  const { facts, bootSeconds, restarts } = session;
  const { tally, findings, deviations, nextBatch } = campaign;
  const { seconds } = tally;
  return { ending, error, tally, seconds, findings, deviations, nextBatch, facts, bootSeconds, restarts };
}

class Campaign {
  readonly tally: Tally;
  nextBatch: number;
  readonly #session: Session;
  readonly #options: CampaignOptions & PursuitOptions;
  readonly #hooks: CampaignHooks;
  readonly #pursuit: Pursuit;
  readonly #deviations: DeviationLog;
  readonly #batches: Iterator<Batch>;
  #flights: Flight[] = [];
  #isStopped = false;
  readonly #toldFaults = new Set<EmulatorFault>();

  constructor(session: Session, options: CampaignOptions & PursuitOptions, hooks: CampaignHooks) {
    this.#session = session;
    this.#options = options;
    this.#hooks = hooks;
    this.tally = new Tally(contractFor(session.facts));
    // TLFS says nothing of an order that nobody knows.
    const tier = options.contract === 'tlfs' ? 'ordered' : (options.tier ?? 'all');
    this.#batches = (options.batches ?? batchesOf({ ...options, tier }))[Symbol.iterator]();
    this.#pursuit = new Pursuit(session, this.tally, options, (finding, isSaved) =>
      hooks.onFinding?.(finding, isSaved),
    );
    this.#deviations = new DeviationLog(session);
    this.nextBatch = options.fromBatch;
  }

  get findings(): readonly Finding[] {
    return this.#pursuit.findings;
  }

  get deviations(): readonly DeviationGroup[] {
    return this.#deviations.groups;
  }

  async run(): Promise<{ ending: Ending; error: string | null }> {
    this.tally.startClock();
    try {
      if (this.#options.tier !== 'ordered' && this.#options.contract === 'kvm') {
        (await this.#session.executor()).expectRaces?.();
      }
      await this.#fill();
      while (this.#flights.length > 0 && !this.#isStopped) {
        await this.#settle(this.#flights.shift()!);
        this.#hooks.onBatch?.(this.tally, this.findings);
        await breathe();
        await this.#fill();
      }
      return { ending: this.#isStopped ? 'finding' : 'budget', error: null };
    } catch (error) {
      if (error instanceof Interrupted) return { ending: 'interrupted', error: null };
      if (error instanceof InfrastructureError) return { ending: 'infrastructure', error: error.message };
      throw error;
    }
  }

  /** Sends batches until enough are on their way or the time is over. */
  async #fill(): Promise<void> {
    const flightsMax = flightsPerLane * this.#session.lanes;
    while (this.#flights.length < flightsMax && !this.#isStopped && this.tally.seconds < this.#options.seconds) {
      if (this.#session.signal.aborted) throw new Interrupted('interrupted');
      const next = this.#batches.next();
      if (next.done === true) return;
      const batch = this.#around(withinCapacity(next.value, this.#session.facts));
      if (batch.cases.length === 0) continue;
      const cases = batch.cases.map((value) => this.#session.prepare(value));
      this.#flights.push(await this.#launch({ batch, cases, first: 0, isRepeat: false }));
    }
  }

  /** Cases that meet a fault of the emulator are others; one that shows with some kernels only is told, once. */
  #around(drawn: Batch): Batch {
    const { facts } = this.#session;
    const { batch, met } = aroundFaults(drawn, facts);
    for (const fault of met) {
      if (fault.needs === null || this.#toldFaults.has(fault)) continue;
      this.#toldFaults.add(fault);
      this.#options.warn(`cases go around a fault of the emulator: ${describeFault(fault, facts)}`);
    }
    return batch;
  }

  async #launch({ batch, cases, first, isRepeat }: Omit<Flight, 'answer' | 'generation'>): Promise<Flight> {
    const executor = await this.#session.executor();
    const programs = cases.map(({ program }) => program);
    const answer = executor.run(programs, { exact: false }).catch((error: unknown) => error as Error);
    return { batch, cases, first, generation: this.#session.generation, answer, isRepeat };
  }

  async #settle(flight: Flight): Promise<void> {
    // Whatever was sent to an executor that is gone goes to the next one, whether or not it had answered.
    const isLost = flight.generation !== this.#session.generation;
    const current = isLost ? await this.#launch(flight) : flight;
    const answer = await interruptible(current.answer, this.#session.signal);
    if (!(answer instanceof Error)) return this.#judgeBatch(current, answer);
    if (answer instanceof KernelFailure) return this.#isolate(current, answer);
    if (!(answer instanceof InfrastructureError)) throw answer;
    await this.#session.discard();
    if (current.isRepeat) return this.#runOneByOne(current);
    this.#flights.unshift(await this.#launch({ ...current, isRepeat: true }));
  }

  async #judgeBatch(flight: Flight, observations: readonly Observation[]): Promise<void> {
    const isWhole = observations.length === flight.cases.length;
    if (!isWhole && (observations.at(-1)?.stopped ?? null) === null) {
      throw new InfrastructureError(`${observations.length} observations for ${flight.cases.length} programs`);
    }
    // Where nobody was to write, memory is compared once for all of a pooled batch: a change shows at every program.
    const isStray = ({ memory }: Observation, index: number): boolean =>
      !isSameMemory(flight.cases[index]!.outcome.memory, memory);
    if (observations.some(isStray)) return this.#findWriter(flight, observations);
    for (const [index, observation] of observations.entries()) {
      const judgement = await this.#judge(flight, observation, index);
      if (isProblem(judgement)) await this.#concludeSuspect(flight, index, judgement);
      else await this.#conclude(flight, index, judgement);
      if (this.#isStopped) return;
    }
    if (isWhole) return this.#finish(flight);
    const cases = flight.cases.slice(observations.length);
    const first = flight.first + observations.length;
    this.#flights.unshift(await this.#launch({ ...flight, cases, first }));
  }

  /** Of a concurrent batch the first cases run once more, alone and in the other tiers: those must agree. */
  async #judge(flight: Flight, observation: Observation, index: number): Promise<Judgement> {
    const prepared = flight.cases[index]!;
    const judgement = judgeObservation(prepared, observation);
    const isCompared = flight.first + index < comparedOfBatch && prepared.program.machine.schedule !== null;
    return isCompared && judgement.class === 'match' ? this.#session.probePrepared(prepared) : judgement;
  }

  /** Runs a suspect alone; only what it shows alone counts as a finding for certain. */
  async #concludeSuspect(flight: Flight, index: number, suspicion: Problem): Promise<void> {
    const prepared = flight.cases[index]!;
    if (this.#options.probesKnown !== true && this.#pursuit.isKnown(suspicion))
      return this.#conclude(flight, index, suspicion);
    const alone = await this.#session.probePatiently(prepared, isProblem, suspectRounds);
    // Everything else about a race is told by order; what only a clock says must be said again.
    const isTimed = ({ signature }: Problem): boolean =>
      prepared.program.machine.schedule !== null && /\/(?:stuck|stopped)$/.test(signature);
    const again = isProblem(alone) && isTimed(alone) ? await this.#session.probePrepared(prepared) : alone;
    if (isProblem(again)) return this.#conclude(flight, index, again);
    this.#count(flight, index, suspicion, 'unstable');
    if (isTimed(suspicion)) {
      const place = placeOf(flight, index).path;
      return this.#options.warn(`race ${place} was not over in time once (${suspicion.signature}), and then it was`);
    }
    const cameBefore = flight.cases.slice(0, index + 1);
    await this.#pursuit.recordUnstable(prepared.value, suspicion, placeOf(flight, index), cameBefore);
  }

  /** Some program of the batch wrote where it must not: all run one by one, with memory compared after each. */
  async #findWriter(flight: Flight, observations: readonly Observation[]): Promise<void> {
    const problemsBefore = this.#pursuit.problems;
    await this.#runOneByOne(flight);
    if (this.#isStopped || this.#pursuit.problems > problemsBefore) return;
    const last = observations.length - 1;
    const prepared = flight.cases[last]!;
    const suspicion = judgeObservation(prepared, observations[last]!);
    if (!isProblem(suspicion)) return;
    await this.#pursuit.recordUnstable(prepared.value, suspicion, placeOf(flight, last), flight.cases);
  }

  /** Counts a case with its final judgement and follows a problem up. */
  async #conclude(flight: Flight, index: number, judgement: Judgement): Promise<void> {
    this.#count(flight, index, judgement, judgement.class);
    if (judgement.class === 'match') return;
    const place = placeOf(flight, index);
    const prepared = flight.cases[index]!;
    if (judgement.class !== 'deviation') return this.#pursue(prepared.value, judgement, place);
    const found = await this.#deviations.note(prepared, place, this.#pursuit.foundAfter);
    if (found !== null) await this.#pursue(found.value, found.problem, place);
  }

  async #pursue(value: Case, problem: Problem, place: Place): Promise<void> {
    const isNew = await this.#pursuit.pursue(value, problem, place);
    if (isNew && !this.#options.keepGoing) this.#isStopped = true;
  }

  #count(flight: Flight, index: number, judgement: Judgement, verdict: string): void {
    const prepared = flight.cases[index]!;
    const { origin } = flight.batch;
    if (origin === 'corpus') this.tally.corpusCases++;
    if (origin === 'space') this.tally.addPoints(placeOf(flight, index).path.split(':')[0]!, prepared.value);
    this.tally.add(prepared, judgement, verdict);
    this.#hooks.onCase?.(prepared, verdict, placeOf(flight, index), judgement);
  }

  /**
   * The kernel failed. An oops shows on the console while answers are still on their way, so any batch on its way may
   * have caused it: the cases of all of them run one by one.
   */
  async #isolate(flight: Flight, failure: KernelFailure): Promise<void> {
    await this.#session.discard();
    const flights = [flight, ...this.#flights];
    this.#flights = [];
    const problemsBefore = this.#pursuit.problems;
    for (const each of flights) {
      await this.#runOneByOne(each);
      if (this.#isStopped) return;
    }
    if (this.#pursuit.problems > problemsBefore) return;
    const cases = flights.flatMap((each) => each.cases);
    const last = flights.at(-1)!;
    const { value, outcome } = cases.at(-1)!;
    const problem = { class: failure.kind, signature: failure.fingerprint, console: failure.console, outcome } as const;
    await this.#pursuit.recordUnstable(value, problem, placeOf(last, last.cases.length - 1), cases);
  }

  async #runOneByOne(flight: Flight): Promise<void> {
    for (const [index, prepared] of flight.cases.entries()) {
      await this.#conclude(flight, index, await this.#session.probePrepared(prepared));
      if (this.#isStopped) return;
      await breathe();
    }
    await this.#finish(flight);
  }

  async #finish({ batch }: Flight): Promise<void> {
    if (batch.number !== null) this.nextBatch = batch.number + 1;
    await this.#hooks.onBatchDone?.(batch);
  }
}

/** The place of a flight's case in the stream. */
function placeOf({ batch, first }: Flight, index: number): Place {
  return batch.placeOf(first + index);
}
