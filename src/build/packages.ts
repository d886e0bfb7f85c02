/** Debian packages that building a kernel's modules takes, installed when they are missing. */
import { InfrastructureError } from '../errors.ts';
import { aptGet, hasApt, isRoot, runTool, type Say } from '../system/apt.ts';
import { findProgram } from '../system/tools.ts';

export interface BuildOptions {
  /** `auto` installs what is missing, `refuse` says what is missing. */
  readonly install: 'auto' | 'refuse';
  readonly say: Say;
  readonly signal?: AbortSignal | undefined;
}

/** Without what Debian's gcc brings. */
export const kernelBuildPackages = [
  'gcc',
  'make',
  'bc',
  'bison',
  'flex',
  'cpio',
  'kmod',
  'xz-utils',
  'libelf-dev',
  'libssl-dev',
  'dwarves',
  'patch',
  'rsync',
];
/** A C compiler with the libraries of a static program. */
export const compilerPackages = ['gcc', 'libc6-dev', 'make'];

/**
 * Installs those of the packages that are missing.
 *
 * @throws InfrastructureError that names them and what to type.
 */
export async function ensurePackages(packages: readonly string[], options: BuildOptions): Promise<void> {
  const missing = await missingPackages(packages);
  if (missing.length === 0) return;
  const args = ['install', '-y', '--no-install-recommends', ...missing];
  const need = `building needs the Debian packages ${missing.join(', ')}`;
  if (options.install === 'refuse') throw new InfrastructureError(`${need}; installing is switched off`);
  if (!hasApt()) throw new InfrastructureError(`${need}, and this computer has no apt-get: install them by hand`);
  if (!isRoot()) throw new InfrastructureError(`${need}; type: sudo apt-get ${args.join(' ')}`);
  options.say(`installing ${missing.join(', ')}`);
  await aptGet(args, { signal: options.signal });
}

/** On a system without dpkg the programs alone are looked for. */
async function missingPackages(packages: readonly string[]): Promise<string[]> {
  if (findProgram('dpkg-query') === null) return packages.filter((name) => isProgram(name) && !findProgram(name));
  const installed = await runTool('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Abbrev}\n']);
  const have = new Set(installed.split('\n').flatMap((line) => (line.includes(' ii') ? [line.split(' ')[0]!] : [])));
  return packages.filter((name) => !have.has(name));
}

function isProgram(name: string): boolean {
  return ['gcc', 'make', 'bc', 'bison', 'flex', 'patch', 'rsync'].includes(name);
}
