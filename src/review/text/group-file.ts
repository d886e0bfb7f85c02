/** The smallest case of each group as a file that `replay` and `export` read. */
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { type Case, caseId, formatCase } from '../../case/case.ts';
import { ensureFolder } from '../../system/cache.ts';
import { withFileErrors } from '../../system/file-errors.ts';
import type { Group } from '../compare.ts';

/** Writes `<out>/<kind>-<id>.json` and returns its path. @throws InfrastructureError for a full disk and the like. */
export async function saveGroup({ kind, key, value }: Group, out: string, seed: string, path: string): Promise<string> {
  const saved: Case = { ...value, why: key.slice(0, 1000), origin: { seed, path } };
  await ensureFolder(out);
  const file = join(out, `${kind}-${caseId(value)}.json`);
  await withFileErrors(file, () => writeFile(file, formatCase(saved)));
  return file;
}
