/** Debian's own kernels: finding the newest of a series, downloading it without root, keeping what the lab needs. */
import { existsSync, readdirSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InfrastructureError } from '../../errors.ts';
import {
  aptGet,
  candidateVersion,
  hasApt,
  isRoot,
  packageNames,
  runTool,
  type Say,
  updateLists,
} from '../../system/apt.ts';
import { cacheRoot, ensureFolder, makeFolderAtOnce } from '../../system/cache.ts';
import { withFileErrors } from '../../system/file-errors.ts';
import { collectModules } from './modules.ts';
import { findProgram } from '../../system/tools.ts';

interface Series {
  readonly prefix: string;
  /** Neither cloud, rt, unsigned nor dbg. */
  readonly pattern: RegExp;
}

/** Kernels of Debian 12 (6.12 comes with its updates), by what `--kernel` calls them. */
const allSeries = {
  'debian:6.12': { prefix: 'linux-image-6.12.', pattern: /^linux-image-(6\.12\.\d+\+deb12-amd64)$/ },
  'debian:6.1': { prefix: 'linux-image-6.1.0-', pattern: /^linux-image-(6\.1\.0-\d+-amd64)$/ },
} as const satisfies Record<string, Series>;
export type DebianSpec = keyof typeof allSeries;
export const debianSpecs = Object.keys(allSeries) as DebianSpec[];

/** A kernel in the cache. */
export interface DebianKernel {
  readonly spec: DebianSpec;
  /** Package and version, as in the folder's name. */
  readonly id: string;
  readonly release: string;
  readonly bzImage: string;
  readonly moduleDir: string;
}

interface Package {
  readonly name: string;
  readonly version: string;
}

interface DownloadOptions {
  readonly say: Say;
  readonly signal?: AbortSignal | undefined;
}

/** Kernels of a series in the cache, newest first. */
export function cachedKernels(spec: DebianSpec): DebianKernel[] {
  const root = kernelsRoot();
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .filter((id) => existsSync(join(root, id, 'vmlinuz')) && releaseOf(spec, id) !== null)
    .sort((a, b) => compareNames(b, a))
    .map((id) => describe(spec, id));
}

/**
 * The newest kernel of a series that apt offers; downloaded unless the cache has it. Package lists that do not know
 * one, or name a file that is gone, are updated first.
 *
 * @throws InfrastructureError in one line.
 */
export async function refreshDebianKernel(spec: DebianSpec, options: DownloadOptions): Promise<DebianKernel> {
  if (!hasApt()) {
    throw new InfrastructureError(`${spec} comes through apt-get, which this computer lacks; give --kernel a bzImage`);
  }
  await ensureFolder(kernelsRoot());
  return withFileErrors(kernelsRoot(), async () => {
    const known = await newestPackage(spec, []);
    if (known !== null) {
      const kernel = describe(spec, idOf(known));
      if (existsSync(kernel.bzImage)) return kernel;
      try {
        return await download(spec, known, [], options);
      } catch (error) {
        if (!(error instanceof InfrastructureError) || options.signal?.aborted) throw error;
      }
    }
    const lists = isRoot() ? [] : await privateLists();
    const failure = await updateLists(options.say, { args: lists, signal: options.signal });
    const offered = await newestPackage(spec, lists);
    if (offered === null) {
      const what = `${allSeries[spec].prefix}* for ${spec}`;
      throw failure ?? new InfrastructureError(`apt offers no ${what} here (Debian 12 does); give --kernel a bzImage`);
    }
    return download(spec, offered, lists, options);
  });
}

async function download(
  spec: DebianSpec,
  chosen: Package,
  lists: readonly string[],
  { say, signal }: DownloadOptions,
): Promise<DebianKernel> {
  const kernel = describe(spec, idOf(chosen));
  if (existsSync(kernel.bzImage)) return kernel;
  say(`downloading ${chosen.name} ${chosen.version}`);
  const work = await mkdtemp(join(tmpdir(), 'hvipi-kernel-'));
  try {
    await aptGet([...lists, 'download', `${chosen.name}=${chosen.version}`], { cwd: work, signal });
    const deb = (await readdir(work)).find((file) => file.endsWith('.deb'));
    if (deb === undefined) throw new InfrastructureError(`apt-get download ${chosen.name}: it fetched nothing`);
    await runTool('dpkg-deb', ['-x', join(work, deb), join(work, 'tree')], { signal });
    await makeFolderAtOnce(join(kernelsRoot(), kernel.id), (folder) =>
      keepNeeded(join(work, 'tree'), kernel.release, folder),
    );
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return kernel;
}

/** Compares names with numbers in them by the numbers: 6.12.9 comes before 6.12.117. */
export function compareNames(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

/** The newest package of a series that apt knows, with these apt options. */
async function newestPackage(spec: DebianSpec, lists: readonly string[]): Promise<Package | null> {
  const names = await packageNames(allSeries[spec].prefix, lists);
  for (const name of names.sort((a, b) => compareNames(b, a))) {
    if (!allSeries[spec].pattern.test(name)) continue;
    const version = await candidateVersion(name, lists);
    if (version !== null) return { name, version };
  }
  return null;
}

/** Package lists of our own, so that a plain user can update them. */
async function privateLists(): Promise<string[]> {
  const state = join(cacheRoot(), 'apt');
  for (const name of ['lists/partial', 'archives/partial']) await ensureFolder(join(state, name));
  const settings = {
    'Dir::State::lists': join(state, 'lists'),
    'Dir::Cache': state,
    'Dir::Cache::archives': join(state, 'archives'),
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

async function keepNeeded(tree: string, release: string, folder: string): Promise<void> {
  await copyFile(join(tree, 'boot', `vmlinuz-${release}`), join(folder, 'vmlinuz'));
  await mkdir(join(folder, 'modules'));
  const busybox = findProgram('busybox') ?? 'busybox';
  const { channel, kvm } = await collectModules(join(tree, 'lib/modules', release), null, busybox);
  for (const { file, bytes } of [...channel, ...kvm]) await writeFile(join(folder, 'modules', file), bytes);
}

function describe(spec: DebianSpec, id: string): DebianKernel {
  const folder = join(kernelsRoot(), id);
  return {
    spec,
    id,
    release: releaseOf(spec, id)!,
    bzImage: join(folder, 'vmlinuz'),
    moduleDir: join(folder, 'modules'),
  };
}

/** The name of the cache folder. */
function idOf({ name, version }: Package): string {
  return `${name}_${version.replaceAll(/[^\w.+~-]/g, '-')}`;
}

function releaseOf(spec: DebianSpec, id: string): string | null {
  return allSeries[spec].pattern.exec(id.split('_')[0]!)?.[1] ?? null;
}

function kernelsRoot(): string {
  return join(cacheRoot(), 'kernels');
}
