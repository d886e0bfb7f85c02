/** Which trials there are, and running them: two at a time where that is faster, each row written when it is there. */
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LabCpu } from '../../src/lab/lab-cpu.ts';
import { type Lab, openLab } from '../../src/lab/lab.ts';
import type { Say } from '../../src/system/say.ts';
import type { Builder } from './build.ts';
import { fuzz } from './fuzz.ts';
import type { Grade, Mutant } from './mutant.ts';
import { answers, makeRow, type Measurement, type Method, type Row, type Trial } from './row.ts';
import { runSelftests } from './selftests.ts';
import { fuzzWords } from './words.ts';

export interface TrialChoice {
  readonly method: Method;
  readonly seeds: readonly string[];
  readonly budgetSeconds: number;
  readonly only: readonly string[];
  readonly grade: Grade | null;
  readonly third: boolean;
}

/** The trials that are asked for and have no row yet, by seed and then in the catalogue's order. */
export function chooseTrials(catalogue: readonly Mutant[], rows: readonly Row[], choice: TrialChoice): Trial[] {
  const { method, seeds, budgetSeconds, only, grade, third } = choice;
  const mutants = catalogue.filter(({ name, grade: own }, place) => {
    if (only.length > 0) return only.includes(name);
    return (grade === null || own === grade) && (!third || isInThird(place));
  });
  // The selftests have no seed: one run is all of them.
  const ownSeeds = method === 'selftests' ? ['none'] : seeds;
  const trials = ownSeeds.flatMap((seed) => mutants.map((mutant) => ({ method, mutant, seed, budgetSeconds })));
  return trials.filter((trial) => !rows.some((row) => answers(row, trial)));
}

/** The fixed third of the catalogue that is run with several seeds: every third mutant, so that each area is in it. */
export function isInThird(place: number): boolean {
  return place % 3 === 0;
}

export interface Workshop {
  readonly builder: Builder;
  /** Folder of the built selftests; null where they are not asked for. */
  readonly selftests: string | null;
  readonly results: string;
  readonly cpu: LabCpu;
  /** What `--kernel` says of the kernel that the mutants load in. */
  readonly kernel: string;
  readonly jobs: number;
  readonly say: Say;
  readonly signal: AbortSignal;
}

/** Runs the trials; how many of them came to no result. */
export async function runTrials(trials: readonly Trial[], workshop: Workshop): Promise<number> {
  const queue = [...trials];
  let failures = 0;
  const work = async (): Promise<void> => {
    for (let trial = queue.shift(); trial !== undefined; trial = queue.shift()) {
      if (workshop.signal.aborted) return;
      const place = `${trials.length - queue.length}/${trials.length} ${trial.mutant.name}`;
      try {
        const row = makeRow(trial, await runTrial(trial, workshop), new Date().toISOString());
        await appendFile(join(workshop.results, fileOf(trial)), `${JSON.stringify(row)}\n`);
        workshop.say(`${place}: ${describe(row)}`);
      } catch (error) {
        failures++;
        workshop.say(`${place}: no result: ${(error as Error).message.split('\n')[0]}`);
      }
    }
  };
  await Promise.all(Array.from({ length: workshop.jobs }, work));
  return failures;
}

function fileOf({ method, seed }: Trial): string {
  return `${method}-${seed.replaceAll(/[^\w-]/g, '_')}.ndjson`;
}

async function runTrial({ method, mutant, seed, budgetSeconds }: Trial, workshop: Workshop): Promise<Measurement> {
  const kvmModules = await workshop.builder.build(mutant);
  if (method === 'hvipi') return fuzz({ cpu: workshop.cpu, kernel: workshop.kernel, kvmModules, seed, budgetSeconds });
  const quiet: Say = () => undefined;
  await using lab: Lab = await openLab({
    cpu: workshop.cpu,
    kernel: workshop.kernel,
    kvmModules,
    install: true,
    say: quiet,
    signal: workshop.signal,
  });
  // Awaited here: the lab is closed when this function returns.
  if (method === 'words') return await fuzzWords(lab, seed, budgetSeconds);
  return await runSelftests(lab, workshop.selftests!, budgetSeconds);
}

function describe({ found, class: kind, signature, seconds, hypercalls, steps, vcpus, confirmed }: Row): string {
  if (!found) return `nothing in ${seconds.toFixed(1)} s, ${hypercalls} calls`;
  const size = steps === null ? '' : `; ${steps} steps, ${vcpus} vCPUs, confirmed ${confirmed}`;
  return `${kind} after ${seconds.toFixed(1)} s, ${hypercalls} calls${size}; ${signature}`;
}
