/** Builds KVM before and after a series of patches, and finds out what they touch. */
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { BuildPlace } from '../build/mirror.ts';
import { applyPatch, filesOfDiff, type Patch } from '../build/patch.ts';
import { Workshop } from '../build/workshop.ts';
import type { Say } from '../system/apt.ts';
import { type TouchedPlace, touchedPlaces } from './touched.ts';

export interface PatchedModules {
  /** Folders of modules. */
  readonly before: string;
  readonly after: string;
  readonly places: readonly TouchedPlace[];
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
    const before = await workshop.build(null);
    for (const file of files) await copyIfThere(join(source.tree, file), join(aside, file));
    const places: TouchedPlace[] = [];
    say('building KVM after the patch');
    const make = async (): Promise<void> => {
      for (const patch of patches) await applyPatch(patch, source.tree);
      for (const file of files) {
        places.push(...(await touchedPlaces(file, join(aside, file), join(source.tree, file))));
      }
    };
    const after = await workshop.build({ files, make });
    return { before, after, places };
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function copyIfThere(from: string, to: string): Promise<void> {
  if (!existsSync(from)) return;
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to);
}
