/**
 * The kernel source that mutants are edits of: Debian's own, prepared once so that its KVM modules load in Debian's
 * own kernel. The configuration and Module.symvers come from the header package of that kernel; what is left to build
 * is arch/x86/kvm alone.
 */
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InfrastructureError } from '../../src/executor/executor.ts';
import { aptGet, candidateVersion, isRoot, runTool, type Say } from '../../src/lab/apt.ts';
import { cacheRoot, ensureFolder } from '../../src/lab/cache.ts';
import { refreshDebianKernel } from '../../src/lab/debian-kernel.ts';

/** Programs and headers that building a kernel's modules takes, without those that Debian's gcc brings. */
const buildPackages = [
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
];
const sourcePackage = 'linux-source-6.12';
/** A configuration that asks for certificates cannot be built without Debian's. */
const withoutKeys = ['-d', 'SYSTEM_TRUSTED_KEYS', '-d', 'MODULE_SIG_KEY', '--set-str', 'SYSTEM_TRUSTED_KEYS', ''];

export interface Source {
  /** Top of the kernel source. */
  readonly tree: string;
  /** `uname -r` of the kernel that the modules are for. */
  readonly release: string;
}

/**
 * The source in the cache, prepared first when it is not there; that takes a few minutes.
 *
 * @throws InfrastructureError when apt or the build fails.
 */
export async function prepareSource(say: Say): Promise<Source> {
  const { release } = await refreshDebianKernel('debian:6.12', { say });
  const headers = `linux-headers-${release}`;
  await install([...buildPackages, sourcePackage, headers], say);
  const version = (await candidateVersion(sourcePackage)) ?? 'unknown';
  if (!version.startsWith(`${release.split('+')[0]}-`)) {
    throw new InfrastructureError(`${sourcePackage} is ${version}, but the kernel is ${release}`);
  }
  const root = join(cacheRoot(), 'mutants', `${sourcePackage}_${version.replaceAll(/[^\w.+~-]/g, '-')}`);
  const tree = join(root, sourcePackage);
  const ready = join(root, 'ready');
  if (existsSync(ready)) return { tree, release };

  await rm(root, { recursive: true, force: true });
  await ensureFolder(root);
  say(`unpacking and preparing ${sourcePackage} ${version}`);
  await runTool('tar', ['xf', `/usr/src/${sourcePackage}.tar.xz`, '-C', root]);
  await copyFile(join('/usr/src', headers, '.config'), join(tree, '.config'));
  await runTool('scripts/config', withoutKeys, { cwd: tree });
  await make({ tree, release }, ['olddefconfig']);
  await make({ tree, release }, ['modules_prepare']);
  await copyFile(join('/usr/src', headers, 'Module.symvers'), join(tree, 'Module.symvers'));
  await makeKvm({ tree, release });
  await writeFile(ready, `${version}\n`);
  return { tree, release };
}

/**
 * A source that somebody else prepared.
 *
 * @throws InfrastructureError when it is none.
 */
export function givenSource(tree: string): Source {
  const file = join(tree, 'include/config/kernel.release');
  if (!existsSync(file)) throw new InfrastructureError(`${tree}: not a prepared kernel source, it has no ${file}`);
  return { tree, release: readFileSync(file, 'utf8').trim() };
}

/** Builds kvm.ko and kvm-amd.ko in place: about 40 s, and about 3 s after a change of one file. */
export async function makeKvm(source: Source): Promise<void> {
  await make(source, ['M=arch/x86/kvm', 'modules']);
}

/** The lowest priority: the lab that runs beside it is being measured. */
async function make({ tree, release }: Source, goals: readonly string[]): Promise<void> {
  await runTool('nice', ['-n', '19', 'make', '-s', '-j2', `KERNELRELEASE=${release}`, ...goals], { cwd: tree });
}

async function install(packages: readonly string[], say: Say): Promise<void> {
  const installed = await runTool('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Abbrev}\n']);
  const have = new Set(installed.split('\n').flatMap((line) => (line.includes(' ii') ? [line.split(' ')[0]!] : [])));
  const missing = packages.filter((name) => !have.has(name));
  if (missing.length === 0) return;
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (!isRoot()) throw new InfrastructureError(`building mutants needs ${missing.join(', ')}; type: sudo ${command}`);
  say(`installing ${missing.join(', ')}`);
  await aptGet(['install', '-y', '--no-install-recommends', ...missing]);
}
