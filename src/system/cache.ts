/** The cache: downloaded kernels, built parts, saved states. All of it may be deleted at any time. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { withFileErrors } from './file-errors.ts';

/** HVIPI_CACHE, or `hvipi` in the user's cache folder (XDG Base Directory Specification). */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(env['HVIPI_CACHE'] || join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'hvipi'));
}

/**
 * Makes a folder in one step: `fill` works in a folder beside it, which then takes its name. So another process sees
 * the whole folder or none, and of two that make the same one the later gives way.
 *
 * @throws InfrastructureError when the disk is full or the place is not writable.
 */
export async function makeFolderAtOnce(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  await withFileErrors(path, async () => {
    await ensureFolder(dirname(path));
    const draft = await mkdtemp(`${path}.part-`);
    try {
      await fill(draft);
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { recursive: true, force: true });
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    }
  });
}

/**
 * Makes a folder and those above it. Not `mkdir` with `recursive`: Node 20 does not return
 * from it for some paths that cannot be made.
 *
 * @throws InfrastructureError when the place is not writable.
 */
export async function ensureFolder(path: string): Promise<void> {
  await withFileErrors(path, async () => {
    try {
      await mkdir(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST' && existsSync(join(path, '.'))) return;
      if (code !== 'ENOENT' || dirname(path) === path || existsSync(dirname(path))) throw error;
      await ensureFolder(dirname(path));
      await mkdir(path);
    }
  });
}
