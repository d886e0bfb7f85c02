/**
 * Modules of a released source, kept for the next review that counts in the same objects: building them is half of a
 * review's building.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { compilerVersion } from '../build/compiler.ts';
import type { Source } from '../build/make.ts';
import { withFileErrors } from '../system/file-errors.ts';
import type { CountedModules } from '../counts/counted-folder.ts';
import { readCounted } from '../counts/counted-folder.ts';

export interface Before {
  /** Folder of the modules. */
  readonly modules: string;
  /** The same with counters; null where none of the objects is there, or there is no gcov. */
  readonly counted: CountedModules | null;
}

/** Names of the two folders in a file beside the source. */
export class KeptBefore {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  /** @param objects that count. */
  static async of({ tree, release }: Source, objects: readonly string[]): Promise<KeptBefore> {
    const key = [tree, release, await compilerVersion(), ...objects].join('\n');
    return new KeptBefore(`${tree}.before-${createHash('sha256').update(key).digest('hex').slice(0, 12)}`);
  }

  /** Null where nothing is kept, or its modules are gone. */
  async read(): Promise<Before | null> {
    if (!existsSync(this.#file)) return null;
    const [modules = '', folder = ''] = (await readFile(this.#file, 'utf8')).split('\n');
    if (!existsSync(modules)) return null;
    if (folder === '') return { modules, counted: null };
    const counted = await readCounted(folder);
    return counted === null ? null : { modules, counted };
  }

  async write({ modules, counted }: Before): Promise<void> {
    const draft = `${this.#file}.${process.pid}`;
    await withFileErrors(this.#file, async () => {
      await writeFile(draft, `${modules}\n${counted?.folder ?? ''}\n`);
      await rename(draft, this.#file);
    });
  }
}
