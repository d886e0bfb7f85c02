/** `replay`: runs saved cases and shows expected against observed, step by step and vCPU by vCPU. */
import type { Command } from 'commander';
import { nameFault, shownFaults } from '../../oracle/kvm-faults.ts';
import type { Outcome } from '../../oracle/outcome.ts';
import type { JudgedCall } from '../../oracle/tlfs/tlfs.ts';
import { formatDone, formatPermitted, formatVerdict } from '../../oracle/tlfs/tlfs-text.ts';
import { isProblem, type Judgement, type Prepared } from '../campaign/judgement.ts';
import { Progress } from '../campaign/progress.ts';
import { Session } from '../campaign/target/session.ts';
import { formatMachine, formatStages } from '../campaign/text/stages.ts';
import { formatTable } from '../campaign/text/table.ts';
import { viewObservation, viewOutcome } from '../campaign/text/view.ts';
import { caseId, toJson } from '../case/case.ts';
import type { Observation } from '../program/observation.ts';
import { SkippedError, UsageError } from '../errors.ts';
import { loadDrawn, loadEach, type LoadedCase, type RefusedFile } from './common/case-files.ts';
import { type CommandContext, errorLine, exitCodes, formatJson } from './common/command.ts';
import { replayTraced } from './replay-trace.ts';
import { addTargetOptions, contractOf, parseSeed, type RawTargetOptions, targetOf } from './common/options.ts';
import { hvipiCommand } from '../system/own-command.ts';

interface ReplayOptions extends RawTargetOptions {
  readonly seed?: string;
  readonly path?: string;
  readonly trace?: true;
  readonly json?: true;
}

/** What came of one case. */
interface Replayed {
  readonly loaded: LoadedCase;
  readonly prepared: Prepared;
  readonly observation: Observation | null;
  readonly judgement: Judgement | { readonly class: 'skipped'; readonly reason: string };
}

export function addReplay(program: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  addTargetOptions(
    program.command('replay').description('run saved cases: a case, a finding, a {seed, path}, or a folder of these'),
  )
    .argument('[FILE...]', 'files or folders')
    .option('--seed <TEXT>', 'with --path: a generated case instead of a file', parseSeed)
    .option('--path <BATCH:INDEX>', 'with --seed: which case of that seed')
    .option('--trace', "show KVM's own trace events around each call; in the lab")
    .option('--json', 'one JSON object on stdout')
    .action(async (files: string[], options: ReplayOptions) => finish(await replay(files, options, context)));
}

async function replay(files: readonly string[], options: ReplayOptions, context: CommandContext): Promise<number> {
  const progress = new Progress(context.stderr);
  const { cases, refused } = casesOf(files, options);
  for (const { error } of refused) progress.line(errorLine(error));
  if (cases.length === 0) return exitCodes.usage;
  if (options.trace) return worstOf([await replayTraced(cases, options, context), codeOf(refused)]);
  const target = targetOf(options, progress.say);
  await using session = await Session.open(target, context.signal, contractOf(options.contract));
  const results: Replayed[] = [];
  for (const loaded of cases) {
    const result = await runCase(session, loaded);
    results.push(result);
    if (!options.json) context.stdout.write(formatReplayed(result));
  }
  const exitCode = worstOf([exitCodeOfResults(results), codeOf(refused)]);
  if (options.json) {
    const command = hvipiCommand('replay', ...files, ...target.replayArguments);
    const value = {
      schema: 'hvipi/replay/1',
      target: session.facts,
      replay: command,
      results: results.map(toResult),
      refused: refused.map(({ name, error }) => ({ name, error: error.message })),
      exitCode,
    };
    context.stdout.write(formatJson(value));
  } else if (results.length > 1 || refused.length > 0) {
    const deviating = options.contract === 'tlfs' ? `, ${countOf(results, 'deviation')} deviate` : '';
    const left = refused.length === 0 ? '' : `; ${refused.length} that cannot be read did not run`;
    context.stdout.write(`${countOf(results, 'match')} of ${results.length} cases match${deviating}${left}\n`);
  }
  return exitCode;
}

function casesOf(files: readonly string[], { seed, path }: ReplayOptions): ReturnType<typeof loadEach> {
  if (seed === undefined && path === undefined) {
    if (files.length === 0) throw new UsageError('replay: give a file, or --seed and --path');
    return loadEach(files);
  }
  if (seed === undefined || path === undefined) throw new UsageError('replay: --seed and --path go together');
  const drawn = loadDrawn(seed, path);
  const { cases, refused } = loadEach(files);
  return { cases: [...cases, drawn], refused };
}

/** A file that gives no case is bad input. */
function codeOf(refused: readonly RefusedFile[]): number {
  return refused.length === 0 ? exitCodes.fine : exitCodes.usage;
}

/** What weighs most comes first: what a kernel did, before what is wrong with the command line. */
const fromTheWorst: readonly number[] = [
  exitCodes.kernelFailure,
  exitCodes.divergence,
  exitCodes.usage,
  exitCodes.skipped,
  exitCodes.fine,
];

function worstOf(codes: readonly number[]): number {
  return fromTheWorst.find((code) => codes.includes(code)) ?? exitCodes.infrastructure;
}

async function runCase(session: Session, loaded: LoadedCase): Promise<Replayed> {
  const prepared = session.prepare(loaded.value);
  try {
    const before = loaded.before.map((value) => session.prepare(value));
    const isBatch = before.length > 0;
    const { judgement, observation } = await (isBatch
      ? session.observeLast([...before, prepared])
      : session.observePatiently(prepared, isProblem));
    return { loaded, prepared, observation, judgement };
  } catch (error) {
    if (!(error instanceof SkippedError)) throw error;
    return { loaded, prepared, observation: null, judgement: { class: 'skipped', reason: error.message } };
  }
}

function countOf(results: readonly Replayed[], wanted: Replayed['judgement']['class']): number {
  return results.filter(({ judgement }) => judgement.class === wanted).length;
}

function exitCodeOfResults(results: readonly Replayed[]): number {
  const classes = new Set(results.map(({ judgement }) => judgement.class));
  if (classes.has('oops') || classes.has('warning') || classes.has('hang')) return exitCodes.kernelFailure;
  if (classes.has('divergence')) return exitCodes.divergence;
  return classes.has('match') || classes.has('deviation') ? exitCodes.fine : exitCodes.skipped;
}

function formatReplayed({ loaded, prepared, observation, judgement }: Replayed): string {
  const { value } = loaded;
  const expected = viewOutcome(prepared.outcome);
  const observed = observation === null ? null : viewObservation(observation);
  return [
    `${loaded.name} (${caseId(value)})\n`,
    value.why === '' ? '' : `  ${value.why}\n`,
    `machine\n${formatMachine(value)}`,
    formatStages(value, expected, observed),
    prepared.tlfs === null ? '' : formatContracts(prepared.tlfs),
    formatFaults(prepared.outcome),
    `${formatJudgement(judgement)}\n\n`,
  ].join('');
}

/** What TLFS permits for each call beside what KVM is predicted to do, which is what it did unless it diverges. */
function formatContracts(calls: readonly JudgedCall[]): string {
  const rows = calls.map((judged) => [
    `step ${judged.step + 1}`,
    formatPermitted(judged.permitted),
    formatDone(judged.done),
    formatVerdict(judged),
  ]);
  return `both contracts\n${formatTable([['', 'TLFS permits', 'KVM', ''], ...rows], '  ')}`;
}

/** Where the expected answer is a fault of KVM itself: a KVM without it gives another one. */
function formatFaults(outcome: Outcome): string {
  return shownFaults(outcome)
    .map(({ step, fault }) => `step ${step + 1}, expected: ${nameFault(fault)}: ${fault.does}\n`)
    .join('');
}

/** In a machine of many vCPUs each of them may differ in the same way. */
const differencesMax = 64;

function formatJudgement(judgement: Replayed['judgement']): string {
  switch (judgement.class) {
    case 'match':
      return 'match: everything is as expected';
    case 'deviation':
      return `DEVIATION ${judgement.names.join(', ')}: KVM leaves TLFS where it is known to`;
    case 'skipped':
      return `skipped: ${judgement.reason}`;
    case 'divergence': {
      const lines = judgement.differences.slice(0, differencesMax).map(({ step, vcpu, what, expected, observed }) => {
        const place = [
          ...(step === null ? [] : [`step ${step + 1}`]),
          ...(vcpu === null ? [] : [`vCPU ${vcpu}`]),
          what,
        ];
        return `\n  ${place.join(', ')}: expected ${expected}, observed ${observed}`;
      });
      const rest = judgement.differences.length - differencesMax;
      const more = rest <= 0 ? '' : `\n  and ${rest} more`;
      return `DIVERGENCE ${judgement.signature}${lines.join('')}${more}`;
    }
    case 'oops':
    case 'warning':
    case 'hang':
      return `KERNEL ${judgement.class.toUpperCase()} ${judgement.signature}\n${judgement.console}`;
  }
}

function toResult({ loaded, prepared, observation, judgement }: Replayed): object {
  return {
    name: loaded.name,
    id: caseId(loaded.value),
    class: judgement.class,
    signature: 'signature' in judgement ? judgement.signature : null,
    reason: judgement.class === 'skipped' ? judgement.reason : null,
    console: 'console' in judgement ? judgement.console : null,
    case: toJson(loaded.value),
    expected: viewOutcome(prepared.outcome),
    observed: observation === null ? null : viewObservation(observation),
    differences: judgement.class === 'divergence' ? judgement.differences : [],
    kvmFaults: shownFaults(prepared.outcome).map(({ step, fault }) => ({ step, name: fault.name })),
    tlfs: (prepared.tlfs ?? []).map((judged) => ({
      step: judged.step,
      rules: judged.permitted.rules.map(({ name }) => name),
      permitted: formatPermitted(judged.permitted),
      kvm: formatDone(judged.done),
      verdict: formatVerdict(judged),
    })),
  };
}
