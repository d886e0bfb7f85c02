/**
 * `bisect`: what `git bisect run` runs. It builds the KVM of the commit that is checked out, boots it, replays one case
 * several times, and answers in git's own terms: 0 good, 1 bad, 125 cannot be tested.
 */
import { execa } from 'execa';
import type { Command } from 'commander';
import { BuildError } from '../build/make.ts';
import { placeToBuild } from '../build/mirror.ts';
import { Workshop } from '../build/workshop.ts';
import { isProblem } from '../campaign/judgement.ts';
import { Progress } from '../campaign/progress.ts';
import { Session } from '../campaign/target/session.ts';
import { parseTarget } from '../campaign/target/target.ts';
import { InfrastructureError, SkippedError } from '../errors.ts';
import { UsageError } from '../errors.ts';
import { loadCases, type LoadedCase } from './common/case-files.ts';
import { type CommandContext, errorLine } from './common/command.ts';
import { cpuOption, parsePositive } from './common/options.ts';
import { parseLabCpu } from '../lab/lab-cpu.ts';

interface BisectOptions {
  readonly cpu: string;
  readonly tree: string;
  readonly times: number;
  readonly install: boolean;
}

/** git-bisect(1): 125 says that a commit cannot be tested; from 128 on the whole bisection stops. */
const answers = { good: 0, bad: 1, skip: 125, stop: 128 } as const;

export function addBisect(program: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  program
    .command('bisect')
    .description('for git bisect run: build, boot, replay a case; exits 0 (good), 1 (bad), 125 (cannot be tested)')
    .argument('<FILE>', 'a case file or a finding file')
    .option('--tree <DIR>', 'the kernel tree that is bisected; only read', '.')
    .addOption(cpuOption())
    .option('--times <N>', 'how often the case is replayed; once bad is bad', parsePositive, 10)
    .option('--no-install', 'install nothing; say what is missing')
    .action(async (file: string, options: BisectOptions) => finish(await bisect(file, options, context)));
}

async function bisect(file: string, options: BisectOptions, context: CommandContext): Promise<number> {
  const { say } = new Progress(context.stderr);
  try {
    const [loaded, ...others] = loadCases([file]);
    if (loaded === undefined || others.length > 0) throw new UsageError(`${file}: bisect takes one case`);
    return await test(loaded, options, context, say);
  } catch (error) {
    if (error instanceof BuildError) context.stderr.write(`${error.log}\n`);
    say(errorLine(error).replace(/^hvipi: /, ''));
    const isCommits =
      error instanceof BuildError || error instanceof SkippedError || error instanceof InfrastructureError;
    // A wrong command line would be as wrong on the next commit.
    return isCommits ? answers.skip : answers.stop;
  }
}

async function test(
  loaded: LoadedCase,
  { tree, times, install, ...options }: BisectOptions,
  { signal, stdout }: CommandContext,
  say: (line: string) => void,
): Promise<number> {
  const build = { install, say, signal } as const;
  const cpu = parseLabCpu(options.cpu);
  const place = await placeToBuild(tree, build);
  const kvmModules = await new Workshop(place.source, say, signal).build(null);
  const target = parseTarget({ target: 'lab', cpu, kernel: place.kernel, kvmModules, install, say });
  await using session = await Session.open(target, signal);
  const prepared = session.prepare(loaded.value);
  const before = loaded.before.map((value) => session.prepare(value));
  const commit = await subjectOf(tree);
  for (let run = 1; run <= times; run++) {
    const { judgement } = await (before.length > 0
      ? session.observeLast([...before, prepared])
      : session.observe(prepared));
    if (!isProblem(judgement)) continue;
    stdout.write(`bad (run ${run} of ${times}): ${judgement.class} ${judgement.signature}: ${commit}\n`);
    return answers.bad;
  }
  stdout.write(`good (${times} runs): ${commit}\n`);
  return answers.good;
}

async function subjectOf(tree: string): Promise<string> {
  const { stdout } = await execa('git', ['-C', tree, 'log', '-1', '--format=%h %s'], { reject: false });
  return stdout?.trim() ?? '';
}
