/** `doctor`: what this computer can do, and what is missing. A report, so it ends well whatever it says. */
import type { Command } from 'commander';
import { formatTable } from '../campaign/text/table.ts';
import { openHost } from '../executor/host.ts';
import { InfrastructureError, SkippedError } from '../errors.ts';
import { type Check, doctor } from '../lab/doctor.ts';
import { type CommandContext, exitCodes, formatJson } from './common/command.ts';

export function addDoctor(program: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  program
    .command('doctor')
    .description('what this computer can do, and what is missing')
    .option('--json', 'one JSON object on stdout')
    .action(async (options: { json?: true }) => finish(await examine(options, context)));
}

async function examine({ json }: { json?: true }, { stdout }: CommandContext): Promise<number> {
  const checks = [...(await doctor()), await hostCheck()];
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
    await openHost();
    return { name, ok: true, detail: 'has Hyper-V', remedy: '' };
  } catch (error) {
    if (!(error instanceof SkippedError || error instanceof InfrastructureError)) throw error;
    return { name, ok: false, detail: error.message, remedy: 'only --target host needs it' };
  }
}
