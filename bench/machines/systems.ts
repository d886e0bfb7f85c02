/** Minimal systems, each in a folder of its own: made by `.ci/debian`, which also runs the command lines there. */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { DebianKernel } from '../../src/lab/kernel/debian-kernel.ts';
import { cacheRoot, ensureFolder } from '../../src/system/cache.ts';

/** As `.ci/debian` calls them. */
export const systems = ['12', '12-backports', '13', '13-backports'] as const;
export type System = (typeof systems)[number];

export const systemTitles: Readonly<Record<System, string>> = {
  '12': 'Debian 12',
  '12-backports': 'Debian 12, QEMU of its backports',
  '13': 'Debian 13',
  '13-backports': 'Debian 13, QEMU of its backports',
};

const script = fileURLToPath(new URL('../../.ci/debian', import.meta.url));

/** Where a system is kept; it takes some 2 GB. */
function folderOf(system: System): string {
  return join(cacheRoot(), 'systems', system);
}

/**
 * Runs a command in a system, in the copy of this checkout that is there: one copy serves all cells of a run, whatever is
 * edited here meanwhile.
 *
 * @returns its stdout, and the last line of stderr.
 */
export async function runIn(system: System, command: readonly string[]): Promise<Ended> {
  return runScript(['--keep', system, folderOf(system), ...command]);
}

interface Ended {
  readonly stdout: string;
  readonly complaint: string;
  readonly exitCode: number;
}

async function runScript(args: readonly string[]): Promise<Ended> {
  const result = await execa(script, args, { stdin: 'ignore', reject: false });
  const complaint = result.stderr.trim().split('\n').at(-1) || result.shortMessage || 'it said nothing';
  return { stdout: result.stdout, complaint, exitCode: result.exitCode ?? 1 };
}

/**
 * Makes a system ready: the system itself when it is not there, a copy of this checkout with its packages, and the kernels
 * as they are in this computer's cache, so that all systems run the very same ones.
 *
 * @returns the version of its Node.
 * @throws Error with the last words of what failed.
 */
export async function prepare(system: System, kernels: readonly DebianKernel[]): Promise<string> {
  await ensureFolder(join(cacheRoot(), 'systems'));
  const installed = await runScript([system, folderOf(system), 'npm', 'ci']);
  if (installed.exitCode !== 0) throw new Error(installed.complaint);
  const cache = join(folderOf(system), 'root/.cache/hvipi/kernels');
  await ensureFolder(cache);
  for (const { id } of kernels) {
    await cp(join(cacheRoot(), 'kernels', id), join(cache, id), { recursive: true, dereference: true, force: false });
  }
  return (await runIn(system, ['node', '--version'])).stdout.trim();
}
