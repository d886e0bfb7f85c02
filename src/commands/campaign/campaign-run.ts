/** `campaign start` and `campaign resume`. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type CorpusEntry, loadCorpus, ownCorpusFolder } from '../../campaign/corpus.ts';
import { Interrupted } from '../../campaign/interrupt.ts';
import { Progress } from '../../campaign/progress.ts';
import { defaultShrinkLimits } from '../../campaign/findings/shrink.ts';
import { corpusHashOf, differences, modulesHashOf } from '../../durable/identity.ts';
import { findJournals, isMerged, lockFile, makeFolders, readJournals } from '../../durable/journal/folder.ts';
import { noLimits } from '../../durable/limits.ts';
import { withLock } from '../../durable/journal/lock.ts';
import type { CampaignIdentity, EndingName, Limits } from '../../durable/journal/record.ts';
import { readTrace } from '../../durable/line-coverage.ts';
import { runDurable } from '../../durable/run.ts';
import { Screen } from '../../durable/view/screen.ts';
import { shardOf } from '../../durable/shard.ts';
import { Store } from '../../durable/journal/store.ts';
import { kindsOf, plainLine } from '../../durable/view/view.ts';
import type { KnownFinding } from '../../durable/known.ts';
import { UsageError } from '../../errors.ts';
import { type CommandContext, exitCodes, formatJson } from '../common/command.ts';
import { knownOf, limitsOf, type RunOptions } from './campaign-options.ts';
import { buildForCoverage, Coverage, requireOneLab } from '../coverage.ts';
import { contractOf, formatKvmOptions, type RawTargetOptions, targetOf } from '../common/options.ts';
import { campaignValue } from '../../report/value.ts';
import { readCounted } from '../../counts/counted-folder.ts';
import { hvipiCommand } from '../../system/own-command.ts';

export interface StartOptions extends RunOptions, RawTargetOptions {
  readonly seed?: string;
  readonly runs?: number;
  readonly shard?: string;
  readonly corpus: boolean;
  readonly coverage?: true;
  readonly orResume?: true;
}

export async function startCampaign(folder: string, given: StartOptions, context: CommandContext): Promise<number> {
  if (given.bochs !== undefined)
    throw new UsageError('campaign start --bochs: a campaign takes the Bochs that is built');
  const options = given.coverage ? await withCounters(given, context) : given;
  const target = targetOf(options, () => undefined);
  const contract = contractOf(options.contract);
  const corpus = options.corpus && contract === 'kvm' ? await loadCorpus(ownCorpusFolder()) : [];
  const kvmModules = options.kvmModules === undefined ? null : resolve(options.kvmModules);
  const identity = (seed: string): CampaignIdentity => ({
    seed,
    contract,
    target: target.name,
    cpu: target.name === 'lab' ? options.cpu : 'amd',
    kernel: target.name === 'lab' ? options.kernel : null,
    kvmModules,
    kvmModulesHash: modulesHashOf(kvmModules),
    kvmOptions: options.kvmOptions === undefined ? null : formatKvmOptions(options.kvmOptions),
    corpusHash: corpusHashOf(corpus),
    runs: options.runs ?? null,
    shard: shardOf(options.shard, process.env),
  });
  const campaign = identity(options.seed ?? randomBytes(6).toString('hex'));
  if (campaign.shard.count > 1 && options.seed === undefined) {
    throw new UsageError('shards need a --seed: without one each would draw a campaign of its own');
  }
  const limits = limitsOf(options, noLimits);
  const known = knownOf(options);
  if (findJournals(folder).length > 0) {
    if (options.orResume !== true) throw begunError(folder);
    return resumeCampaign(folder, options, context, options.seed === undefined ? undefined : campaign);
  }
  await makeFolders(folder);
  return withLock(lockFile(folder), folder, async () => {
    // Another process may have begun one while we waited for the lock.
    if (findJournals(folder).length > 0) throw begunError(folder);
    const screen = screenOf(context, options, known, () => store);
    const say = (line: string): void => screen.line(`hvipi: ${line}`);
    using store = await Store.create({ folder, say }, randomBytes(6).toString('hex'), campaign, limits);
    return await run({ store, tornBytes: 0, options, limits, known, corpus, context, screen });
  });
}

/** With modules that count instead of the kernel's own. */
async function withCounters(options: StartOptions, { stderr, signal }: CommandContext): Promise<StartOptions> {
  const { folder } = await buildForCoverage(options, new Progress(stderr).say, signal);
  return { ...options, kvmModules: folder };
}

export async function resumeCampaign(
  folder: string,
  options: RunOptions,
  context: CommandContext,
  expected?: CampaignIdentity,
): Promise<number> {
  if (!existsSync(folder)) throw new UsageError(`${folder}: no such directory`);
  if (isMerged(folder)) throw new UsageError(`${folder}: was made by merge; resume the directories of its shards`);
  // Read without the lock for a complaint that names what is wrong, and again with it.
  readJournals(folder);
  return withLock(lockFile(folder), folder, () => resumeLocked(folder, options, context, expected));
}

async function resumeLocked(
  folder: string,
  options: RunOptions,
  context: CommandContext,
  expected: CampaignIdentity | undefined,
): Promise<number> {
  const known = knownOf(options);
  const [journal, ...others] = readJournals(folder);
  if (others.length > 0) {
    throw new UsageError(`${folder}: holds ${others.length + 1} journals; resume the directories of its shards`);
  }
  const screen = screenOf(context, options, known, () => store);
  using store = await Store.resume({ folder, say: (line) => screen.line(`hvipi: ${line}`) }, journal!);
  const { campaign } = store.state;
  const wrong = expected === undefined ? [] : differences(campaign, expected, { shard: true });
  if (wrong.length > 0) throw new UsageError(`${folder}: holds another campaign: ${wrong.join('; ')}`);
  const corpus = campaign.corpusHash === null ? [] : await loadCorpus(ownCorpusFolder());
  if (corpusHashOf(corpus) !== campaign.corpusHash) {
    throw new UsageError(
      `${folder}: the saved cases under corpus/ are not those that the campaign began with; check out its commit`,
    );
  }
  if (modulesHashOf(campaign.kvmModules) !== campaign.kvmModulesHash) {
    throw new UsageError(`${folder}: the modules in ${campaign.kvmModules} are not those that the campaign began with`);
  }
  const limits = limitsOf(options, store.state.limits);
  return await run({ store, tornBytes: journal!.tornBytes, options, limits, known, corpus, context, screen });
}

interface Run {
  readonly store: Store;
  readonly tornBytes: number;
  readonly options: RunOptions;
  readonly limits: Limits;
  readonly known: readonly KnownFinding[];
  readonly corpus: readonly CorpusEntry[];
  readonly context: CommandContext;
  readonly screen: Screen;
}

async function run({ store, tornBytes, options, limits, known, corpus, context, screen }: Run): Promise<number> {
  const { folder, state } = store;
  const { seed, target: where, cpu, kernel, kvmModules, kvmOptions, contract, shard } = state.campaign;
  const say = (line: string): void => screen.line(`hvipi: ${line}`);
  const target = targetOf(
    {
      target: where,
      cpu,
      kernel: kernel ?? '',
      contract,
      install: options.install,
      ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
      ...(kvmModules === null ? {} : { kvmModules }),
      ...(kvmOptions === null ? {} : { kvmOptions }),
    },
    say,
  );
  say(`${folder}: seed ${seed}, target ${where}, shard ${shard.index}/${shard.count}, from batch ${state.nextBatch}`);
  const counted = where === 'lab' && kvmModules !== null ? await readCounted(kvmModules) : null;
  if (counted !== null) requireOneLab(options);
  let ending: EndingName;
  try {
    ending = await runDurable(
      {
        store,
        tornBytes,
        target,
        corpus,
        limits,
        known,
        say,
        shrink: defaultShrinkLimits,
        lines: counted === null ? null : new Coverage(counted),
        onProgress: (live) => screen.update(live),
        onFinding: (finding) => say(`FINDING ${finding.class} ${finding.signature}; ${finding.replay}`),
      },
      context.signal,
    );
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    say('interrupted before the first case');
    return exitCodes.skipped;
  }
  const exitCode = exitCodeOfState(store, known, ending);
  if (state.error !== null) say(state.error);
  const figures = {
    state,
    limits,
    known,
    status: ending,
    seconds: state.seconds,
    hypercalls: state.hypercalls,
    cases: state.cases,
  };
  say(plainLine({ ...figures, rate: state.seconds > 0 ? state.hypercalls / state.seconds : 0 }));
  if (counted !== null && readTrace(folder) === null) say('no line of KVM was counted yet');
  say(`ended: ${ending}; go on with: ${hvipiCommand('campaign', 'resume', folder)}`);
  if (options.json) context.stdout.write(formatJson({ ...campaignValue(folder, known), ending, exitCode }));
  return exitCode;
}

function begunError(folder: string): UsageError {
  const resume = hvipiCommand('campaign', 'resume', folder);
  return new UsageError(`${folder}: holds a campaign already; go on with: ${resume}`);
}

/** The store comes after the screen, because it speaks through it. */
function screenOf(
  { stderr }: CommandContext,
  options: RunOptions,
  known: readonly KnownFinding[],
  store: () => Store,
): Screen {
  return new Screen(stderr, () => {
    const { state } = store();
    return { state, limits: limitsOf(options, state.limits), known, status: 'running' };
  });
}

/** A kernel that failed outweighs a divergence, and any finding outweighs how the campaign ended. */
function exitCodeOfState({ state }: Store, known: readonly KnownFinding[], ending: EndingName): number {
  const kinds = kindsOf(state, known);
  const findings = [...kinds.get('finding')!, ...kinds.get('unstable')!];
  if (findings.some((bucket) => bucket.class !== 'divergence')) return exitCodes.kernelFailure;
  if (findings.length > 0) return exitCodes.divergence;
  return ending === 'infrastructure' ? exitCodes.infrastructure : exitCodes.fine;
}
