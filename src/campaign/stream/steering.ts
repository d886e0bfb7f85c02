/**
 * Steering: which swarm a batch draws from. The seed of a batch offers a few swarms. One batch in four takes the one
 * whose first cases hit the most new pairs of rule and circumstance; new means not hit by earlier batches of the same
 * epoch. The other batches take the first swarm: rare cases are slow, and most calls belong to the middle of the
 * space. Seed and batch number decide everything, through the model of one fixed KVM. So every target sees the same
 * stream, and a campaign that resumes looks back no further than the start of an epoch.
 */
import { modelFacts } from '../../model/model-executor.ts';
import { drawBatch } from '../../../generators/batch.ts';
import { predict } from '../../../oracle/model.ts';
import type { Outcome } from '../../../oracle/outcome.ts';
import type { Case } from '../../case/case.ts';
import { encodeCase } from '../../program/encode.ts';
import type { Program } from '../../program/program.ts';
import { Coverage } from '../coverage.ts';

const epochBatches = 32;
/** Of so many batches, one is steered. */
const steeredOf = 4;
const variants = 3;
/** Cases by which a swarm is judged. */
const sampleCases = 6;

/** The epoch that was looked at last. */
let current: { seed: string; epoch: number; choices: number[]; coverage: Coverage } | null = null;

/** The variant of a batch's swarm. */
export function variantOf(seed: string, batch: number): number {
  const epoch = Math.floor(batch / epochBatches);
  if (current?.seed !== seed || current.epoch !== epoch) {
    current = { seed, epoch, choices: [], coverage: new Coverage() };
  }
  const { choices, coverage } = current;
  while (choices.length <= batch % epochBatches)
    choices.push(choose(seed, epoch * epochBatches + choices.length, coverage));
  return choices[batch % epochBatches]!;
}

function choose(seed: string, batch: number, coverage: Coverage): number {
  const offered = batch % steeredOf === steeredOf - 1 ? variants : 1;
  const samples = Array.from({ length: offered }, (_, variant) =>
    predictedOf(drawBatch(seed, batch, sampleCases, variant).cases),
  );
  const news = offered === 1 ? [0] : samples.map((sample) => addAll(coverage.clone(), sample));
  const best = news.indexOf(Math.max(...news));
  addAll(coverage, samples[best]!);
  return best;
}

type Predicted = readonly [Program, Outcome];

function predictedOf(cases: readonly Case[]): Predicted[] {
  return cases.map((value) => {
    const program = encodeCase(value);
    return [program, predict(program, modelFacts)];
  });
}

function addAll(coverage: Coverage, sample: readonly Predicted[]): number {
  return sample.reduce((total, [program, outcome]) => total + coverage.add(program, outcome), 0);
}
