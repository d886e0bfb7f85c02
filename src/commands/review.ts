/** `review`: what a patch to KVM changes for a guest, with proof, as text for a mail. */
import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { compilerVersion } from '../build/compiler.ts';
import { BuildError } from '../build/make.ts';
import { type BuildPlace, placeToBuild } from '../build/mirror.ts';
import { newestThatApplies } from '../build/newest-source.ts';
import { type Patch, readPatches, sortSeries } from '../build/patch.ts';
import { loadCorpus, ownCorpusFolder } from '../campaign/corpus.ts';
import { Progress } from '../campaign/progress.ts';
import { rounded } from '../campaign/findings/pursuit.ts';
import { batchesOf } from '../campaign/stream/batches.ts';
import { Aim } from '../review/aim/aim.ts';
import { Targets } from '../review/aim/targets.ts';
import { comparisonToJson, exitCodeOfComparison, visibleGroups } from '../review/text/comparison-summary.ts';
import { type Exercise, exercisesOf } from '../review/exercise.ts';
import { saveGroup } from '../review/text/group-file.ts';
import { byGravity } from '../review/text/group-order.ts';
import { formatReview, linesMaxDefault } from '../review/text/mail-text.ts';
import { buildBoth, type PatchedModules } from '../review/patched.ts';
import { compareSides, type SideBySide, toldTo } from '../review/side-by-side.ts';
import { emulatorText } from '../lab/emulators.ts';
import { labArguments } from '../lab/lab-arguments.ts';
import { type LabCpu, parseLabCpu } from '../lab/lab-cpu.ts';
import { describePlaces, isWhitespaceOnly } from '../review/touched.ts';
import { verdictOf } from '../review/verdict.ts';
import { type CommandContext, exitCodes, formatJson } from './common/command.ts';
import { cpuOption, defaultOut, parseDuration, parseSeed } from './common/options.ts';
import { hvipiCommand, ownVersion } from '../system/own-command.ts';
import { SkippedError, UsageError } from '../errors.ts';
import { debianSeries } from '../lab/kernel/debian-kernel.ts';
import type { InstallOptions } from '../system/packages/install-packages.ts';

interface ReviewOptions {
  readonly cpu: string;
  readonly tree?: string;
  readonly kernel?: string;
  readonly seed?: string;
  readonly time: number;
  readonly out: string;
  readonly install: boolean;
  readonly full?: true;
  readonly json?: true;
}

const defaultSeconds = 60;

export function addReview(program: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  program
    .command('review')
    .description('build KVM before and after a patch, and show what a guest sees differently')
    .argument('<PATCH...>', 'a diff, a mail, an mbox, several of these, a folder of them, or - for stdin')
    .option('--tree <DIR>', 'your own kernel tree, which is only read')
    .option(
      '--kernel <SPEC>',
      "debian:7.3 or another series: Debian's source; by default the newest that it applies to",
    )
    .addOption(cpuOption())
    .option('--seed <TEXT>', 'seed of the cases; random by default, always printed', parseSeed)
    .option('--time <TIME>', 'how long both kernels run cases: 60s, 5m, 2h', parseDuration, defaultSeconds)
    .option('--no-install', 'install nothing; say what is missing')
    .option('--out <DIR>', 'folder for the smallest cases and the text', defaultOut)
    .option('--full', `every difference with its smallest case; ${linesMaxDefault} lines by default`)
    .option('--json', 'one JSON object on stdout')
    .action(async (patches: string[], options: ReviewOptions) => finish(await review(patches, options, context)));
}

async function review(names: readonly string[], options: ReviewOptions, context: CommandContext): Promise<number> {
  const { say } = new Progress(context.stderr);
  const seed = options.seed ?? randomBytes(6).toString('hex');
  const cpu = parseLabCpu(options.cpu);
  const given = await readPatches(names);
  const { patches, outside } = sortSeries(given);
  if (patches.length === 0) {
    throw new SkippedError(
      `not exercised: KVM's modules are built from nothing that is touched: ${outside.join(', ')}`,
    );
  }
  const place = await placeOf(options, patches, { install: options.install, say, signal: context.signal });
  const start = performance.now();
  const modules = await build(place, patches, say, context);
  const buildSeconds = (performance.now() - start) / 1000;
  const aim = modules.counted === null ? null : new Aim(seed, new Targets(modules.places, modules.counted));
  // Two kernels differ in the order of a race without differing in anything.
  const stream = {
    seed,
    fromBatch: 0,
    corpus: await loadCorpus(ownCorpusFolder()),
    runs: Infinity,
    tier: 'ordered',
  } as const;
  const comparison = await compareSides(
    {
      base: { cpu, kernel: place.kernel, kvmModules: modules.before, counted: modules.counted?.before },
      kernel: { cpu, kernel: place.kernel, kvmModules: modules.after, counted: modules.counted?.after },
      install: options.install,
      say,
      batches: aim?.batches(stream) ?? batchesOf(stream),
      ...(aim === null ? {} : { aim }),
      seconds: options.time,
    },
    context.signal,
    toldTo(say),
  );
  const files = new Map<string, string>();
  for (const group of comparison.groups) files.set(group.key, await saveGroup(group, options.out, seed, group.path));
  const { counts, bootSeconds, seconds } = comparison;
  const exercises = counts === null ? null : exercisesOf(modules.places, counts);
  const linesMax = options.full ? Infinity : linesMaxDefault;
  const isAimed = aim?.hasTargets ?? false;
  const parts = { cpu, comparison, modules, patches: given, exercises, outside, place, seed, files, isAimed, linesMax };
  const text = await formatText(parts);
  say(`build ${buildSeconds.toFixed(0)} s, boots ${bootSeconds.toFixed(0)} s, comparing ${seconds.toFixed(0)} s`);
  const exitCode = exitCodeOfReview(comparison, exercises);
  const took = { build: rounded(buildSeconds), boots: rounded(bootSeconds), comparing: rounded(seconds) };
  const verdict = verdictOf(comparison, exercises);
  if (options.json) {
    const common = comparisonToJson(comparison, files);
    const facts = { seed, took, verdict, ...common, exercises, outside };
    context.stdout.write(formatJson({ schema: 'hvipi/review/1', ...facts, mail: text, exitCode }));
    return exitCode;
  }
  context.stdout.write(text);
  const [first] = byGravity(visibleGroups(comparison));
  if (first !== undefined) {
    const command = hvipiCommand('replay', files.get(first.key)!, ...labArguments({ cpu, kernel: place.kernel }));
    say(`see it: ${command} --kvm-modules ${modules.after}`);
  }
  return exitCode;
}

/** @throws UsageError for options that contradict each other, BuildError when the patches apply to no source. */
async function placeOf(
  { tree, kernel }: ReviewOptions,
  patches: readonly Patch[],
  options: InstallOptions,
): Promise<BuildPlace> {
  if (tree !== undefined && kernel !== undefined) throw new UsageError('review: give --tree or --kernel, not both');
  if (tree !== undefined) return placeToBuild(tree, options);
  if (kernel !== undefined && debianSeries(kernel) === null) {
    throw new UsageError(
      `--kernel ${kernel}: review takes the source of a series, like debian:7.3; --tree takes yours`,
    );
  }
  return placeToBuild(null, options, kernel ?? (await newestThatApplies(patches, options)));
}

/** Where nothing that is touched has run, a comparison says nothing. */
function exitCodeOfReview(comparison: SideBySide, exercises: readonly Exercise[] | null): number {
  return verdictOf(comparison, exercises) === 'none' ? exitCodes.skipped : exitCodeOfComparison(comparison);
}

/** The compiler's own lines come before the one line that says what failed. */
async function build(
  place: BuildPlace,
  patches: readonly Patch[],
  say: (line: string) => void,
  { stderr, signal }: CommandContext,
): Promise<PatchedModules> {
  try {
    return await buildBoth(place, patches, say, signal);
  } catch (error) {
    if (error instanceof BuildError) stderr.write(`${error.log.trimEnd()}\n`);
    throw error;
  }
}

interface ReviewParts {
  readonly cpu: LabCpu;
  readonly comparison: SideBySide;
  readonly modules: PatchedModules;
  readonly patches: readonly Patch[];
  readonly outside: readonly string[];
  readonly exercises: readonly Exercise[] | null;
  readonly place: BuildPlace;
  readonly seed: string;
  readonly files: ReadonlyMap<string, string>;
  readonly isAimed: boolean;
  readonly linesMax: number;
}

async function formatText(parts: ReviewParts): Promise<string> {
  const { cpu, comparison, modules, patches, place, linesMax, ...rest } = parts;
  const facts = {
    ...rest,
    patches: patches.map(({ title }) => title),
    source: place.description,
    compiler: await compilerVersion(),
    emulator: await emulatorText(cpu),
    version: ownVersion(),
    touched: describePlaces(modules.places),
    whitespaceOnly: isWhitespaceOnly(modules.places),
  };
  return formatReview(comparison, facts, linesMax);
}
