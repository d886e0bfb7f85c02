/**
 * `npm run bench:slow-down`: how much longer the same cases take on two kernels whose modules count and are read after each
 * batch than on the same two without counters; pairs in turn, since computers have moods.
 */
import { Command } from 'commander';
import { placeToBuild } from '../../src/build/mirror.ts';
import { loadCorpus, ownCorpusFolder } from '../../src/campaign/corpus.ts';
import { batchesOf } from '../../src/campaign/stream/batches.ts';
import { Aim } from '../../src/review/aim/aim.ts';
import { Targets } from '../../src/review/aim/targets.ts';
import { compareKernels, defaultCompareLimits } from '../../src/review/compare.ts';
import { Meter } from '../../src/counts/meter.ts';
import { betweenBatchesOf } from '../../src/review/side-by-side.ts';
import { buildSample, openWith, say } from './build-sample.ts';
import { sampleKernel } from './sample.ts';
import { reviewSamples } from './samples.ts';

/** Touches what runs in every call, and changes nothing. */
const sampleName = 'refactoring';

await new Command('bench:slow-down')
  .option('--pairs <N>', 'how many', '6')
  .option('--runs <N>', 'generated cases of each run, behind the corpus', '192')
  .action(measure)
  .parseAsync();

async function measure({ pairs, runs }: { readonly pairs: string; readonly runs: string }): Promise<void> {
  const place = await placeToBuild(null, { install: true, say }, sampleKernel);
  const sample = reviewSamples.find(({ name }) => name === sampleName)!;
  const { before, after, counted, places } = await buildSample(sample, place);
  if (counted === null) throw new Error('gcov is missing');
  const corpus = await loadCorpus(ownCorpusFolder());
  const ratios: number[] = [];
  for (let pair = 0; pair < Number(pairs); pair++) {
    const stream = { seed: `${pair}`, fromBatch: 0, corpus, runs: Number(runs), tier: 'ordered' } as const;
    const run = async (modules: readonly [string, string], counts: boolean): Promise<number> => {
      await using base = await openWith(modules[0], place);
      await using kernel = await openWith(modules[1], place);
      const aim = new Aim(stream.seed, new Targets(places, counted));
      const meters = [new Meter(counted.before, base), new Meter(counted.after, kernel)] as const;
      const { seconds } = await compareKernels(
        { base, kernel },
        { batches: batchesOf(stream), seconds: Infinity, limits: defaultCompareLimits },
        new AbortController().signal,
        counts ? { betweenBatches: betweenBatchesOf(meters, aim) } : {},
      );
      return seconds;
    };
    const plain = (): Promise<number> => run([before, after], false);
    const counting = (): Promise<number> => run([counted.before.folder, counted.after.folder], true);
    // Which of them goes first changes from pair to pair.
    const first = pair % 2 === 0 ? await plain() : await counting();
    const second = pair % 2 === 0 ? await counting() : await plain();
    const [without, with_] = pair % 2 === 0 ? [first, second] : [second, first];
    ratios.push(with_ / without);
    process.stdout.write(
      `${without.toFixed(1)} s without, ${with_.toFixed(1)} s with: ${(with_ / without).toFixed(2)}\n`,
    );
  }
  ratios.sort((left, right) => left - right);
  process.stdout.write(`median ${ratios[Math.floor(ratios.length / 2)]!.toFixed(2)}\n`);
}
