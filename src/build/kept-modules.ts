/** KVM's modules after a build, kept in the cache in a folder named by a hash of their content. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheRoot, makeFolderAtOnce } from '../system/cache.ts';
import type { Source } from './make.ts';

/** All that a build makes; the lab takes the one that fits its CPU. */
export const moduleNames = ['kvm.ko', 'kvm-amd.ko', 'kvm-intel.ko'] as const;

/** Names and paths of the modules that a source has built. */
export function builtModules({ tree }: Source): { readonly name: string; readonly path: string }[] {
  return moduleNames
    .map((name) => ({ name, path: join(tree, 'arch/x86/kvm', name) }))
    .filter(({ path }) => existsSync(path));
}

export interface Keeping {
  /** Writes what is kept of a module: without debug information it is a tenth of the size. */
  readonly strip: (from: string, to: string) => Promise<unknown>;
  /** Behind the folder's name. */
  readonly suffix?: string;
  /** Other files of the folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** The folder; who calls this holds the lock of the source. */
export async function keepModules(source: Source, { strip, suffix = '', files = {} }: Keeping): Promise<string> {
  const draft = `${source.tree}.modules-${process.pid}`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft);
  try {
    const hash = createHash('sha256');
    const modules = builtModules(source);
    for (const { name, path } of modules) {
      await strip(path, join(draft, name));
      hash.update(await readFile(join(draft, name)));
    }
    const id = hash.digest('hex').slice(0, 12);
    const folder = join(cacheRoot(), 'modules', `${source.release}-${id}${suffix}`);
    if (!existsSync(folder)) {
      await makeFolderAtOnce(folder, async (target) => {
        for (const { name } of modules) await copyFile(join(draft, name), join(target, name));
        for (const [name, text] of Object.entries(files)) await writeFile(join(target, name), text);
      });
    }
    return folder;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
