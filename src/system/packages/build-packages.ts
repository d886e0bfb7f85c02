/** Debian packages that building a kernel's modules takes, installed when they are missing. */
import { runTool } from '../run-tool.ts';
import { type InstallOptions, installPackages } from './install-packages.ts';
import { findProgram } from './tools.ts';

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
export async function ensurePackages(packages: readonly string[], options: InstallOptions): Promise<void> {
  const missing = await missingPackages(packages);
  if (missing.length === 0) return;
  await installPackages(missing, `building needs the packages ${missing.join(', ')}`, options);
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
