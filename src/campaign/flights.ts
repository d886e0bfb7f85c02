/** Batches on their way. Each lane of the executor has some, so that it never waits while this side judges. */
import type { Observation } from '../program/observation.ts';
import type { EmulatorFault } from '../lab/emulator/faults.ts';
import { Interrupted, interruptible } from './interrupt.ts';
import type { Prepared } from './judgement.ts';
import type { Batch, Place } from './stream/batches.ts';
import { withinCapacity } from './target/capacity.ts';
import { aroundFaults, describeFault } from './target/emulator-faults.ts';
import type { Session } from './target/session.ts';

/** Batches that are with each lane of the executor. */
const flightsPerLane = 4;

/** Cases of a batch that are still to be judged. */
export interface Flight {
  readonly batch: Batch;
  readonly cases: readonly Prepared[];
  /** Where its first case is in the batch: those before have been judged. */
  readonly first: number;
  /** Whether the hand died of it before. */
  readonly isRepeat: boolean;
}

interface Sent extends Flight {
  readonly generation: number;
  /** It never rejects, so that nobody needs to be waiting for it. */
  readonly answer: Promise<readonly Observation[] | Error>;
}

export class Flights {
  readonly #session: Session;
  readonly #batches: Iterator<Batch>;
  readonly #warn: (line: string) => void;
  readonly #toldFaults = new Set<EmulatorFault>();
  #sent: Sent[] = [];

  constructor(session: Session, batches: Iterable<Batch>, warn: (line: string) => void) {
    this.#session = session;
    this.#batches = batches[Symbol.iterator]();
    this.#warn = warn;
  }

  /** Sends batches until enough are on their way, or `goesOn` says no. @throws Interrupted */
  async fill(goesOn: () => boolean): Promise<void> {
    while (this.#sent.length < flightsPerLane * this.#session.lanes && goesOn()) {
      if (this.#session.signal.aborted) throw new Interrupted('interrupted');
      const next = this.#batches.next();
      if (next.done === true) return;
      const batch = this.#around(withinCapacity(next.value, this.#session.facts));
      if (batch.cases.length === 0) continue;
      const cases = batch.cases.map((value) => this.#session.prepare(value));
      this.#sent.push(await this.#send({ batch, cases, first: 0, isRepeat: false }));
    }
  }

  /** The oldest one with what came of it; null when none is on its way. @throws Interrupted */
  async next(): Promise<{ flight: Flight; answer: readonly Observation[] | Error } | null> {
    const sent = this.#sent.shift();
    if (sent === undefined) return null;
    // Whatever was sent to an executor that is gone goes to the next one, whether or not it had answered.
    const flight = sent.generation === this.#session.generation ? sent : await this.#send(sent);
    return { flight, answer: await interruptible(flight.answer, this.#session.signal) };
  }

  /** Sends cases again, to be the next ones. */
  async sendAgain(flight: Flight): Promise<void> {
    this.#sent.unshift(await this.#send(flight));
  }

  /** All that are on their way; their answers are dropped. */
  recall(): readonly Flight[] {
    const recalled = this.#sent;
    this.#sent = [];
    return recalled;
  }

  async #send({ batch, cases, first, isRepeat }: Flight): Promise<Sent> {
    const executor = await this.#session.executor();
    const programs = cases.map(({ program }) => program);
    const answer = executor.run(programs, { exact: false }).catch((error: unknown) => error as Error);
    return { batch, cases, first, isRepeat, generation: this.#session.generation, answer };
  }

  /** Cases that meet a fault of the emulator are others; one that shows with some kernels only is told, once. */
  #around(drawn: Batch): Batch {
    const { facts } = this.#session;
    const { batch, met } = aroundFaults(drawn, facts);
    for (const fault of met) {
      if (fault.needs === null || this.#toldFaults.has(fault)) continue;
      this.#toldFaults.add(fault);
      this.#warn(`cases go around a fault of the emulator: ${describeFault(fault, facts)}`);
    }
    return batch;
  }
}

/** The place of a flight's case in the stream. */
export function placeOf({ batch, first }: Flight, index: number): Place {
  return batch.placeOf(first + index);
}
