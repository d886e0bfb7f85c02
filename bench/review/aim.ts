/**
 * `npm run bench:aim`: how many cases it takes until a change is seen for the first time, with batches that are aimed and
 * without. Saved cases are left out: they show most changes at once, whatever is drawn behind them.
 */
import { Command } from 'commander';
import { placeToBuild } from '../../src/build/mirror.ts';
import { type Batch, batchesOf } from '../../src/campaign/stream/batches.ts';
import type { Session } from '../../src/campaign/target/session.ts';
import { Aim } from '../../src/review/aim/aim.ts';
import { Targets } from '../../src/review/aim/targets.ts';
import { compareKernels, defaultCompareLimits } from '../../src/review/compare.ts';
import { Meter } from '../../src/counts/meter.ts';
import type { PatchedModules } from '../../src/review/patched.ts';
import { betweenBatchesOf } from '../../src/review/side-by-side.ts';
import { catalogue } from '../mutants/catalogue/catalogue.ts';
import type { Mutant } from '../mutants/mutant.ts';
import { buildSample, openWith, say } from './build-sample.ts';
import type { patchOf } from './patch-of.ts';
import { sampleKernel } from './sample.ts';
import { reviewSamples } from './samples.ts';

const strategies = ['plain', 'counts'] as const;
type Strategy = (typeof strategies)[number];

/** The first difference ends a run; how small its case can be does not matter. */
const limits = { ...defaultCompareLimits, shrinkAttempts: 0, confirmations: 1 };

interface Options {
  readonly only: readonly string[];
  readonly seeds: readonly string[];
  readonly time: string;
  readonly by: readonly Strategy[];
}

await new Command('bench:aim')
  .requiredOption('--only <NAME...>', 'these samples')
  .option('--seeds <TEXT...>', 'seeds', ['1', '2', '3'])
  .option('--time <SECONDS>', 'at most, for each run', '60')
  .option('--by <STRATEGY...>', `of ${strategies.join(', ')}`, [...strategies])
  .action(measure)
  .parseAsync();

async function measure({ only, seeds, time, by }: Options): Promise<void> {
  const place = await placeToBuild(null, { install: true, say }, sampleKernel);
  for (const name of only) {
    const sample =
      reviewSamples.find((one) => one.name === name) ?? sampleOf(catalogue.find((one) => one.name === name));
    if (sample === undefined) throw new Error(`no sample and no mutant ${name}`);
    const modules = await buildSample(sample, place);
    await using base = await openWith(modules.counted!.before.folder, place);
    await using kernel = await openWith(modules.counted!.after.folder, place);
    for (const seed of seeds) {
      for (const strategy of by) {
        const said = await untilSeen({ base, kernel }, modules, strategy, seed, Number(time));
        process.stdout.write(`${name} seed ${seed} ${strategy}: ${said}\n`);
      }
    }
  }
}

/** A mutant as a patch. */
function sampleOf(mutant: Mutant | undefined): Parameters<typeof patchOf>[0] | undefined {
  if (mutant === undefined) return undefined;
  const { name, mechanism: subject, file, find, replace } = mutant;
  return { name, subject, edits: [{ file: `arch/x86/kvm/${file}`, find, replace }] };
}

async function untilSeen(
  sessions: { readonly base: Session; readonly kernel: Session },
  modules: PatchedModules,
  strategy: Strategy,
  seed: string,
  seconds: number,
): Promise<string> {
  const stream = { seed, fromBatch: 0, corpus: [], runs: Infinity, tier: 'ordered' } as const;
  const aim = new Aim(seed, new Targets(modules.places, modules.counted!));
  const batches: Record<Strategy, () => Iterable<Batch>> = {
    plain: () => batchesOf(stream),
    counts: () => aim.batches(stream),
  };
  const { before, after } = modules.counted!;
  const meters = [new Meter(before, sessions.base), new Meter(after, sessions.kernel)] as const;
  const found = new AbortController();
  let learning = 0;
  const learn = betweenBatchesOf(meters, aim);
  const betweenBatches = async (batch: Batch | null): Promise<void> => {
    const start = performance.now();
    await learn(batch);
    learning += performance.now() - start;
  };
  const {
    cases,
    hypercalls,
    seconds: took,
    groups,
  } = await compareKernels(sessions, { batches: batches[strategy](), seconds, limits }, found.signal, {
    onGroup: ({ kind }) => {
      if (kind !== 'same') found.abort();
    },
    ...(strategy === 'counts' ? { betweenBatches } : {}),
  });
  const [group] = groups;
  return `${group === undefined ? 'not seen' : `seen (${group.path}: ${group.key})`} in ${cases} cases, ${hypercalls} calls, ${took.toFixed(1)} s, of which ${(learning / 1000).toFixed(1)} s of learning`;
}
