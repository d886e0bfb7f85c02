/**
 * Debian's kernel source, prepared once so that the KVM modules built from it load in Debian's own kernel. The
 * configuration and Module.symvers come from the header package of that kernel; what is left to build is arch/x86/kvm
 * alone. Source and headers are downloaded and unpacked, not installed, so nobody needs to be root for them.
 */
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InfrastructureError } from '../errors.ts';
import { aptGet, candidateVersion, runTool, type Say, updateLists } from '../system/apt.ts';
import { cacheRoot, ensureFolder } from '../system/cache.ts';
import { refreshDebianKernel } from '../lab/kernel/debian-kernel.ts';
import { withFileErrors } from '../system/file-errors.ts';
import { makeGoals, makeKvm, type Source } from './make.ts';
import { type BuildOptions, ensurePackages, kernelBuildPackages } from './packages.ts';

const sourcePackage = 'linux-source-6.12';
/** The kernel that the source is of. */
export const debianSourceKernel = 'debian:6.12';
/** A configuration that asks for certificates cannot be built without Debian's. */
const withoutKeys = ['-d', 'SYSTEM_TRUSTED_KEYS', '-d', 'MODULE_SIG_KEY', '--set-str', 'SYSTEM_TRUSTED_KEYS', ''];

/**
 * The source in the cache, prepared first when it is not there; that takes a few minutes.
 *
 * @throws InfrastructureError when apt or the build fails.
 */
export async function prepareSource(options: BuildOptions): Promise<Source> {
  const { say, signal } = options;
  await ensurePackages(kernelBuildPackages, options);
  const { release } = await refreshDebianKernel(debianSourceKernel, { say, signal });
  const root = join(cacheRoot(), 'sources', release);
  const source = { tree: join(root, sourcePackage), release };
  const ready = join(root, 'ready');
  if (existsSync(ready)) return source;
  await withFileErrors(root, async () => {
    await rm(root, { recursive: true, force: true });
    await ensureFolder(root);
    await unpack(root, source, say, signal);
    say('configuring it and building its KVM once');
    await runTool('scripts/config', withoutKeys, { cwd: source.tree });
    await makeGoals(source, ['olddefconfig']);
    await makeGoals(source, ['modules_prepare']);
    await makeKvm(source);
    await writeFile(ready, `${release}\n`);
  });
  return source;
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

async function unpack(root: string, { tree, release }: Source, say: Say, signal?: AbortSignal): Promise<void> {
  const headers = `linux-headers-${release}`;
  const version = await versionOf(sourcePackage, release, say, signal);
  say(`downloading and unpacking ${sourcePackage} ${version}`);
  const work = await mkdtemp(join(root, 'packages-'));
  await aptGet(['download', `${sourcePackage}=${version}`, headers], { cwd: work, signal });
  for (const file of await readdir(work)) {
    await runTool('dpkg-deb', ['-x', join(work, file), join(work, 'tree')], { signal });
  }
  await runTool('tar', ['xf', join(work, `tree/usr/src/${sourcePackage}.tar.xz`), '-C', root], { signal });
  for (const name of ['.config', 'Module.symvers']) {
    await copyFile(join(work, 'tree/usr/src', headers, name), join(tree, name));
  }
  await rm(work, { recursive: true, force: true });
}

/** The source's version, which must be that of the kernel: their structures and symbols are to agree. */
async function versionOf(name: string, release: string, say: Say, signal?: AbortSignal): Promise<string> {
  const known = await candidateVersion(name);
  if (known === null) await updateLists(say, { signal });
  const version = known ?? (await candidateVersion(name));
  if (version === null) throw new InfrastructureError(`apt offers no ${name} here (Debian 12 does); give --tree`);
  if (!version.startsWith(`${release.split('+')[0]}-`)) {
    throw new InfrastructureError(
      `${name} is ${version}, but the newest kernel is ${release}; apt-get update may bring them together`,
    );
  }
  return version;
}
