/** Builds a mutant's modules: one edit in a workshop. Built ones are kept in the cache. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { applyEdit, type Edit } from '../../src/build/edit.ts';
import type { Source } from '../../src/build/make.ts';
import { Workshop } from '../../src/build/workshop.ts';
import type { Say } from '../../src/system/apt.ts';
import { cacheRoot, ensureFolder } from '../../src/system/cache.ts';
import { newerEdits } from './catalogue/newer.ts';
import type { Mutant } from './mutant.ts';

/** Names an edit, so that rows of an edit that has changed since are not taken for it. */
export function editId({ file, find, replace }: Mutant): string {
  return createHash('sha256')
    .update(JSON.stringify([file, find, replace]))
    .digest('hex')
    .slice(0, 12);
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
    const link = join(cacheRoot(), 'mutants', 'modules', `${this.#source.release}-${mutant.name}-${editId(mutant)}`);
    if (existsSync(link)) return link;
    const edit = await this.#editOf(mutant);
    const path = join('arch/x86/kvm', edit.file);
    const make = async (): Promise<void> => {
      const file = join(this.#source.tree, path);
      await writeFile(file, applyEdit(await readFile(file, 'utf8'), edit, mutant.name));
    };
    const folder = await this.#workshop.build({ files: [path], make });
    await ensureFolder(dirname(link));
    await rm(link, { force: true });
    await symlink(folder, link);
    return link;
  }

  /** The edit as this source needs it. */
  async #editOf({ name, file, find, replace }: Mutant): Promise<Edit> {
    const newer = newerEdits[name];
    const text = await readFile(join(this.#source.tree, 'arch/x86/kvm', file), 'utf8');
    return newer === undefined || text.includes(find) ? { file, find, replace } : { file, ...newer };
  }
}
