/**
 * A user's kernel tree, copied into the cache and built there; the tree itself is only read. A tree that was built
 * brings its configuration and symbols. A bare checkout gets those of the Debian kernel of its version if the cache
 * has one, else a small configuration of ours.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { runTool } from '../system/run-tool.ts';
import { cacheRoot, ensureFolder, makeFolderAtOnce } from '../system/cache.ts';
import type { InstallOptions } from '../system/packages/install-packages.ts';
import { UsageError } from '../errors.ts';
import { ensurePackages, kernelBuildPackages } from '../system/packages/build-packages.ts';
import { cachedKernels, specOf } from '../lab/kernel/debian-kernel.ts';
import { seriesOf, upstreamOf } from '../lab/kernel/debian-release.ts';
import { buildSmallKernel } from './small-kernel.ts';
import { Workshop } from './workshop.ts';
import type { Source } from './make.ts';
import { debianSourceKernel, givenSource, prepareSource } from './source.ts';

/** A source that may be changed, and the kernel that its modules load in. */
export interface BuildPlace {
  readonly source: Source;
  /** What `--kernel` would say. */
  readonly kernel: string;
  /** What the source is, for a person: package and version, or folder and commit. */
  readonly description: string;
  /** Whether the source stays what it is: Debian's, and not a copy of somebody's tree. */
  readonly isReleased: boolean;
}

/** What a build makes, and history; neither copied nor deleted. */
const built = ['.git', '*.o', '*.a', '*.ko', '*.cmd', '*.mod', '*.mod.c', 'bzImage'].map(exclude);
/** And what no module needs. */
const forModules = [...built, ...['vmlinux*', '*.bin', 'Documentation'].map(exclude)];
/** A whole kernel needs its linker scripts, and of the documentation what Kconfig reads. */
const forKernel = [
  ...built,
  ...['/vmlinux', '/vmlinux.unstripped', '/.config'].map(exclude),
  '--include=/Documentation/Kconfig',
  exclude('/Documentation/*'),
];

function exclude(pattern: string): string {
  return `--exclude=${pattern}`;
}

/**
 * The source of a Debian kernel, or a copy of `tree`.
 *
 * @param spec whose source to take without a tree, like `debian:7.3`.
 * @throws UsageError when the tree cannot be built, InfrastructureError when apt, the disk or a tool fails.
 */
export async function placeToBuild(
  tree: string | null,
  options: InstallOptions,
  spec = debianSourceKernel,
): Promise<BuildPlace> {
  if (tree === null) {
    const source = await prepareSource(options, spec);
    return {
      source,
      kernel: source.kernel,
      description: `Debian's ${basename(source.tree)} for ${source.release}`,
      isReleased: true,
    };
  }
  await ensurePackages(kernelBuildPackages, options);
  const root = checkedTree(tree);
  const description = `${basename(root)}${await commitOf(root)}`;
  if (isBuilt(root)) return builtTree(root, description, options);
  const debian = debianKernelOf(versionOf(root));
  return debian === null ? neverBuiltTree(root, description, options) : debianTree(root, debian, description, options);
}

async function builtTree(root: string, description: string, options: InstallOptions): Promise<BuildPlace> {
  const config = readFileSync(join(root, '.config'), 'utf8');
  if (!/^CONFIG_KVM=m$/m.test(config)) {
    throw new UsageError(`--tree ${root}: its configuration has KVM not as a module; set CONFIG_KVM=m and build it`);
  }
  const mirror = mirrorPath(root);
  await ensureFolder(mirror);
  await copyChanges(root, mirror, options);
  return { source: givenSource(mirror), kernel: root, description, isReleased: false };
}

/** The spec of a Debian kernel in the cache that has this version: its modules load there, so no kernel needs to be built. */
function debianKernelOf(version: string): string | null {
  const kernel = cachedKernels().find((one) => upstreamOf(one.version) === version);
  // `--kernel` would take the newest of the series.
  const [newest] = kernel === undefined ? [] : cachedKernels(seriesOf(kernel.release));
  return kernel === undefined || newest?.id !== kernel.id ? null : specOf(kernel);
}

/** The copy starts as Debian's prepared source, so that only what differs is built. */
async function debianTree(
  root: string,
  spec: string,
  description: string,
  options: InstallOptions,
): Promise<BuildPlace> {
  const debian = await prepareSource(options, spec);
  const mirror = mirrorPath(root);
  if (!existsSync(mirror)) {
    options.say('copying a prepared source');
    await makeFolderAtOnce(mirror, async (draft) => {
      const copy = () => runTool('cp', ['-a', '--reflink=auto', `${debian.tree}/.`, draft], { signal: options.signal });
      await new Workshop(debian, options.say).whilePristine(copy);
    });
  }
  await copyChanges(root, mirror, options);
  return { source: { tree: mirror, release: debian.release }, kernel: spec, description, isReleased: false };
}

async function neverBuiltTree(root: string, description: string, options: InstallOptions): Promise<BuildPlace> {
  const copy = `${mirrorPath(root)}-small`;
  await ensureFolder(copy);
  const changed = await copyChanges(root, copy, options, forKernel);
  const source = await buildSmallKernel(root, copy, changed, options);
  return { source, kernel: copy, description, isReleased: false };
}

/**
 * By contents and with the date of the copy, so that make sees what has changed and nothing else.
 *
 * @returns what was copied.
 */
async function copyChanges(
  root: string,
  mirror: string,
  { say, signal }: InstallOptions,
  filters: readonly string[] = forModules,
): Promise<string[]> {
  say(`copying what is new in ${root}`);
  const source = { tree: mirror, release: '' };
  const names = await new Workshop(source, say).whilePristine(() => {
    return runTool('rsync', ['-rlpc', '--out-format=%n', ...filters, `${root}/`, `${mirror}/`], { signal });
  });
  return names.split('\n').filter(Boolean);
}

function mirrorPath(root: string): string {
  const id = createHash('sha256').update(root).digest('hex').slice(0, 12);
  return join(cacheRoot(), 'trees', `${basename(root)}-${id}`);
}

function checkedTree(tree: string): string {
  if (!existsSync(join(tree, 'arch/x86/kvm/Makefile'))) {
    throw new UsageError(`--tree ${tree}: no kernel source, it has no arch/x86/kvm`);
  }
  return realpathSync(tree);
}

function isBuilt(root: string): boolean {
  const needed = ['.config', 'Module.symvers', 'include/config/kernel.release', 'arch/x86/boot/bzImage'];
  return needed.every((path) => existsSync(join(root, path)));
}

/** Read from the Makefile, of which nothing needs to be run for it. */
function versionOf(root: string): string {
  const text = readFileSync(join(root, 'Makefile'), 'utf8');
  const part = (name: string): string => new RegExp(`^${name} *= *(\\S*)$`, 'm').exec(text)?.[1] ?? '';
  const [version, patchLevel, subLevel] = ['VERSION', 'PATCHLEVEL', 'SUBLEVEL'].map(part);
  if (!version || !patchLevel) throw new UsageError(`--tree ${root}: its Makefile does not tell its version`);
  return `${version}.${patchLevel}.${subLevel || '0'}${part('EXTRAVERSION')}`;
}

/** ` at 1a2b3c4d5e6f (with changes that are not committed)`; "" where there is no git. */
async function commitOf(root: string): Promise<string> {
  const git = (args: readonly string[]) => execa('git', ['-C', root, ...args], { reject: false });
  const { stdout, exitCode } = await git(['rev-parse', '--short=12', 'HEAD']);
  if (exitCode !== 0) return '';
  const status = await git(['status', '--porcelain', '--untracked-files=no']);
  return ` at ${stdout.trim()}${status.stdout.trim() === '' ? '' : ' (with changes that are not committed)'}`;
}
