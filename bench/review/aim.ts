/**
 * `npm run bench:aim`: how many cases it takes until a change is seen for the first time, with batches that are aimed and
 * without. Saved cases are left out: they show most changes at once, whatever is drawn behind them.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { placeToBuild } from '../../src/build/mirror.ts';
import { readPatches } from '../../src/build/patch.ts';
import { type Batch, batchesOf } from '../../src/campaign/stream/batches.ts';
import { Session } from '../../src/campaign/session.ts';
import { parseTarget } from '../../src/campaign/target.ts';
import { Aim } from '../../src/review/aim/aim.ts';
import { Targets } from '../../src/review/aim/targets.ts';
import { compareKernels, defaultCompareLimits } from '../../src/review/compare.ts';
import { Meter } from '../../src/review/counts/meter.ts';
import { buildBoth, type PatchedModules } from '../../src/review/patched.ts';
import { betweenBatchesOf } from '../../src/review/side-by-side.ts';
import { catalogue } from '../mutants/catalogue/catalogue.ts';
import type { Mutant } from '../mutants/mutant.ts';
import { patchOf } from './patch-of.ts';
import { sampleKernel } from './sample.ts';
import { reviewSamples } from './samples.ts';

const strategies = ['plain', 'counts'] as const;
type Strategy = (typeof strategies)[number];

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const install = 'auto';
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
  const signal = new AbortController().signal;
  const place = await placeToBuild(null, { install, say, signal }, sampleKernel);
  for (const name of only) {
    const sample =
      reviewSamples.find((one) => one.name === name) ?? sampleOf(catalogue.find((one) => one.name === name));
    if (sample === undefined) throw new Error(`no sample and no mutant ${name}`);
    const folder = await mkdtemp(join(tmpdir(), 'hvipi-aim-'));
    await writeFile(join(folder, 'patch'), await patchOf(sample, place.source.tree));
    const modules = await buildBoth(place, await readPatches([join(folder, 'patch')]), say, signal);
    await rm(folder, { recursive: true });
    const open = (kvmModules: string): Promise<Session> =>
      Session.open(parseTarget({ target: 'lab', kernel: place.kernel, kvmModules, install, say }), signal);
    await using base = await open(modules.counted!.before.folder);
    await using kernel = await open(modules.counted!.after.folder);
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
