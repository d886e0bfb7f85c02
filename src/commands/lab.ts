/** `lab install|list|run|shell`: the emulated computer. */
import type { Command } from 'commander';
import { Progress } from '../campaign/progress.ts';
import { formatTable } from '../campaign/text/table.ts';
import { interruptible } from '../campaign/interrupt.ts';
import { installLab } from '../lab/install.ts';
import { debianSeries } from '../lab/kernel/debian-kernel.ts';
import { defaultKernel } from '../lab/kernel/kernels.ts';
import { type Lab, type LabOptions, openLab } from '../lab/lab.ts';
import { runLabShell } from '../lab/shell.ts';
import { UsageError } from '../errors.ts';
import { parseLabCpu } from '../lab/lab-cpu.ts';
import { addLabList } from './lab-list.ts';
import { addLabOptions, cpuOption, labOptionsOf, type RawLabOptions } from './common/options.ts';
import { type CommandContext, exitCodes } from './common/command.ts';

interface InstallOptions {
  readonly cpu: string;
}

export function addLab(program: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  const lab = program.command('lab').description('the emulated computer that boots the kernel under test');
  lab
    .command('install')
    .description('install what the lab needs, and the newest kernel of each series that is named')
    .argument('[SPEC...]', `like debian:7.3, debian:newest; ${defaultKernel} when none is named`)
    .addOption(cpuOption())
    .action(async (specs: string[], { cpu }: InstallOptions) => finish(await install(specs, cpu, context)));
  addLabList(lab, context, finish);
  addLabOptions(lab.command('run'))
    .description('boot the lab, run a command in it (busybox is there), and switch it off')
    .argument('[CMD...]', 'the command, after --; without one, what the lab is')
    .action(async (argv: string[], options: RawLabOptions) => finish(await run(argv, options, context)));
  addLabOptions(lab.command('shell'))
    .description('boot the lab with a shell on its console, to look around in')
    .action(async (options: RawLabOptions) => finish(await shell(options, context)));
}

async function install(named: readonly string[], cpu: string, { stderr, signal }: CommandContext): Promise<number> {
  const progress = new Progress(stderr);
  const wrong = named.find((spec) => debianSeries(spec) === null);
  if (wrong !== undefined) {
    throw new UsageError(`lab install ${wrong}: only Debian's kernels are installed, like debian:7.3 or debian:newest`);
  }
  const specs = (named.length === 0 ? [defaultKernel] : named).filter((spec) => debianSeries(spec) !== null);
  await installLab(specs, parseLabCpu(cpu), { say: progress.say, signal });
  return exitCodes.fine;
}

/** The command's own exit code is the exit code, as with ssh. */
async function run(argv: readonly string[], options: RawLabOptions, context: CommandContext): Promise<number> {
  const { stdout, signal } = context;
  await using lab = await openLab({ ...labOptions(options, context), hasPrograms: argv.length > 0 });
  if (argv.length === 0) {
    stdout.write(describeLab(lab));
    return exitCodes.fine;
  }
  const { exitCode } = await interruptible(
    lab.exec(argv, (bytes) => stdout.write(bytes)),
    signal,
  );
  return exitCode;
}

async function shell(options: RawLabOptions, context: CommandContext): Promise<number> {
  await runLabShell(labOptions(options, context));
  return exitCodes.fine;
}

function labOptions(options: RawLabOptions, { stderr, signal }: CommandContext): LabOptions {
  const progress = new Progress(stderr);
  return { ...labOptionsOf(options, progress.say), signal };
}

function describeLab({ facts, bootSeconds }: Lab): string {
  return formatTable([
    ['kernel', facts.kernelRelease],
    ['cpu', facts.cpu],
    ['irqchips', facts.irqchips.join(', ')],
    ...(facts.hypervPrivileges === undefined ? [] : [['Hyper-V', `privileges ${facts.hypervPrivileges.toString(16)}`]]),
    ['KVM_MAX_VCPUS', `${facts.kvmMaxVcpus}`],
    ...(facts.kvmOptions === '' ? [] : [['options', facts.kvmOptions]]),
    ['boot', `${bootSeconds.toFixed(1)} s`],
  ]);
}
