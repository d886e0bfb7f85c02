/** What is to be known of modules that count, kept beside them: whoever has the folder can read their counters. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../errors.ts';
import type { FunctionCounters } from './counters.ts';

export interface CountedModules {
  /** Folder of the modules. */
  readonly folder: string;
  readonly modules: readonly CountedModule[];
  /** gcc's notes on each object that counts. */
  readonly notes: readonly ObjectNote[];
  /** The tree in which they were built. */
  readonly tree: string;
  /** The same without symbolic links: how gcc's paths begin is up to the kernel's Makefiles. */
  readonly realTree: string;
}

export interface CountedModule {
  /** As in /sys/module: `kvm_amd`. */
  readonly name: string;
  readonly counters: readonly FunctionCounters[];
}

export interface ObjectNote {
  /** Path of the object below the tree, without its extension. */
  readonly object: string;
  readonly note: Buffer;
}

/** In the folder of the modules. */
export const countedFile = 'counted.json';

const count = z.number().int().min(0);
const schema = z.strictObject({
  modules: z.array(
    z.strictObject({
      name: z.string(),
      counters: z.array(
        z.strictObject({
          file: z.string(),
          name: z.string(),
          section: z.string(),
          offset: count,
          count,
          ident: count,
          lineChecksum: count,
          cfgChecksum: count,
        }),
      ),
    }),
  ),
  notes: z.array(z.strictObject({ object: z.string(), note: z.base64() })),
  tree: z.string(),
  realTree: z.string(),
});

export function formatCounted({ modules, notes, tree, realTree }: Omit<CountedModules, 'folder'>): string {
  const encoded = notes.map(({ object, note }) => ({ object, note: note.toString('base64') }));
  return JSON.stringify({ modules, notes: encoded, tree, realTree });
}

/**
 * Null for modules that do not count.
 *
 * @throws UsageError when the file is damaged.
 */
export async function readCounted(folder: string): Promise<CountedModules | null> {
  const file = join(folder, countedFile);
  if (!existsSync(file)) return null;
  try {
    const { notes, ...rest } = schema.parse(JSON.parse(await readFile(file, 'utf8')));
    const decoded = notes.map(({ object, note }) => ({ object, note: Buffer.from(note, 'base64') }));
    return { folder, ...rest, notes: decoded };
  } catch (error) {
    throw new UsageError(`${file}: is damaged: ${(error as Error).message.split('\n')[0]}`);
  }
}
