/** Pages under `docs/` that are made from rows. */
import { writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { ensureFolder } from '../src/system/cache.ts';

/** Writes a page of Markdown in the style of the others. */
export async function writePage(path: string, text: string): Promise<void> {
  await ensureFolder(dirname(path));
  await writeFile(path, await format(text, { ...(await resolveConfig(path)), parser: 'markdown' }));
}
