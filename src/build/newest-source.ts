/** The newest of Debian's sources that a series of patches applies to. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InfrastructureError } from '../errors.ts';
import { cachedKernels, specOf } from '../lab/kernel/debian-kernel.ts';
import { ensureLists } from '../lab/kernel/debian-lists.ts';
import { bestOfEach, offeredKernels } from '../lab/kernel/debian-packages.ts';
import { compareVersions } from '../lab/kernel/debian-release.ts';
import { hasApt } from '../system/packages/apt.ts';
import type { InstallOptions } from '../system/packages/install-packages.ts';
import { BuildError, type Source } from './make.ts';
import { applyPatch, filesOfDiff, type Patch } from './patch.ts';
import { debianSourceKernel, hasSource, unpackedSource } from './source.ts';
import { Workshop } from './workshop.ts';
import { temporaryFolder } from '../system/temporary-folder.ts';

/** The oldest series whose modules are built as those of today are. */
const oldestSeries = '6.1';

/**
 * The spec of the newest series that the patches apply to: those whose source is in the cache, and those that could be had.
 *
 * @throws BuildError when they apply to none.
 */
export async function newestThatApplies(patches: readonly Patch[], options: InstallOptions): Promise<string> {
  return chooseNewest(await candidates(options), patches, options, (spec) => unpackedSource(options, spec));
}

/** @param open gives the source of a series. */
export async function chooseNewest(
  specs: readonly string[],
  patches: readonly Patch[],
  { say, signal }: Pick<InstallOptions, 'say' | 'signal'>,
  open: (spec: string) => Promise<Source>,
): Promise<string> {
  let first: BuildError | null = null;
  for (const spec of specs) {
    const source = await openOrTell(spec, say, open);
    if (source === null) continue;
    const complaint = await new Workshop(source, say, signal).whilePristine(() => complaintOf(patches, source.tree));
    if (complaint === null) {
      say(
        `taking ${spec} (${source.release}), the newest that ${patches.length === 1 ? 'the patch applies' : 'the patches apply'} to`,
      );
      return spec;
    }
    say(`${spec} (${source.release}): ${complaint.message}`);
    first ??= complaint;
  }
  if (first === null) throw new InfrastructureError(`no source can be had of ${specs.join(', ')}; give --tree`);
  throw new BuildError(
    `it applies to none of ${specs.join(', ')}; give --tree; the newest: ${first.message}`,
    first.log,
  );
}

/** A source that cannot be had now does not hide older ones. */
async function openOrTell(
  spec: string,
  say: (line: string) => void,
  open: (spec: string) => Promise<Source>,
): Promise<Source | null> {
  try {
    return await open(spec);
  } catch (error) {
    if (!(error instanceof InfrastructureError)) throw error;
    say(`${spec}: ${error.message}`);
    return null;
  }
}

/** Applies the patches to copies of what they touch. Null when all apply. */
async function complaintOf(patches: readonly Patch[], tree: string): Promise<BuildError | null> {
  await using copy = await temporaryFolder('apply');
  try {
    for (const file of new Set(patches.flatMap(({ diff }) => filesOfDiff(diff)))) {
      if (!existsSync(join(tree, file))) continue;
      await mkdir(dirname(join(copy.path, file)), { recursive: true });
      await copyFile(join(tree, file), join(copy.path, file));
    }
    for (const patch of patches) await applyPatch(patch, copy.path);
    return null;
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
}

/** Specs of all series, the newest first. Without apt, or where nothing may be installed, those whose source is there. */
async function candidates({ say, signal, install }: InstallOptions): Promise<string[]> {
  const cached = cachedKernels();
  if (!install || !hasApt()) {
    const there = newestFirst(cached.filter(({ release }) => hasSource(release)).map(specOf));
    return there.length > 0 ? there : [debianSourceKernel];
  }
  await ensureLists('fresh', { say, signal });
  const offered = [...bestOfEach(await offeredKernels()).keys()].map((series) => `debian:${series}`);
  return newestFirst([...cached.map(specOf), ...offered]);
}

/** Without duplicates, and without series that are too old. */
export function newestFirst(specs: readonly string[]): string[] {
  const seriesOfSpec = (spec: string): string => spec.slice('debian:'.length);
  return [...new Set(specs)]
    .filter((spec) => compareVersions(seriesOfSpec(spec), oldestSeries) >= 0)
    .sort((left, right) => compareVersions(seriesOfSpec(right), seriesOfSpec(left)));
}
