/**
 * Somebody's own kernel tree, copied into the cache and built there: the tree itself is only read. A tree that has been
 * built brings everything along; one that is a mere checkout can be built when it is of the version of Debian's kernel,
 * whose configuration and symbols it then gets.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { runTool } from '../system/apt.ts';
import { cacheRoot, ensureFolder, makeFolderAtOnce } from '../system/cache.ts';
import { UsageError } from '../errors.ts';
import { type BuildOptions, ensurePackages, kernelBuildPackages } from './packages.ts';
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
}

/** What a build makes, and what no module needs; neither copied nor deleted. */
const notCopied = [
  '.git',
  '*.o',
  '*.a',
  '*.ko',
  '*.cmd',
  '*.mod',
  '*.mod.c',
  'vmlinux*',
  'bzImage',
  '*.bin',
  'Documentation',
];

/**
 * Debian's source, or a copy of `tree`.
 *
 * @throws UsageError when the tree cannot be built, InfrastructureError when apt, the disk or a tool fails.
 */
export async function placeToBuild(tree: string | null, options: BuildOptions): Promise<BuildPlace> {
  if (tree === null) {
    const source = await prepareSource(options);
    return { source, kernel: debianSourceKernel, description: `Debian's linux-source-6.12 for ${source.release}` };
  }
  await ensurePackages(kernelBuildPackages, options);
  const root = checkedTree(tree);
  const description = `${basename(root)}${await commitOf(root)}`;
  return isBuilt(root) ? builtTree(root, description, options) : debianVersionTree(root, description, options);
}

async function builtTree(root: string, description: string, options: BuildOptions): Promise<BuildPlace> {
  const config = readFileSync(join(root, '.config'), 'utf8');
  if (!/^CONFIG_KVM=m$/m.test(config)) {
    throw new UsageError(`--tree ${root}: its configuration has KVM not as a module; set CONFIG_KVM=m and build it`);
  }
  const mirror = mirrorPath(root);
  await ensureFolder(mirror);
  await copyChanges(root, mirror, options);
  return { source: givenSource(mirror), kernel: root, description };
}

/** The copy starts as Debian's prepared source, so that only what differs is built. */
async function debianVersionTree(root: string, description: string, options: BuildOptions): Promise<BuildPlace> {
  const version = versionOf(root);
  const debian = await prepareSource(options);
  if (debian.release.split('+')[0] !== version) {
    throw new UsageError(
      `--tree ${root}: it is version ${version} and not built; build it (make bzImage modules, with CONFIG_KVM=m), ` +
        `or check out ${debian.release.split('+')[0]}, which runs in ${debianSourceKernel}`,
    );
  }
  const mirror = mirrorPath(root);
  if (!existsSync(mirror)) {
    options.say('copying a prepared source');
    await makeFolderAtOnce(mirror, async (draft) => {
      const copy = () => runTool('cp', ['-a', '--reflink=auto', `${debian.tree}/.`, draft], { signal: options.signal });
      await new Workshop(debian, options.say).whilePristine(copy);
    });
  }
  await copyChanges(root, mirror, options);
  return { source: { tree: mirror, release: debian.release }, kernel: debianSourceKernel, description };
}

/** By contents and with the date of the copy, so that make sees what has changed and nothing else. */
async function copyChanges(root: string, mirror: string, { say, signal }: BuildOptions): Promise<void> {
  say(`copying what is new in ${root}`);
  const excludes = notCopied.flatMap((pattern) => ['--exclude', pattern]);
  const source = { tree: mirror, release: '' };
  await new Workshop(source, say).whilePristine(() => {
    return runTool('rsync', ['-rlpc', ...excludes, `${root}/`, `${mirror}/`], { signal });
  });
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
