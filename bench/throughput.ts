/**
 * `npm run bench`: how fast hypercalls are checked, as ratios of what the emulated hardware can do, all from one run.
 * Each figure is the median of several rounds after a warm-up, with the slowest and the fastest round; the computers
 * that this runs on are noisy, so quote ratios.
 */
import { drawBatch } from '../generators/batch.ts';
import { predict } from '../oracle/model.ts';
import { judge } from '../oracle/verdict.ts';
import { makeCase, makeStep } from '../src/case/case.ts';
import { encodeCase } from '../src/case/encode.ts';
import { caseLimits } from '../src/case/limits.ts';
import type { Program } from '../src/case/program.ts';
import type { Executor } from '../src/executor/executor.ts';
import { openModelExecutor } from '../src/executor/model-executor.ts';
import { openLab } from '../src/lab/lab.ts';

const warmUpRounds = 6;
const rounds = 7;
const programsPerRound = 256;

/** Calls per second: the median of the rounds, and the slowest and fastest one. */
interface Figure {
  readonly median: number;
  readonly slowest: number;
  readonly fastest: number;
}

const callCount = (programs: readonly Program[]): number =>
  programs.reduce((sum, { steps }) => sum + steps.filter(({ kind }) => kind === 'call').length, 0);

/** The longest batches of the simplest call to nobody: nothing is left but the guest's loop. */
function rawLoop(): Program[] {
  const call = makeStep({ do: 'send-ipi', fast: true });
  const program = encodeCase(makeCase([{ vpIndex: 0 }], Array<typeof call>(caseLimits.steps).fill(call)));
  return Array<Program>(programsPerRound).fill(program);
}

/** Drawn programs of one way to observe, without halted vCPUs. */
function drawnPrograms(isWanted: (program: Program) => boolean): Program[] {
  const programs: Program[] = [];
  for (let batch = 0; programs.length < programsPerRound; batch++) {
    programs.push(...drawBatch('bench', batch, 64).cases.map(encodeCase).filter(isWanted));
  }
  return programs.slice(0, programsPerRound);
}

const isHalting = ({ vcpus }: Program): boolean => vcpus.some(({ idle }) => idle === 'halted');
const isCounted = ({ steps }: Program): boolean => steps.some(({ kind }) => kind === 'run');

/** Runs the programs in batches of 64, two on their way, and judges each batch while the next one runs. */
async function checkAll(executor: Executor, programs: readonly Program[]): Promise<void> {
  const batches = Array.from({ length: Math.ceil(programs.length / 64) }, (_, index) =>
    programs.slice(64 * index, 64 * (index + 1)),
  );
  const answers = batches.map((batch) => executor.run(batch, { exact: false }));
  for (const [index, batch] of batches.entries()) {
    const observations = await answers[index]!;
    batch.forEach((program, place) => {
      const verdict = judge(program, predict(program, executor.facts), observations[place]!);
      if (verdict.kind !== 'match') throw new Error(`a divergence in the bench: ${verdict.signature}`);
    });
  }
}

async function measure(programs: readonly Program[], once: () => Promise<void>): Promise<Figure> {
  const rates: number[] = [];
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    const start = performance.now();
    await once();
    if (round >= warmUpRounds) rates.push((1000 * callCount(programs)) / (performance.now() - start));
  }
  rates.sort((a, b) => a - b);
  return { median: rates[rounds >> 1]!, slowest: rates[0]!, fastest: rates.at(-1)! };
}

async function main(): Promise<void> {
  await using lab = await openLab({
    kernel: 'debian:6.12',
    install: 'auto',
    say: (line) => process.stderr.write(`${line}\n`),
  });
  await using model = openModelExecutor();
  const raw = rawLoop();
  const pending = drawnPrograms((program) => !isHalting(program) && !isCounted(program));
  const counted = drawnPrograms((program) => !isHalting(program) && isCounted(program));
  const drawAndCheck = async (): Promise<void> => {
    await checkAll(
      model,
      drawnPrograms((program) => !isHalting(program) && !isCounted(program)),
    );
  };
  const figures = {
    'raw guest loop': await measure(raw, () => checkAll(lab, raw)),
    'pending, end to end': await measure(pending, () => checkAll(lab, pending)),
    'counted, end to end': await measure(counted, () => checkAll(lab, counted)),
    'host side alone': await measure(pending, drawAndCheck),
  };
  const floor = figures['raw guest loop'].median;
  process.stdout.write(`kernel ${lab.facts.kernelRelease}, booted in ${lab.bootSeconds.toFixed(1)} s\n`);
  for (const [name, { median, slowest, fastest }] of Object.entries(figures)) {
    const [middle, low, high] = [median, slowest, fastest].map((rate) => Math.round(rate).toLocaleString('en'));
    process.stdout.write(
      `${name.padEnd(20)} ${middle!.padStart(8)}/s  (${low} to ${high})  ${(median / floor).toFixed(2)}\n`,
    );
  }
}

await main();
