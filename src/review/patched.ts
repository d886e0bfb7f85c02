/** Builds KVM before and after a series of patches, and finds out what they touch. */
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { BuildPlace } from '../build/mirror.ts';
import { applyPatch, filesOfDiff, type Patch } from '../build/patch.ts';
import { Workshop } from '../build/workshop.ts';
import type { Say } from '../system/apt.ts';
import { findProgram } from '../system/tools.ts';
import { buildCounted, type CountedModules } from './counts/counted-build.ts';
import { type TouchedPlace, touchedPlaces } from './touched.ts';

export interface PatchedModules {
  /** Folders of modules. */
  readonly before: string;
  readonly after: string;
  readonly places: readonly TouchedPlace[];
  /** The same with counters in what is touched; null where that has no code, or there is no gcov. */
  readonly counted: { readonly before: CountedModules; readonly after: CountedModules } | null;
}

/**
 * Builds both.
 *
 * @throws BuildError when a patch does not apply or does not build.
 */
export async function buildBoth(
  { source }: BuildPlace,
  patches: readonly Patch[],
  say: Say,
  signal?: AbortSignal,
): Promise<PatchedModules> {
  const workshop = new Workshop(source, say, signal);
  const files = [...new Set(patches.flatMap(({ diff }) => filesOfDiff(diff)))];
  const aside = await mkdtemp(join(tmpdir(), 'hvipi-review-'));
  try {
    say('building KVM before the patch');
    const count = findProgram('gcov') === null ? null : () => buildCounted(source, files, signal);
    const counted: { before: CountedModules | null; after: CountedModules | null } = { before: null, after: null };
    const makeBefore = async (): Promise<void> => {
      counted.before = (await count?.()) ?? null;
    };
    const before = await workshop.build({ files: [], make: makeBefore });
    for (const file of files) await copyIfThere(join(source.tree, file), join(aside, file));
    const places: TouchedPlace[] = [];
    say('building KVM after the patch');
    const make = async (): Promise<void> => {
      for (const patch of patches) await applyPatch(patch, source.tree);
      for (const file of files) {
        places.push(...(await touchedPlaces(file, join(aside, file), join(source.tree, file))));
      }
      counted.after = (await count?.()) ?? null;
    };
    const after = await workshop.build({ files, make });
    const both = counted.before === null || counted.after === null ? null : (counted as PatchedModules['counted']);
    return { before, after, places, counted: both };
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function copyIfThere(from: string, to: string): Promise<void> {
  if (!existsSync(from)) return;
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to);
}
