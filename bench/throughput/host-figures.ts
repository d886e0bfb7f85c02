/** Rates of this side alone, part by part, and what shrinking costs. No lab. */
import { drawBatch } from '../../generators/batch.ts';
import { predict } from '../../oracle/model.ts';
import { judge } from '../../oracle/verdict.ts';
import { runCampaign } from '../../src/campaign/campaign.ts';
import { generatedBatch } from '../../src/campaign/batches.ts';
import { hypercallsOf } from '../../src/campaign/judgement.ts';
import { defaultShrinkLimits } from '../../src/campaign/shrink.ts';
import { withJobs, parseTarget } from '../../src/campaign/target.ts';
import type { Case } from '../../src/case/case.ts';
import { encodeCase } from '../../src/case/encode.ts';
import { decodeObservations, encodeBatch, encodeObservations } from '../../src/case/wire.ts';
import { openModelExecutor } from '../../src/executor/model-executor.ts';
import { type Figure, ownClock, rate } from './figure.ts';
import { batchSize, callsOf } from './workload.ts';

const batchCount = 12;

const draw = (): Case[] =>
  Array.from({ length: batchCount }, (_, number) => drawBatch('bench', number, batchSize).cases).flat();

/** Rates by the CPU time of this process. */
const own = (name: string, round: () => number): Promise<Figure> => rate(name, round, ownClock);

export async function hostFigures(): Promise<Figure[]> {
  const model = openModelExecutor();
  const cases = draw();
  const programs = cases.map(encodeCase);
  const observations = await model.run(programs, { exact: false });
  const outcomes = programs.map((program) => predict(program, model.facts));
  const calls = callsOf(programs);
  const bytes = encodeObservations(observations);
  const counted = (work: () => void) => (): number => {
    work();
    return calls;
  };
  const judgeAll = (): void =>
    programs.forEach((program, index) => void judge(program, outcomes[index]!, observations[index]!));
  return [
    await own('drawing', () => draw().reduce((sum, value) => sum + hypercallsOf(value), 0)),
    await own('drawing, steered', () =>
      Array.from({ length: batchCount }, (_, number) => generatedBatch('bench', number, batchSize).cases)
        .flat()
        .reduce((sum, value) => sum + hypercallsOf(value), 0),
    ),
    await own(
      'encoding',
      counted(() => void cases.map(encodeCase)),
    ),
    await own(
      'model',
      counted(() => void programs.map((program) => predict(program, model.facts))),
    ),
    await own(
      'wire, both ways',
      counted(() => {
        encodeBatch(programs, { exact: false });
        decodeObservations(bytes, programs);
      }),
    ),
    await own('comparison', counted(judgeAll)),
    await own(
      'host side alone',
      counted(() => {
        const drawn = draw().map(encodeCase);
        const predicted = drawn.map((program) => predict(program, model.facts));
        drawn.forEach((program, index) => void judge(program, predicted[index]!, observations[index]!));
      }),
    ),
  ];
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
      install: 'refuse',
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
        out: 'findings',
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
