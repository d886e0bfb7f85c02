/** `lab list`: the kernels that are in the cache, and those that could be had. */
import type { Command } from 'commander';
import { Progress } from '../campaign/progress.ts';
import { formatTable } from '../campaign/text/table.ts';
import { InfrastructureError } from '../errors.ts';
import { cachedKernels, specOf } from '../lab/kernel/debian-kernel.ts';
import { ensureLists, listAgeHours } from '../lab/kernel/debian-lists.ts';
import { bestOfEach, offeredKernels } from '../lab/kernel/debian-packages.ts';
import type { KernelPackage } from '../lab/kernel/debian-release.ts';
import { hasApt } from '../system/packages/apt.ts';
import { hvipiCommand } from '../system/own-command.ts';
import { missingTools } from '../system/packages/tools.ts';
import { type CommandContext, exitCodes, formatJson } from './common/command.ts';

interface ListOptions {
  readonly json?: true;
  readonly update?: true;
}

export function addLabList(lab: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  lab
    .command('list')
    .description("the kernels that are in the cache, and those of Debian's suites that could be had")
    .option('--update', "ask Debian's mirror first; without it what was last heard is told")
    .option('--json', 'one JSON object on stdout')
    .action(async (options: ListOptions) => finish(await list(options, context)));
}

async function list({ json, update }: ListOptions, context: CommandContext): Promise<number> {
  const { stdout, stderr, signal } = context;
  const { say } = new Progress(stderr);
  if (update) {
    const complaint = await ensureLists('update', { say, signal });
    if (complaint !== null) say(complaint.message);
  }
  const missing = missingTools();
  const kernels = cachedKernels().map((kernel) => ({
    spec: specOf(kernel),
    release: kernel.release,
    bzImage: kernel.bzImage,
  }));
  const isThere = new Set(kernels.map(({ release }) => release));
  const offers = [...(await bestOffers())].map(([series, { name, version, suite }]) => {
    const release = name.replace('linux-image-', '');
    return { spec: `debian:${series}`, release, version, suite, cached: isThere.has(release) };
  });
  if (json) {
    stdout.write(formatJson({ schema: 'hvipi/lab/1', kernels, offers, missing }));
    return exitCodes.fine;
  }
  const rows = kernels.map(({ spec, release, bzImage }) => [spec, release, bzImage]);
  stdout.write(
    kernels.length === 0 ? `no kernel yet; ${hvipiCommand('lab', 'install')} gets one\n` : formatTable(rows),
  );
  stdout.write(`\n${offerHeading()}\n`);
  stdout.write(
    formatTable(offers.map(({ spec, release, suite, cached }) => [spec, release, suite, cached ? 'in the cache' : ''])),
  );
  if (missing.length > 0) stdout.write(`missing: ${missing.join(', ')}\n`);
  return exitCodes.fine;
}

function offerHeading(): string {
  const age = listAgeHours();
  if (age !== null)
    return `could be had (Debian's mirror was asked ${age < 1 ? 'within the hour' : `${Math.round(age)} h ago`}):`;
  return hasApt()
    ? `what could be had is not known yet; ${hvipiCommand('lab', 'list', '--update')} asks Debian's mirror`
    : "Debian's kernels come through apt-get, which this computer lacks";
}

async function bestOffers(): Promise<ReadonlyMap<string, KernelPackage>> {
  if (!hasApt() || listAgeHours() === null) return new Map();
  try {
    return bestOfEach(await offeredKernels());
  } catch (error) {
    if (error instanceof InfrastructureError) return new Map();
    throw error;
  }
}
