/**
 * States of labs that have booted: a start from one takes a fraction of a boot. One kind has the kernel's own KVM loaded,
 * which takes an emulated CPU most of a second. The other one waits for modules, and serves all that are given. States are
 * kept in the cache, by a key of everything that they depend on; all of them may be deleted at any time.
 */
import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheRoot, makeFolderAtOnce } from '../../system/cache.ts';
import type { Emulator } from './emulator.ts';
import type { Module } from '../kernel/modules.ts';
import type { StateFiles } from './machine.ts';

/** What a state depends on. */
export interface StateParts {
  readonly emulator: Pick<Emulator, 'path' | 'shape'>;
  readonly bzImage: string;
  readonly cpus: 1 | 2;
  /** Of the initramfs. */
  readonly initramfsKey: string;
  /** Those that have been loaded besides. */
  readonly modules: readonly Pick<Module, 'file' | 'bytes'>[];
}

/** Raise it when the form of a saved state changes. */
const stateFormat = 2;
/** Each has less than 100 MB on disk. A kernel has up to four for each emulator: with one CPU and with two, of both kinds. */
const statesMax = 8;

/** Where the state is that this lab would start from. */
export function stateFolder({ emulator, bzImage, cpus, initramfsKey, modules }: StateParts): string {
  const stamps = [emulator.path, bzImage].map((path) => {
    const { size, mtimeMs } = statSync(path);
    return [path, size, mtimeMs];
  });
  const key = createHash('sha256').update(
    JSON.stringify([stateFormat, emulator.shape({ bzImage, cpus }), stamps, initramfsKey]),
  );
  for (const { file, bytes } of modules) key.update(`${file} ${bytes.length}\n`).update(bytes);
  return join(cacheRoot(), 'states', key.digest('hex').slice(0, 16));
}

export function stateFiles(folder: string): StateFiles {
  return {
    memory: join(folder, 'memory'),
    devices: join(folder, 'devices'),
    console: join(folder, 'console.log'),
  };
}

/** Whether the state is there; it then counts as used now. */
export async function useState(folder: string): Promise<boolean> {
  if (!existsSync(folder)) return false;
  const now = new Date();
  await utimes(folder, now, now).catch(() => undefined);
  return true;
}

/**
 * Makes a state: `boot` boots with its memory in the file that it is given, and saves the rest. The states that were
 * used longest ago make room.
 */
export async function makeState(folder: string, boot: (files: StateFiles) => Promise<void>): Promise<void> {
  await makeFolderAtOnce(folder, (draft) => boot(stateFiles(draft)));
  const root = join(folder, '..');
  const names = (await readdir(root)).filter((name) => !name.includes('.part-'));
  const times = await Promise.all(
    names.map(async (name) => ({ name, time: (await stat(join(root, name)).catch(() => null))?.mtimeMs ?? 0 })),
  );
  times.sort((left, right) => right.time - left.time);
  for (const { name } of times.slice(statesMax)) await dropState(join(root, name));
}

/** Deletes a state; labs that started from it go on. */
export async function dropState(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
