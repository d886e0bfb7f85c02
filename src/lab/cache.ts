/** Where downloaded kernels and built initramfs parts are kept between runs. All of it may be deleted at any time. */
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { withFileErrors } from './errors.ts';

/** HVIPI_CACHE, or `hvipi` in the user's cache folder (XDG Base Directory Specification). */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  if (env['HVIPI_CACHE']) return env['HVIPI_CACHE'];
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'hvipi');
}

/**
 * Makes a folder in one step: `fill` works in a folder beside it, which then takes its name. So another process sees
 * the whole folder or none, and of two that make the same one the later gives way.
 *
 * @throws InfrastructureError when the disk is full or the place is not writable.
 */
export async function makeFolderAtOnce(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  await withFileErrors(path, async () => {
    await mkdir(dirname(path), { recursive: true });
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
