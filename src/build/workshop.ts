/**
 * A prepared source in the cache, in which changes are built one at a time. Each build leaves the source as it was.
 * What is about to change is copied aside first, into files, so that the next build can undo one that was killed.
 */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runTool } from '../system/run-tool.ts';
import type { Say } from '../system/say.ts';
import { withFileErrors } from '../system/file-errors.ts';
import { withLock } from '../system/lock.ts';
import { keepModules } from './kept-modules.ts';
import { makeKvm, type Source } from './make.ts';

/** A change of a source: which files it may touch (paths below the tree), and the work. */
export interface Change {
  readonly files: readonly string[];
  readonly make: () => Promise<void>;
}

interface Kept {
  readonly path: string;
  readonly existed: boolean;
}

export class Workshop {
  readonly source: Source;
  readonly #say: Say;
  readonly #signal: AbortSignal | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(source: Source, say: Say, signal?: AbortSignal) {
    this.source = source;
    this.#say = say;
    this.#signal = signal;
  }

  /**
   * Builds the source with a change, or as it is; the folder of the modules, which is named after what is in them.
   *
   * @throws BuildError when it does not compile; whatever the change throws; InfrastructureError for a full disk.
   */
  async build(change: Change | null): Promise<string> {
    const before = this.#last;
    const mine = (async () => {
      await before;
      return withFileErrors(this.#lockPath, () => {
        return withLock(this.#lockPath, this.#say, () => this.#buildLocked(change));
      });
    })();
    // Who comes next waits for the end, whatever it is.
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  /** Runs work on the source while nobody builds in it and no change is left in it. */
  async whilePristine<Result>(work: () => Promise<Result>): Promise<Result> {
    return withLock(this.#lockPath, this.#say, async () => {
      await this.#restore();
      return work();
    });
  }

  async #buildLocked(change: Change | null): Promise<string> {
    await this.#restore();
    if (change !== null) await this.#keep(change.files);
    try {
      await change?.make();
      await makeKvm(this.source, this.#signal);
      return await keepModules(this.source, { strip: (from, to) => runTool('strip', ['-g', from, '-o', to]) });
    } finally {
      await this.#restore();
    }
  }

  get #lockPath(): string {
    return `${this.source.tree}.lock`;
  }

  get #asidePath(): string {
    return `${this.source.tree}.aside`;
  }

  /** Copies files aside; the list comes last and at once, so that an incomplete copy is none. */
  async #keep(files: readonly string[]): Promise<void> {
    const kept: Kept[] = [];
    for (const path of files) {
      const existed = existsSync(join(this.source.tree, path));
      kept.push({ path, existed });
      if (!existed) continue;
      const copy = join(this.#asidePath, 'files', path);
      await mkdir(dirname(copy), { recursive: true });
      await copyFile(join(this.source.tree, path), copy);
    }
    await mkdir(this.#asidePath, { recursive: true });
    await writeFile(join(this.#asidePath, 'list.json'), JSON.stringify(kept));
  }

  /** A file that is as it should be keeps its date, so that make leaves it alone. */
  async #restore(): Promise<void> {
    const list = join(this.#asidePath, 'list.json');
    if (existsSync(list)) {
      for (const { path, existed } of JSON.parse(await readFile(list, 'utf8')) as Kept[]) {
        const file = join(this.source.tree, path);
        if (!existed) {
          await rm(file, { force: true });
          continue;
        }
        const text = await readFile(join(this.#asidePath, 'files', path));
        const now = existsSync(file) ? await readFile(file) : null;
        if (now === null || !now.equals(text)) await writeFile(file, text);
      }
    }
    await rm(this.#asidePath, { recursive: true, force: true });
  }
}
