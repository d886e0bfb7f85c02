/** Debian's own kernels: finding the newest of a series, downloading it without root, keeping what the lab needs. */
import { existsSync, readdirSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { InfrastructureError, UsageError } from '../../errors.ts';
import { aptGet, hasApt } from '../../system/packages/apt.ts';
import { runTool } from '../../system/run-tool.ts';
import { cacheRoot, ensureFolder, makeFolderAtOnce } from '../../system/cache.ts';
import { withFileErrors } from '../../system/file-errors.ts';
import type { InstallOptions } from '../../system/packages/install-packages.ts';
import { hvipiCommand } from '../../system/own-command.ts';
import { ensureLists, listArguments, type ListOptions } from './debian-lists.ts';
import { bestOfEach, offeredKernels, piecesOf } from './debian-packages.ts';
import { compareVersions, type KernelPackage, releaseOfPackage, seriesOf } from './debian-release.ts';
import { keepKernel } from './kernel-folder.ts';
import { temporaryFolder } from '../../system/temporary-folder.ts';

/** `debian:6.12`, or `debian:newest`: what `--kernel` calls a series. */
export type DebianSpec = `debian:${string}`;

/** A kernel in the cache. */
export interface DebianKernel {
  /** Package and version, as in the folder's name. */
  readonly id: string;
  /** Of the package. */
  readonly version: string;
  readonly release: string;
  readonly bzImage: string;
  readonly moduleDir: string;
}

/** The spec's series or `newest`; null when it is no spec of a Debian kernel. */
export function debianSeries(spec: string): string | null {
  return /^debian:(newest|\d+\.\d+)$/.exec(spec)?.[1] ?? null;
}

/** The spec of a kernel's series. */
export function specOf({ release }: { readonly release: string }): DebianSpec {
  return `debian:${seriesOf(release)}`;
}

/** Kernels in the cache, the newest first; of one series, or of all. */
export function cachedKernels(series?: string): DebianKernel[] {
  const root = kernelsRoot();
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .flatMap((id) => kernelOfId(id) ?? [])
    .filter(({ bzImage, release }) => existsSync(bzImage) && (series === undefined || seriesOf(release) === series))
    .sort((a, b) => compareVersions(b.version, a.version));
}

/**
 * The newest kernel of a series that any suite of Debian has, downloaded unless the cache has it.
 *
 * @param lists `update` asks the mirror first; `fresh` does so when what is known of it is old, or lacks the series.
 * @throws UsageError for a series that no suite has; InfrastructureError when apt fails. Both in one line.
 */
export async function fetchDebianKernel(
  spec: string,
  options: ListOptions & { readonly lists?: 'fresh' | 'update' },
): Promise<DebianKernel> {
  if (!hasApt()) {
    throw new InfrastructureError(
      `${spec} comes through apt-get, which this computer lacks; give --kernel running, a bzImage or a kernel build folder`,
    );
  }
  const series = debianSeries(spec)!;
  await ensureFolder(kernelsRoot());
  return withFileErrors(kernelsRoot(), async () => {
    const { lists = 'fresh' } = options;
    let complaint = await ensureLists(lists, options);
    const known = newestOf(series, await offeredKernels());
    if (known !== null) {
      try {
        return await download(spec, known, options);
      } catch (error) {
        // Lists of a while ago name files that are gone.
        if (lists === 'update' || !(error instanceof InfrastructureError) || options.signal?.aborted) throw error;
      }
    }
    if (lists !== 'update') complaint = await ensureLists('update', options);
    const offers = await offeredKernels();
    const offered = newestOf(series, offers);
    if (offered !== null) return download(spec, offered, options);
    throw noSuchSeries(spec, offers, complaint);
  });
}

/**
 * The kernel of a series that `--kernel` takes: one that is in the cache needs no network.
 *
 * @throws as `fetchDebianKernel`, and InfrastructureError where nothing may be installed.
 */
export async function debianKernel(spec: string, { install, say, signal }: InstallOptions): Promise<DebianKernel> {
  const series = debianSeries(spec);
  const [cached] = series === null || series === 'newest' ? [] : cachedKernels(series);
  if (cached !== undefined) return cached;
  if (install) return fetchDebianKernel(spec, { say, signal });
  const [newest] = cachedKernels();
  if (series === 'newest' && newest !== undefined) return newest;
  throw new InfrastructureError(
    `${spec} is not in the cache, and installing is switched off; run: ${hvipiCommand('lab', 'install', spec)}`,
  );
}

function newestOf(series: string, offers: readonly KernelPackage[]): KernelPackage | null {
  return (series === 'newest' ? offers[0] : bestOfEach(offers).get(series)) ?? null;
}

function noSuchSeries(spec: string, offers: readonly KernelPackage[], complaint: Error | null): Error {
  const series = [...bestOfEach(offers).keys()];
  if (series.length === 0) {
    return new InfrastructureError(
      `${spec}: no package list of Debian could be had: ${complaint?.message ?? 'all are empty'}`,
    );
  }
  const unread = complaint === null ? '' : ` (not everything could be asked: ${complaint.message})`;
  return new UsageError(
    `--kernel ${spec}: no suite of Debian has it${unread}; there are ${series.map((one) => `debian:${one}`).join(', ')}`,
  );
}

async function download(spec: string, chosen: KernelPackage, { say, signal }: ListOptions): Promise<DebianKernel> {
  const kernel = kernelOfId(idOf(chosen))!;
  if (existsSync(kernel.bzImage)) return kernel;
  const pieces = await piecesOf(chosen);
  const more = pieces.length === 1 ? '' : ` in ${pieces.length} pieces`;
  say(`downloading ${chosen.name} ${chosen.version} (${chosen.suite})${more}`);
  await using work = await temporaryFolder('kernel');
  const tree = await unpackPackages(pieces, work.path, signal);
  await makeFolderAtOnce(join(kernelsRoot(), kernel.id), (folder) => keepKernel(tree, kernel.release, folder, spec));
  return kernel;
}

/**
 * Downloads packages of the private lists into a folder that has nothing else, and unpacks them there, into the folder that is
 * returned.
 *
 * @throws InfrastructureError that names what could not be fetched.
 */
export async function unpackPackages(
  packages: readonly Pick<KernelPackage, 'name' | 'version'>[],
  folder: string,
  signal?: AbortSignal,
): Promise<string> {
  const names = packages.map(({ name, version }) => `${name}=${version}`);
  await aptGet([...listArguments(), 'download', ...names], { cwd: folder, signal });
  const files = await readdir(folder);
  const missing = packages.filter(({ name }) => !files.some((file) => file.startsWith(`${name}_`)));
  if (missing.length > 0) {
    throw new InfrastructureError(`apt-get download fetched no ${missing.map(({ name }) => name).join(', ')}`);
  }
  const tree = join(folder, 'tree');
  for (const file of files) await runTool('dpkg-deb', ['-x', join(folder, file), tree], { signal });
  return tree;
}

/** Null for a folder that is no kernel's. */
function kernelOfId(id: string): DebianKernel | null {
  const [name = '', version = ''] = id.split('_');
  const release = releaseOfPackage(name);
  const folder = join(kernelsRoot(), id);
  if (release === null) return null;
  return { id, version, release, bzImage: join(folder, 'vmlinuz'), moduleDir: join(folder, 'modules') };
}

/** The name of the cache folder. */
function idOf({ name, version }: KernelPackage): string {
  return `${name}_${version.replaceAll(/[^\w.+~-]/g, '-')}`;
}

function kernelsRoot(): string {
  return join(cacheRoot(), 'kernels');
}
