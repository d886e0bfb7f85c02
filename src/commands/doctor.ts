/** `doctor`: what this computer can do, and what is missing. A report, so it ends well whatever it says. */
import type { Command } from 'commander';
import { formatTable } from '../campaign/text/table.ts';
import { InfrastructureError, SkippedError, UsageError } from '../errors.ts';
import { type Check, doctor } from '../lab/doctor.ts';
import { parseLabCpu } from '../lab/lab-cpu.ts';
import { parseDestination } from '../remote/destination.ts';
import { type CommandContext, exitCodes, formatJson } from './common/command.ts';
import { cpuOption } from './common/options.ts';

export function addDoctor(program: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  program
    .command('doctor')
    .description('what this computer can do, and what is missing')
    .option('--target <WHERE>', 'ssh:[USER@]HOST: what there is on another machine')
    .addOption(cpuOption())
    .option('--json', 'one JSON object on stdout')
    .action(async (options: DoctorOptions) => finish(await examine(options, context)));
}

interface DoctorOptions {
  readonly cpu: string;
  readonly json?: true;
  readonly target?: string;
}

async function examine({ cpu, json, target }: DoctorOptions, { stdout }: CommandContext): Promise<number> {
  const checks =
    target === undefined ? [...(await doctor(parseLabCpu(cpu))), await hostCheck()] : [await remoteCheck(target)];
  if (json) {
    stdout.write(formatJson({ schema: 'hvipi/doctor/1', checks }));
    return exitCodes.fine;
  }
  stdout.write(
    formatTable(checks.map(({ name, ok, detail, remedy }) => [ok ? 'ok' : 'missing', name, detail, remedy])),
  );
  return exitCodes.fine;
}

/** Whether `--target host` would work; the lab does without. */
async function hostCheck(): Promise<Check> {
  const name = '/dev/kvm of this computer';
  try {
    // Only who needs it loads koffi.
    const { openHost } = await import('../executor/host.ts');
    await (await openHost())[Symbol.asyncDispose]();
    return { name, ok: true, detail: 'has Hyper-V', remedy: '' };
  } catch (error) {
    if (!(error instanceof SkippedError || error instanceof InfrastructureError)) throw error;
    return { name, ok: false, detail: error.message, remedy: 'only --target host needs it' };
  }
}

/** What another machine's KVM is. */
async function remoteCheck(target: string): Promise<Check> {
  const [kind, name] = [target.slice(0, 4), target.slice(4)];
  if (kind !== 'ssh:')
    throw new UsageError(`--target ${target}: doctor looks at ssh:HOST, or at this computer without it`);
  const destination = parseDestination(name);
  try {
    const { openSsh } = await import('../remote/open-ssh.ts');
    await using executor = await openSsh(destination);
    const { kernelRelease, cpu, irqchips, kvmMaxVcpus, xen } = executor.facts;
    const detail = `${kernelRelease}, ${cpu}, irqchips ${irqchips.join(' ')}, ${kvmMaxVcpus} vCPUs, Xen ${xen ? 'yes' : 'no'}`;
    return { name: target, ok: true, detail, remedy: '' };
  } catch (error) {
    if (!(error instanceof SkippedError || error instanceof InfrastructureError)) throw error;
    return {
      name: target,
      ok: false,
      detail: error.message,
      remedy: 'it needs /dev/kvm with Hyper-V, and who may open it',
    };
  }
}
