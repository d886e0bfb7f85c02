/**
 * Debian's kernel source, prepared once so that the KVM modules built from it load in Debian's own kernel. The
 * configuration and Module.symvers come from the header package of that kernel; what is left to build is arch/x86/kvm
 * alone. Source and headers are downloaded and unpacked, not installed, so nobody needs to be root for them.
 */
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InfrastructureError } from '../errors.ts';
import { runTool } from '../system/run-tool.ts';
import type { Say } from '../system/say.ts';
import { cacheRoot, ensureFolder } from '../system/cache.ts';
import { withFileErrors } from '../system/file-errors.ts';
import type { InstallOptions } from '../system/packages/install-packages.ts';
import { hvipiCommand } from '../system/own-command.ts';
import { type DebianKernel, debianKernel, unpackPackages, specOf } from '../lab/kernel/debian-kernel.ts';
import { ensureLists } from '../lab/kernel/debian-lists.ts';
import { seriesOf } from '../lab/kernel/debian-release.ts';
import { versionsOf } from '../lab/kernel/debian-packages.ts';
import { compilerDiffers, kernelsConfig } from './compiler.ts';
import { makeGoals, makeKvm, type Source } from './make.ts';
import { ensurePackages, kernelBuildPackages } from '../system/packages/build-packages.ts';

/** Whose source is taken when none is asked for. */
export const debianSourceKernel = 'debian:6.12';
/** A configuration that asks for certificates cannot be built without Debian's. */
const withoutKeys = ['-d', 'SYSTEM_TRUSTED_KEYS', '-d', 'MODULE_SIG_KEY', '--set-str', 'SYSTEM_TRUSTED_KEYS', ''];

/** A source of Debian's, and the kernel that it is of. */
export interface DebianSource extends Source {
  /** What `--kernel` calls that kernel. */
  readonly kernel: string;
}

/**
 * The source of a Debian kernel in the cache, prepared first when it is not there; that takes a few minutes.
 *
 * @param spec a series, like `debian:7.3`; the kernel is the one that `--kernel` would take.
 * @throws UsageError for a series that no suite has, InfrastructureError when apt or the build fails.
 */
export async function prepareSource(options: InstallOptions, spec = debianSourceKernel): Promise<DebianSource> {
  const { say, signal } = options;
  const source = await unpackedSource(options, spec);
  const ready = markOf(source, 'ready');
  if (!existsSync(ready)) {
    await withFileErrors(source.tree, async () => {
      say('configuring it and building its KVM once');
      await runTool('scripts/config', withoutKeys, { cwd: source.tree });
      await makeGoals(source, ['olddefconfig'], signal);
      await makeGoals(source, ['modules_prepare'], signal);
      await makeKvm(source, signal);
      await writeFile(ready, `${source.release}\n`);
    });
  }
  const difference = await compilerDiffers(source.tree);
  if (difference !== null) say(difference);
  return source;
}

/**
 * The same without building anything: enough to read it.
 *
 * @throws as `prepareSource`.
 */
export async function unpackedSource(options: InstallOptions, spec: string): Promise<DebianSource> {
  await ensurePackages(kernelBuildPackages, options);
  const kernel = await debianKernel(spec, options);
  const { release } = kernel;
  const source = { ...sourceOf(release), kernel: specOf(kernel) };
  if (isUnpacked(source)) return source;
  const root = dirname(source.tree);
  await withFileErrors(root, async () => {
    await rm(root, { recursive: true, force: true });
    await ensureFolder(root);
    await unpack(root, source, kernel, options);
    await writeFile(markOf(source, 'unpacked'), `${release}\n`);
  });
  return source;
}

/** A file that says how far a source is. */
function markOf({ tree }: Source, mark: 'unpacked' | 'ready'): string {
  return join(dirname(tree), mark);
}

/** Whether the source of a kernel in the cache is there, so that nothing need be downloaded for it. */
export function hasSource(release: string): boolean {
  return isUnpacked(sourceOf(release));
}

/** Where the cache has the source of a release, or would. */
function sourceOf(release: string): Source {
  return { tree: join(cacheRoot(), 'sources', release, packageOf(release)), release };
}

function isUnpacked(source: Source): boolean {
  // Sources that were prepared before there was this mark have the other one.
  return existsSync(markOf(source, 'unpacked')) || existsSync(markOf(source, 'ready'));
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

/** `linux-source-7.3`. */
function packageOf(release: string): string {
  return `linux-source-${seriesOf(release)}`;
}

/** Source and headers have the version of the kernel's package: structures and symbols are to agree. */
async function unpack(root: string, source: Source, kernel: DebianKernel, options: InstallOptions): Promise<void> {
  const { say, signal } = options;
  const { version } = kernel;
  const headers = `linux-headers-${source.release}`;
  const name = packageOf(source.release);
  const packages = [name, headers].map((one) => ({ name: one, version }));
  await requirePackages(packages, specOf(kernel), options);
  say(`downloading and unpacking ${name} ${version}`);
  const work = await mkdtemp(join(root, 'packages-'));
  const tree = await unpackPackages(packages, work, signal);
  await runTool('tar', ['xf', join(tree, `usr/src/${name}.tar.xz`), '-C', root], { signal });
  for (const file of ['.config', 'Module.symvers']) {
    await copyFile(join(tree, 'usr/src', headers, file), join(source.tree, file));
  }
  await copyFile(join(source.tree, '.config'), join(source.tree, kernelsConfig));
  await rm(work, { recursive: true, force: true });
}

async function requirePackages(
  packages: readonly { readonly name: string; readonly version: string }[],
  spec: string,
  { say, signal }: { readonly say: Say; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  await ensureLists('fresh', { say, signal });
  const find = async (): Promise<typeof packages> => {
    const found = await versionsOf(packages.map(({ name }) => name));
    return packages.filter(
      ({ name, version }) => !found.some((other) => other.name === name && other.version === version),
    );
  };
  if ((await find()).length === 0) return;
  await ensureLists('update', { say, signal });
  const [missing] = await find();
  if (missing === undefined) return;
  throw new InfrastructureError(
    `the mirror has no ${missing.name} ${missing.version}, which the kernel in the cache needs; ` +
      `the newest kernel may have one: ${hvipiCommand('lab', 'install', spec)}`,
  );
}
