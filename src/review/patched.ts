/** Builds KVM before and after a series of patches, and finds out what they touch. */
import { copyFile, mkdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { BuildPlace } from '../build/mirror.ts';
import { applyPatch, filesOfDiff, type Patch } from '../build/patch.ts';
import { Workshop } from '../build/workshop.ts';
import type { Say } from '../system/say.ts';
import { findProgram } from '../system/packages/tools.ts';
import { buildCounted, objectsOf } from '../counts/counted-build.ts';
import type { CountedModules } from '../counts/counted-folder.ts';
import { type Before, KeptBefore } from './kept-before.ts';
import { type TouchedPlace, touchedPlaces } from './touched.ts';
import { temporaryFolder } from '../system/temporary-folder.ts';

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
  place: BuildPlace,
  patches: readonly Patch[],
  say: Say,
  signal?: AbortSignal,
): Promise<PatchedModules> {
  const { source } = place;
  const workshop = new Workshop(source, say, signal);
  const files = [...new Set(patches.flatMap(({ diff }) => filesOfDiff(diff)))];
  const count = findProgram('gcov') === null ? null : () => buildCounted(source, files, signal);
  const before = await buildBefore(place, workshop, files, count, say);
  await using aside = await temporaryFolder('review');
  const places: TouchedPlace[] = [];
  let counted: CountedModules | null = null;
  say('building KVM after the patch');
  const make = async (): Promise<void> => {
    for (const file of files) await copyIfThere(join(source.tree, file), join(aside.path, file));
    for (const patch of patches) await applyPatch(patch, source.tree);
    for (const file of files) {
      places.push(...(await touchedPlaces(file, join(aside.path, file), join(source.tree, file))));
    }
    counted = (await count?.()) ?? null;
  };
  const after = await workshop.build({ files, make });
  const both = before.counted === null || counted === null ? null : { before: before.counted, after: counted };
  return { before: before.modules, after, places, counted: both };
}

async function buildBefore(
  { source, isReleased }: BuildPlace,
  workshop: Workshop,
  files: readonly string[],
  count: (() => Promise<CountedModules | null>) | null,
  say: Say,
): Promise<Before> {
  const objects = count === null ? [] : await objectsOf(source.tree, files);
  const kept = isReleased ? await KeptBefore.of(source, objects) : null;
  const found = (await kept?.read()) ?? null;
  if (found !== null) return found;
  say('building KVM before the patch');
  let counted: CountedModules | null = null;
  const make = async (): Promise<void> => {
    counted = (await count?.()) ?? null;
  };
  const before = { modules: await workshop.build({ files: [], make }), counted };
  await kept?.write(before);
  return before;
}

async function copyIfThere(from: string, to: string): Promise<void> {
  if (!existsSync(from)) return;
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to);
}
