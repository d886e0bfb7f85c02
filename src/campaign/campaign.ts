/**
 * The main loop: each case of the batches that come back (`flights.ts`) is judged in order of the stream. What the kernel's
 * failures and the hand's deaths mean for the batches on their way is decided here; what becomes of a single problem is
 * decided in `findings/pursuit.ts`.
 */
import type { Case } from '../case/case.ts';
import { contractFor } from '../../oracle/contract.ts';
import { isSameMemory } from '../../oracle/compare/verdict.ts';
import type { Observation } from '../program/observation.ts';
import { InfrastructureError, KernelFailure } from '../errors.ts';
import { batchesOf, type Place } from './stream/batches.ts';
import type { CampaignHooks, CampaignOptions, CampaignResult, Ending } from './campaign-terms.ts';
import { type Flight, Flights, placeOf } from './flights.ts';
import { breathe, Interrupted } from './interrupt.ts';
import { type DeviationGroup, DeviationLog } from './deviation-log.ts';
import { isProblem, type Judgement, judgeObservation, type Problem } from './judgement.ts';
import { Pursuit, type PursuitOptions } from './findings/pursuit.ts';
import { Session, suspectRounds } from './target/session.ts';
import { Tally } from './tally.ts';
import type { Target } from './target/target.ts';
import type { Finding } from './findings/finding.ts';

/** So many cases of a concurrent batch are compared between the tiers. */
const comparedOfBatch = 2;

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
  readonly #flights: Flights;
  #isStopped = false;

  constructor(session: Session, options: CampaignOptions & PursuitOptions, hooks: CampaignHooks) {
    this.#session = session;
    this.#options = options;
    this.#hooks = hooks;
    this.tally = new Tally(contractFor(session.facts));
    // TLFS says nothing of an order that nobody knows.
    const tier = options.contract === 'tlfs' ? 'ordered' : (options.tier ?? 'all');
    const batches = options.batches ?? batchesOf({ ...options, tier });
    this.#flights = new Flights(session, batches, options.warn);
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
      const goesOn = (): boolean => !this.#isStopped && this.tally.seconds < this.#options.seconds;
      await this.#flights.fill(goesOn);
      for (let next = await this.#flights.next(); next !== null; next = await this.#flights.next()) {
        await this.#settle(next.flight, next.answer);
        this.#hooks.onBatch?.(this.tally, this.findings);
        await breathe();
        if (this.#isStopped) break;
        await this.#flights.fill(goesOn);
      }
      return { ending: this.#isStopped ? 'finding' : 'budget', error: null };
    } catch (error) {
      if (error instanceof Interrupted) return { ending: 'interrupted', error: null };
      if (error instanceof InfrastructureError) return { ending: 'infrastructure', error: error.message };
      throw error;
    }
  }

  async #settle(flight: Flight, answer: readonly Observation[] | Error): Promise<void> {
    if (!(answer instanceof Error)) return this.#judgeBatch(flight, answer);
    if (answer instanceof KernelFailure) return this.#isolate(flight, answer);
    if (!(answer instanceof InfrastructureError)) throw answer;
    await this.#session.discard();
    if (flight.isRepeat) return this.#runOneByOne(flight);
    await this.#flights.sendAgain({ ...flight, isRepeat: true });
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
    await this.#flights.sendAgain({ ...flight, cases, first });
  }

  /** Of a concurrent batch the first cases run once more, alone and in the other tiers: those must agree. */
  async #judge(flight: Flight, observation: Observation, index: number): Promise<Judgement> {
    const prepared = flight.cases[index]!;
    const judgement = judgeObservation(prepared, observation);
    const isCompared = flight.first + index < comparedOfBatch && prepared.program.machine.schedule !== null;
    return isCompared && judgement.class === 'match' ? this.#session.probe(prepared) : judgement;
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
    const again = isProblem(alone) && isTimed(alone) ? await this.#session.probe(prepared) : alone;
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
    const flights = [flight, ...this.#flights.recall()];
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
      await this.#conclude(flight, index, await this.#session.probe(prepared));
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
