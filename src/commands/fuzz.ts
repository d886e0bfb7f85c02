/** `fuzz`: the main job. */
import { randomBytes } from 'node:crypto';
import { type Command, Option } from 'commander';
import { type TierChoice, tierChoices } from '../campaign/stream/batches.ts';
import { runCampaign } from '../campaign/campaign.ts';
import type { CampaignResult } from '../campaign/campaign-terms.ts';
import { type CorpusEntry, loadCorpus, ownCorpusFolder } from '../campaign/corpus.ts';
import { type Finding, formatFinding } from '../campaign/findings/finding.ts';
import { Interrupted } from '../campaign/interrupt.ts';
import { Progress } from '../campaign/progress.ts';
import { campaignToJson, formatFindingReport, formatSummary } from '../campaign/text/report.ts';
import type { Session } from '../campaign/target/session.ts';
import { defaultShrinkLimits } from '../campaign/findings/shrink.ts';
import type { Target } from '../campaign/target/target.ts';
import { type Space, spaces } from '../../generators/spaces/spaces.ts';
import { UsageError } from '../errors.ts';
import { buildForCoverage, Coverage } from './coverage.ts';
import { type CommandContext, exitCodes, formatJson } from './common/command.ts';
import {
  addJobsOption,
  addTargetOptions,
  contractOf,
  defaultOut,
  parseCount,
  parseDuration,
  parsePositive,
  parseSeed,
  type RawTargetOptions,
  targetOf,
} from './common/options.ts';
import { hvipiCommand } from '../system/own-command.ts';

interface FuzzOptions extends RawTargetOptions {
  readonly seed?: string;
  readonly time?: number;
  readonly runs?: number;
  readonly keepGoing?: true;
  readonly corpus: boolean;
  readonly exhaustive?: string;
  readonly tier: TierChoice;
  readonly fromBatch: number;
  readonly out: string;
  readonly coverage?: true;
  readonly json?: true;
}

const defaultSeconds = 60;
const spaceNames = spaces.map(({ name }) => name);

export function addFuzz(program: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  const command = program.command('fuzz');
  addJobsOption(
    addTargetOptions(command.description('generate cases, run them, compare with the model, shrink what differs')),
  )
    .option('--seed <TEXT>', 'seed of the campaign; random by default, always printed', parseSeed)
    .option('--time <TIME>', 'stop after this time: 60s, 5m, 2h (default 60s without --runs)', parseDuration)
    .option('--runs <N>', 'stop after N generated cases', parsePositive)
    .option('--keep-going', 'go on after a finding: one finding per signature')
    .option('--no-corpus', 'do not run the saved cases first; with --contract tlfs they never are')
    .option('--exhaustive <SPACE>', `walk a space completely instead of drawing cases: all, ${spaceNames.join(', ')}`)
    .addOption(
      new Option('--tier <TIER>', 'only cases whose steps follow each other, or whose calls race')
        .choices(tierChoices)
        .default('all'),
    )
    .option('--from-batch <N>', 'go on with this batch of the seed', parseCount, 0)
    .option('--out <DIR>', 'folder for findings', defaultOut)
    .option('--coverage', "count which lines of KVM's hyperv.c and lapic.c run; a table, and lcov in --out")
    .option('--json', 'one JSON object on stdout')
    .action(async (options: FuzzOptions) => finish(await fuzz(options, context)));
}

async function fuzz(options: FuzzOptions, context: CommandContext): Promise<number> {
  const progress = new Progress(context.stderr);
  const { say } = progress;
  const counted = options.coverage ? await buildForCoverage(options, say, context.signal) : null;
  const coverage = counted === null ? null : new Coverage(counted);
  const target = targetOf(counted === null ? options : { ...options, kvmModules: counted.folder }, say);
  const contract = contractOf(options.contract);
  // Saved cases would tell a campaign under `tlfs` where the deviations are.
  const isDrawn = options.exhaustive === undefined;
  const corpus = options.corpus && isDrawn && contract === 'kvm' ? await loadCorpus(ownCorpusFolder()) : [];
  const seed = options.seed ?? randomBytes(6).toString('hex');
  say(`seed ${seed}, target ${target.name}`);
  const tier = options.tier === 'all' ? [] : ['--tier', options.tier];
  const resume = (batch: number): string =>
    options.exhaustive === undefined
      ? hvipiCommand('fuzz', '--seed', seed, ...tier, '--from-batch', `${batch}`, ...target.replayArguments)
      : hvipiCommand('fuzz', '--exhaustive', options.exhaustive, ...target.replayArguments);
  let result: CampaignResult;
  try {
    result = await runFuzz({ options, context, progress, target, corpus, seed, coverage });
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    say(`interrupted before the first case, nothing was tested; go on with: ${resume(options.fromBatch)}`);
    return exitCodes.skipped;
  } finally {
    progress.end();
  }
  const exitCode = exitCodeOfResult(result);
  const report = {
    contract,
    seed,
    exitCode,
    fromBatch: options.fromBatch,
    target: target.name,
    kernel: target.name === 'lab' ? options.kernel : null,
    resume: resume(result.nextBatch),
  };
  if (result.error !== null) say(result.error);
  context.stdout.write(options.json ? formatJson(campaignToJson(result, report)) : formatSummary(result, report));
  if (coverage !== null) (options.json ? context.stderr : context.stdout).write(await coverage.report(options.out));
  return exitCode;
}

interface FuzzRun {
  readonly coverage: Coverage | null;
  readonly options: FuzzOptions;
  readonly context: CommandContext;
  readonly progress: Progress;
  readonly target: Target;
  readonly corpus: readonly CorpusEntry[];
  readonly seed: string;
}

async function runFuzz({
  options,
  context,
  progress,
  target,
  corpus,
  seed,
  coverage,
}: FuzzRun): Promise<CampaignResult> {
  const walked = spacesOf(options.exhaustive);
  const isEndless = options.runs === undefined && walked.length === 0;
  const { runs = Infinity, time = isEndless ? defaultSeconds : Infinity, fromBatch, out } = options;
  const onOpen = (session: Session): void => {
    const { facts, bootSeconds } = session;
    progress.say(`kernel ${facts.kernelRelease}, booted in ${bootSeconds.toFixed(1)} s`);
    coverage?.begin(session);
  };
  const onFinding = (finding: Finding, isSaved: boolean): void => {
    if (options.json) return;
    progress.end();
    context.stdout.write(`${formatFindingReport(finding)}\n`);
    if (!isSaved) context.stdout.write(formatFinding(finding));
  };
  return runCampaign(
    target,
    {
      contract: contractOf(options.contract),
      seed,
      fromBatch,
      corpus,
      runs,
      tier: options.tier,
      spaces: walked,
      out,
      seconds: time,
      keepGoing: options.keepGoing === true,
      shrink: defaultShrinkLimits,
      warn: progress.say,
    },
    context.signal,
    {
      onOpen,
      onFinding,
      onBatchDone: () => coverage?.readSometimes(),
      onBatch: (tally, findings) => progress.update(tally, findings),
    },
  );
}

/** @throws UsageError when there is no such space. */
function spacesOf(name: string | undefined): readonly Space[] {
  if (name === undefined) return [];
  const found = name === 'all' ? spaces : spaces.filter((space) => space.name === name);
  if (found.length === 0) throw new UsageError(`--exhaustive ${name}: there are all, ${spaceNames.join(', ')}`);
  return found;
}

/** A kernel that failed outweighs a divergence, and any finding outweighs how the campaign ended. */
function exitCodeOfResult({ findings, ending }: CampaignResult): number {
  if (findings.some((finding) => finding.class !== 'divergence')) return exitCodes.kernelFailure;
  if (findings.length > 0) return exitCodes.divergence;
  return ending === 'infrastructure' ? exitCodes.infrastructure : exitCodes.fine;
}
