/** Builds a mutant's modules: one edit in a workshop. Built ones are kept in the cache. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { applyEdit } from '../../src/system/edit.ts';
import type { Source } from '../../src/build/make.ts';
import { Workshop } from '../../src/build/workshop.ts';
import type { Say } from '../../src/system/say.ts';
import { cacheRoot, ensureFolder } from '../../src/system/cache.ts';
import { newerEdits } from './catalogue/newer.ts';
import type { Mutant } from './mutant.ts';

/** Names an edit, so that rows of an edit that has changed since are not taken for it. */
export function editId({ file, find, replace }: Mutant): string {
  return hashOf([file, find, replace]);
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 12);
}

/** Builds mutants of one source, one after the other: they share its files. */
export class Builder {
  readonly #source: Source;
  readonly #workshop: Workshop;

  constructor(source: Source, say: Say) {
    this.#source = source;
    this.#workshop = new Workshop(source, say);
  }

  /**
   * The folder with the mutant's modules.
   *
   * @throws EditError, BuildError when it does not compile.
   */
  async build(mutant: Mutant): Promise<string> {
    const newer = newerEdits[mutant.name];
    // Which of the two is taken depends on the source.
    const id = newer === undefined ? editId(mutant) : hashOf([editId(mutant), newer]);
    const link = join(cacheRoot(), 'mutants', 'modules', `${this.#source.release}-${mutant.name}-${id}`);
    if (existsSync(link)) return link;
    const files = [mutant.file, newer?.file ?? mutant.file].map((file) => join('arch/x86/kvm', file));
    // Read here, where no other mutant's edit is in the source.
    const make = async (): Promise<void> => {
      const [file, newerFile] = files.map((path) => join(this.#source.tree, path)) as [string, string];
      const text = await readFile(file, 'utf8');
      if (newer === undefined || text.includes(mutant.find)) {
        await writeFile(file, applyEdit(text, mutant, mutant.name));
      } else {
        const edit = { ...newer, file: newer.file ?? mutant.file };
        await writeFile(newerFile, applyEdit(await readFile(newerFile, 'utf8'), edit, mutant.name));
      }
    };
    const folder = await this.#workshop.build({ files: [...new Set(files)], make });
    await ensureFolder(dirname(link));
    await rm(link, { force: true });
    await symlink(folder, link);
    return link;
  }
}
