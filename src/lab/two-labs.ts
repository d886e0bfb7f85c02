/**
 * Two labs as one executor. Most programs run in a lab with one CPU, which costs one core of the host. There a sender
 * runs only while no receiver is in the guest, so no kick is ever needed. Concurrent programs run in a lab with two
 * CPUs, which boots when the first one comes or is announced.
 */
import type { Observation } from '../program/observation.ts';
import type { Program } from '../program/program.ts';
import type { Executor, RunOptions } from '../executor/executor.ts';
import type { TargetFacts } from '../executor/facts.ts';
import { type Lab, type LabOptions, openLab } from './lab.ts';

/** Boots the lab with one CPU; throws as `openLab` does. */
export async function openTwoLabs(options: LabOptions): Promise<TwoLabs> {
  return new TwoLabs(await openLab(options), () => openLab({ ...options, cpus: 2, readsOffer: false }));
}

export class TwoLabs implements Executor {
  readonly facts: TargetFacts;
  readonly bootSeconds: number;
  readonly #lab: Lab;
  readonly #openConcurrent: () => Promise<Lab>;
  #concurrent: Promise<Lab> | null = null;

  constructor(lab: Lab, openConcurrent: () => Promise<Lab>) {
    this.#lab = lab;
    this.#openConcurrent = openConcurrent;
    this.facts = lab.facts;
    this.bootSeconds = lab.bootSeconds;
  }

  /** @throws as `Lab.run` and, with concurrent programs, as `openLab`. */
  async run(programs: readonly Program[], options: RunOptions): Promise<Observation[]> {
    const isConcurrent = ({ machine }: Program): boolean => machine.schedule !== null;
    const concurrent = programs.filter(isConcurrent);
    if (concurrent.length === 0) return this.#lab.run(programs, options);
    const others = programs.filter((program) => !isConcurrent(program));
    const [raced, ordered] = await Promise.all([
      this.#concurrentLab().then((lab) => lab.run(concurrent, options)),
      this.#lab.run(others, options),
    ]);
    const observations: Observation[] = [];
    // Behind a program that was stopped one lab has run nothing more, and what the other one has run is run again.
    for (const program of programs) {
      if (observations.at(-1)?.stopped) break;
      const observation = (isConcurrent(program) ? raced : ordered).shift();
      if (observation === undefined) break;
      observations.push(observation);
    }
    return observations;
  }

  /** Of the lab with one CPU. */
  async readPiece(path: string, offset: bigint, bytes: number): Promise<Buffer> {
    return this.#lab.readPiece(path, offset, bytes);
  }

  /** Boots the second lab beside the first one. What fails there is told to the first race. */
  expectRaces(): void {
    this.#concurrentLab().catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const second = this.#concurrent?.then((lab) => lab[Symbol.asyncDispose]()).catch(() => undefined);
    await Promise.all([this.#lab[Symbol.asyncDispose](), second]);
  }

  #concurrentLab(): Promise<Lab> {
    return (this.#concurrent ??= this.#openConcurrent());
  }
}
