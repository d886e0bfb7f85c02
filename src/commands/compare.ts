/** `compare`: the same cases on two kernels side by side. */
import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { batchesOf } from '../campaign/stream/batches.ts';
import { loadCorpus, ownCorpusFolder } from '../campaign/corpus.ts';
import { Progress } from '../campaign/progress.ts';
import { formatGroup, type Names } from '../review/text/comparison-text.ts';
import { comparisonToJson, exitCodeOfComparison, formatCounts } from '../review/text/comparison-summary.ts';
import { saveGroup } from '../review/text/group-file.ts';
import { formatIdentity } from '../review/kernel-identity.ts';
import { compareSides, type Side, toldTo } from '../review/side-by-side.ts';
import { UsageError } from '../errors.ts';
import { type CommandContext, exitCodes, formatJson } from './common/command.ts';
import { cpuOption, defaultOut, parseDuration, parsePositive, parseSeed } from './common/options.ts';
import { defaultKernel, kernelSpecHelp } from '../lab/kernel/kernels.ts';
import { labArguments } from '../lab/lab-arguments.ts';
import { parseLabCpu } from '../lab/lab-cpu.ts';
import { hvipiCommand } from '../system/own-command.ts';

interface CompareOptions {
  readonly base?: string;
  readonly baseModules?: string;
  readonly cpu: string;
  readonly baseCpu?: string;
  readonly kernel: string;
  readonly kvmModules?: string;
  readonly seed?: string;
  readonly time?: number;
  readonly runs?: number;
  readonly corpus: boolean;
  readonly install: boolean;
  readonly out: string;
  readonly json?: true;
}

const defaultSeconds = 60;

export function addCompare(program: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  program
    .command('compare')
    .description('run the same cases on two kernels, and show what a guest sees differently')
    .option('--base <SPEC>', 'the first kernel; that of --kernel by default')
    .option('--base-modules <DIR>', 'its kvm.ko, kvm-amd.ko and kvm-intel.ko')
    .option('--base-cpu <VENDOR>', 'CPU of its lab; that of --cpu by default')
    .addOption(cpuOption())
    .option('--kernel <SPEC>', `the second kernel: ${kernelSpecHelp}`, defaultKernel)
    .option('--kvm-modules <DIR>', 'its kvm.ko, kvm-amd.ko and kvm-intel.ko')
    .option('--seed <TEXT>', 'seed of the cases; random by default, always printed', parseSeed)
    .option('--time <TIME>', 'stop after this time: 60s, 5m, 2h (default 60s without --runs)', parseDuration)
    .option('--runs <N>', 'stop after N generated cases', parsePositive)
    .option('--no-corpus', 'do not run the saved cases first')
    .option('--no-install', 'install nothing; say what is missing')
    .option('--out <DIR>', 'folder for the smallest cases', defaultOut)
    .option('--json', 'one JSON object on stdout')
    .action(async (options: CompareOptions) => finish(await compare(options, context)));
}

async function compare(options: CompareOptions, context: CommandContext): Promise<number> {
  const { base: sideA, kernel: sideB } = sidesOf(options);
  const { say } = new Progress(context.stderr);
  const seed = options.seed ?? randomBytes(6).toString('hex');
  const corpus = options.corpus ? await loadCorpus(ownCorpusFolder()) : [];
  const { runs = Infinity, time = options.runs === undefined ? defaultSeconds : Infinity } = options;
  say(`seed ${seed}`);
  const names: Names = { base: 'base', kernel: 'kernel' };
  const files = new Map<string, string>();
  const told = toldTo(say);
  const comparison = await compareSides(
    {
      base: sideA,
      kernel: sideB,
      install: options.install,
      say,
      batches: batchesOf({ seed, fromBatch: 0, corpus, runs, tier: 'ordered' }),
      seconds: time,
    },
    context.signal,
    {
      ...told,
      onGroup: (group) => {
        told.onGroup(group);
        if (!options.json) context.stdout.write(`${formatGroup(group, names)}\n`);
      },
    },
  );
  for (const group of comparison.groups) files.set(group.key, await saveGroup(group, options.out, seed, group.path));
  const exitCode = exitCodeOfComparison(comparison);
  if (options.json) {
    context.stdout.write(
      formatJson({ schema: 'hvipi/compare/1', seed, ...comparisonToJson(comparison, files), exitCode }),
    );
    return exitCode;
  }
  context.stdout.write(
    [
      `base       ${formatIdentity(comparison.base)}`,
      `kernel     ${formatIdentity(comparison.kernel)}`,
      `seed       ${seed}`,
      ...formatCounts(comparison),
      ...[...files.values()].map((file) => `replay     ${replayCommand(file, sideB)}`),
      '',
    ].join('\n'),
  );
  return exitCode === exitCodes.fine && comparison.interrupted && comparison.cases === 0 ? exitCodes.skipped : exitCode;
}

function sidesOf(options: CompareOptions): { base: Side; kernel: Side } {
  const cpu = parseLabCpu(options.cpu);
  const baseCpu = options.baseCpu === undefined ? cpu : parseLabCpu(options.baseCpu, '--base-cpu');
  const kernel = { cpu, kernel: options.kernel, kvmModules: options.kvmModules ?? null };
  const base = { cpu: baseCpu, kernel: options.base ?? options.kernel, kvmModules: options.baseModules ?? null };
  if (base.kernel === kernel.kernel && base.kvmModules === kernel.kvmModules && cpu === baseCpu) {
    throw new UsageError(
      'compare: give two kernels, with --base, two module folders, with --base-modules, or two CPUs, with --base-cpu',
    );
  }
  return { base, kernel };
}

/** The case on the second kernel; on the first one it goes alike. */
function replayCommand(file: string, side: Side): string {
  return hvipiCommand('replay', file, ...labArguments(side));
}
