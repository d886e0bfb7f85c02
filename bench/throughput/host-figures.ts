/** Rates of this side alone, part by part, and what shrinking costs. No lab. */
import { drawBatch } from '../../generators/batch.ts';
import { predict } from '../../oracle/model.ts';
import { judge } from '../../oracle/compare/verdict.ts';
import { runCampaign } from '../../src/campaign/campaign.ts';
import { generatedBatch } from '../../src/campaign/stream/batches.ts';
import { hypercallsOf } from '../../src/campaign/judgement.ts';
import { defaultShrinkLimits } from '../../src/campaign/findings/shrink.ts';
import { withJobs, parseTarget } from '../../src/campaign/target/target.ts';
import type { Outcome } from '../../oracle/outcome.ts';
import type { Case } from '../../src/case/case.ts';
import { KvmExecutor } from '../../src/executor/kvm-executor.ts';
import { encodeCase } from '../../src/program/encode.ts';
import type { Observation } from '../../src/program/observation.ts';
import type { Program } from '../../src/program/program.ts';
import { openModelExecutor } from '../../src/model/model-executor.ts';
import { QuietHand } from '../../tests/hand/quiet-hand.ts';
import { type Figure, ownClock, rate } from './figure.ts';
import { batchSize, callsOf } from './workload.ts';

const batchNumbers = Array.from({ length: 12 }, (_, number) => number);
/** How often a round walks the batches: code must be warm, and a round long against what the garbage collector does. */
const passes = 8;

const draw = (number: number): Case[] => drawBatch('bench', number, batchSize).cases;

/** Rates by the CPU time of this process. */
const own = (name: string, round: () => number): Promise<Figure> => rate(name, round, ownClock);

/** All parts go batch by batch, as a campaign does: what is kept of a batch is what the garbage collector copies. */
export async function hostFigures(): Promise<Figure[]> {
  const model = openModelExecutor();
  const batches = await Promise.all(
    batchNumbers.map(async (number) => {
      const cases = draw(number);
      const programs = cases.map(encodeCase);
      const observations = await model.run(programs, { exact: false });
      const outcomes = programs.map((program) => predict(program, model.facts));
      return { number, cases, programs, outcomes, observations };
    }),
  );
  const calls = callsOf(batches.flatMap(({ programs }) => programs));
  const each = (name: string, work: (batch: (typeof batches)[number]) => void): Promise<Figure> =>
    own(name, () => {
      for (let pass = 0; pass < passes; pass++) batches.forEach(work);
      return passes * calls;
    });
  const judgeAll = (programs: readonly Program[], outcomes: readonly Outcome[], observations: readonly Observation[]) =>
    programs.forEach((program, index) => void judge(program, outcomes[index]!, observations[index]!));
  return [
    await each('drawing', ({ number }) => void draw(number)),
    await own('drawing, steered', () =>
      batchNumbers
        .flatMap((number) => generatedBatch('bench', number, batchSize).cases)
        .reduce((sum, value) => sum + hypercallsOf(value), 0),
    ),
    await each('encoding', ({ cases }) => void cases.map(encodeCase)),
    await each('model', ({ programs }) => void programs.map((program) => predict(program, model.facts))),
    await scriptFigure(
      batches.map(({ programs }) => programs),
      calls,
    ),
    await each('comparison', ({ programs, outcomes, observations }) => judgeAll(programs, outcomes, observations)),
    await each('host side alone', ({ number, observations }) => {
      const programs = draw(number).map(encodeCase);
      const outcomes = programs.map((program) => predict(program, model.facts));
      judgeAll(programs, outcomes, observations);
    }),
  ];
}

/** Writing scripts and reading records, without what answers them: a hand that says that everything went as it should. */
async function scriptFigure(batches: readonly (readonly Program[])[], calls: number): Promise<Figure> {
  const hand = new TimedHand();
  const executor = await KvmExecutor.open(hand, 'lab');
  const round = async (): Promise<number> => {
    for (const programs of batches) await executor.run(programs, { exact: false });
    return calls;
  };
  return rate('scripts and records', round, () => ownClock() - hand.seconds);
}

/** It counts what it takes itself. */
class TimedHand extends QuietHand {
  seconds = 0;

  override async run(script: Buffer): Promise<Buffer> {
    const start = ownClock();
    this.scripts.length = 0;
    const record = await super.run(script);
    this.seconds += ownClock() - start;
    return record;
  }
}

/** Seconds and executions of the shrinking of one planted mistake in the model executor. */
export async function shrinkFigures(): Promise<Figure[]> {
  const mutant = 'xmm-half-swapped';
  const seconds: number[] = [];
  for (let round = 0; round < 5; round++) {
    const target = parseTarget({
      target: `model:${mutant}`,
      kernel: '',
      kvmModules: null,
      install: false,
      say: () => undefined,
    });
    const { findings } = await runCampaign(
      withJobs(target, 1),
      {
        contract: 'kvm',
        seed: `shrink ${round}`,
        fromBatch: 0,
        corpus: [],
        runs: 6400,
        seconds: 60,
        keepGoing: false,
        out: 'hvipi-findings',
        shrink: defaultShrinkLimits,
        save: () => Promise.resolve(),
        warn: () => undefined,
      },
      new AbortController().signal,
    );
    seconds.push(findings[0]!.shrink.seconds);
  }
  return [
    { name: `shrinking model:${mutant}`, unit: 's', rounds: seconds },
    { name: 'memory of this process', unit: 'MiB', rounds: [process.memoryUsage().rss / 2 ** 20] },
  ];
}
