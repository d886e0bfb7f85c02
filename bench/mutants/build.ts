/** Builds a mutant's modules: one edit in place, make, and the pristine file back. Built ones are kept in the cache. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../../src/lab/apt.ts';
import { cacheRoot, makeFolderAtOnce } from '../../src/lab/cache.ts';
import { applyEdit, type Mutant } from './mutant.ts';
import { makeKvm, type Source } from './source.ts';

const modules = ['kvm.ko', 'kvm-amd.ko'];

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
  /** Paths of all files that mutants edit. */
  readonly #files: readonly string[];
  #last: Promise<unknown> = Promise.resolve();

  constructor(source: Source, mutants: readonly Mutant[]) {
    this.#source = source;
    const names = new Set(mutants.map(({ file }) => file));
    this.#files = [...names].map((name) => join(source.tree, 'arch/x86/kvm', name));
  }

  /**
   * The folder with the mutant's modules.
   *
   * @throws EditError, InfrastructureError when it does not compile.
   */
  async build(mutant: Mutant): Promise<string> {
    const folder = join(cacheRoot(), 'mutants', 'modules', `${this.#source.release}-${mutant.name}-${editId(mutant)}`);
    const before = this.#last;
    const mine = (async () => {
      await before;
      if (!existsSync(folder)) await makeFolderAtOnce(folder, (draft) => this.#buildInto(mutant, draft));
    })();
    // Who comes next waits for the end, whatever it is.
    this.#last = mine.catch(() => undefined);
    await mine;
    return folder;
  }

  async #buildInto(mutant: Mutant, folder: string): Promise<void> {
    const kvm = join(this.#source.tree, 'arch/x86/kvm');
    const file = join(kvm, mutant.file);
    // Kept in a file and not in memory: a build that was killed leaves its edit behind.
    const pristine = `${file}.orig`;
    if (!existsSync(pristine)) await copyFile(file, pristine);
    const text = await readFile(pristine, 'utf8');
    await this.#restoreAll();
    try {
      await writeFile(file, applyEdit(text, mutant));
      await makeKvm(this.#source);
      for (const name of modules) await runTool('strip', ['-g', join(kvm, name), '-o', join(folder, name)]);
    } finally {
      await writeFile(file, text);
    }
  }

  /** Undoes what a killed build has left; a file that is as it should be keeps its date, so make leaves it alone. */
  async #restoreAll(): Promise<void> {
    for (const file of this.#files) {
      if (!existsSync(`${file}.orig`)) continue;
      const text = await readFile(`${file}.orig`, 'utf8');
      if ((await readFile(file, 'utf8')) !== text) await writeFile(file, text);
    }
  }
}
