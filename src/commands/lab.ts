/** `lab install|list|run`: the emulated computer. */
import type { Command } from 'commander';
import { Progress } from '../campaign/progress.ts';
import { formatTable } from '../campaign/table.ts';
import { interruptible } from '../campaign/interrupt.ts';
import { cachedKernels, debianSpecs } from '../lab/debian-kernel.ts';
import { installLab } from '../lab/install.ts';
import { type Lab, openLab } from '../lab/lab.ts';
import { missingTools } from '../lab/tools.ts';
import { type CommandContext, exitCodes, formatJson } from './command.ts';
import { defaultKernel } from './options.ts';

interface RunOptions {
  readonly kernel: string;
  readonly kvmModules?: string;
  readonly install: boolean;
}

export function addLab(program: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  const lab = program.command('lab').description('the emulated computer that boots the kernel under test');
  lab
    .command('install')
    .description('install what the lab needs, and the newest kernels')
    .action(async () => finish(await install(context)));
  lab
    .command('list')
    .description('the kernels that are there')
    .option('--json', 'one JSON object on stdout')
    .action((options: { json?: true }) => finish(list(options, context)));
  lab
    .command('run')
    .description('boot the lab, run a command in it (busybox and node are there), and switch it off')
    .argument('[CMD...]', 'the command, after --; without one, what the lab is')
    .option('--kernel <SPEC>', 'debian:6.12, debian:6.1, a bzImage, a kernel build folder', defaultKernel)
    .option('--kvm-modules <DIR>', 'take kvm.ko, kvm-amd.ko and kvm-intel.ko from there')
    .option('--no-install', 'install nothing; say what is missing')
    .action(async (argv: string[], options: RunOptions) => finish(await run(argv, options, context)));
}

async function install({ stderr, signal }: CommandContext): Promise<number> {
  const progress = new Progress(stderr);
  await installLab({ say: (line) => progress.line(`hvipi: ${line}`), signal });
  return exitCodes.fine;
}

function list({ json }: { json?: true }, { stdout }: CommandContext): number {
  const missing = missingTools();
  const kernels = debianSpecs.flatMap((spec) =>
    cachedKernels(spec).map(({ release, bzImage }) => ({ spec, release, bzImage })),
  );
  if (json) {
    stdout.write(formatJson({ schema: 'hvipi/lab/1', kernels, missing }));
    return exitCodes.fine;
  }
  stdout.write(formatTable(kernels.map(({ spec, release, bzImage }) => [spec, release ?? '?', bzImage])));
  stdout.write(kernels.length === 0 ? 'no kernel yet; `hvipi lab install` gets them\n' : '');
  if (missing.length > 0) stdout.write(`missing: ${missing.join(', ')}\n`);
  return exitCodes.fine;
}

/** The command's own exit code is the exit code, as with ssh. */
async function run(argv: readonly string[], options: RunOptions, context: CommandContext): Promise<number> {
  const { stdout, stderr, signal } = context;
  const progress = new Progress(stderr);
  await using lab = await openLab({
    kernel: options.kernel,
    kvmModules: options.kvmModules ?? null,
    install: options.install ? 'auto' : 'refuse',
    say: (line) => progress.line(`hvipi: ${line}`),
    signal,
  });
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

function describeLab({ facts, bootSeconds }: Lab): string {
  return formatTable([
    ['kernel', facts.kernelRelease],
    ['cpu', facts.cpu],
    ['irqchips', facts.irqchips.join(', ')],
    ['KVM_MAX_VCPUS', `${facts.kvmMaxVcpus}`],
    ['boot', `${bootSeconds.toFixed(1)} s`],
  ]);
}
