/**
 * Where generation is aimed: at what a patch touches, by counts of what ran. Every other batch is drawn as usual, for
 * what nobody thought of. The batches between them draw from swarms whose cases met a touched line or branch: the more
 * often, the more likely, and targets that few batches met come first. While some target was met by none, every second
 * aimed batch draws a swarm far from the usual.
 */
import fc from 'fast-check';
import seedrandom from 'seedrandom';
import { batchArbitrary, batchSeed } from '../../../generators/batch.ts';
import { caseArbitrary } from '../../../generators/case.ts';
import type { Swarm } from '../../../generators/swarm.ts';
import { type Batch, batchesOf, sizeOfBatch, type StreamOptions } from '../../campaign/stream/batches.ts';
import { variantOf } from '../../campaign/stream/steering.ts';
import { crossSwarms, spreadSwarm, withOtherVcpus } from './swarms.ts';
import { type BothCounters, type Hits, newHits, type Targets } from './targets.ts';

interface Tried {
  readonly swarm: Swarm;
  /** Of each target in a case, as powers of two: what a host interrupt adds is to change nothing. */
  readonly rates: ReadonlyMap<string, number>;
}

export class Aim {
  readonly #seed: string;
  readonly #targets: Pick<Targets, 'count' | 'hits'>;
  readonly #tried: Tried[] = [];
  /** Batches that are drawn and not learned from yet. */
  readonly #swarms = new Map<Batch, Swarm>();
  #seen: Hits = new Map();

  constructor(seed: string, targets: Pick<Targets, 'count' | 'hits'>) {
    this.#seed = seed;
    this.#targets = targets;
  }

  /** Whether anything that the patch touches is counted. */
  get hasTargets(): boolean {
    return this.#targets.count > 0;
  }

  /** The corpus, then usual and aimed batches in turn. The same counts give the same batches. */
  *batches(options: Omit<StreamOptions, 'seed'>): Generator<Batch> {
    const seed = this.#seed;
    for (const batch of batchesOf({ ...options, seed })) {
      if (batch.number === null) {
        yield batch;
        continue;
      }
      this.#swarms.set(batch, batchArbitrary(seed, batch.number, variantOf(seed, batch.number)).swarm);
      yield batch;
      // Nothing was counted: there is nothing to aim by.
      if (this.#seen.size > 0) yield this.#aimed(batch.number);
    }
  }

  /** Takes up what was counted since the last time; `batch` is null when other cases ran as well. */
  learn(batch: Batch | null, counters: BothCounters): void {
    const now = this.#targets.hits(counters);
    const hits = newHits(this.#seen, now);
    this.#seen = now;
    if (batch === null) return;
    const swarm = this.#swarms.get(batch);
    this.#swarms.clear();
    if (swarm === undefined) return;
    const met = [...hits].filter(([, count]) => count > 0);
    this.#tried.push({
      swarm,
      rates: new Map(met.map(([target, count]) => [target, rateOf(count / batch.cases.length)])),
    });
  }

  #aimed(number: number): Batch {
    const name = `${this.#seed}/aimed`;
    const swarm = this.#chooseSwarm(number);
    const cases = fc.sample(caseArbitrary(swarm), { seed: batchSeed(name, number), numRuns: sizeOfBatch(number) });
    const batch: Batch = { number, origin: 'drawn', cases, placeOf: (index) => ({ path: `aimed ${number}:${index}` }) };
    this.#swarms.set(batch, swarm);
    return batch;
  }

  #chooseSwarm(number: number): Swarm {
    const seed = batchSeed(`${this.#seed}/aimed/swarm`, number);
    const random = seedrandom(`${seed}/choice`);
    const targets = [...this.#seen.keys()];
    const batchesThatMet = targets.map((target) => this.#tried.filter(({ rates }) => rates.has(target)).length);
    const areAllMet = batchesThatMet.every((count) => count > 0);
    const choose = (): Swarm => {
      const target =
        targets[
          weighted(
            batchesThatMet.map((count) => (count === 0 ? 0 : 1 / count)),
            random(),
          )
        ]!;
      return this.#tried[
        weighted(
          this.#tried.map(({ rates }) => rates.get(target) ?? 0),
          random(),
        )
      ]!.swarm;
    };
    if (batchesThatMet.every((count) => count === 0)) return spreadSwarm(seed);
    if (!areAllMet && number % 2 === 0) return spreadSwarm(seed);
    const swarm = random() < 0.5 ? choose() : withOtherVcpus(choose(), seed);
    return random() < 0.5 ? swarm : crossSwarms(swarm, random() < 0.5 ? choose() : spreadSwarm(seed), seed);
  }
}

function rateOf(perCase: number): number {
  return 2 ** Math.round(Math.log2(perCase));
}

/** A place in the list, each as likely as its weight says. */
function weighted(weights: readonly number[], random: number): number {
  let left = random * weights.reduce((sum, weight) => sum + weight, 0);
  const found = weights.findIndex((weight) => (left -= weight) < 0);
  return found === -1 ? weights.findLastIndex((weight) => weight > 0) : found;
}
