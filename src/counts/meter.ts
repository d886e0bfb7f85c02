/** Reads a kernel's counters now and then while cases run on it, so that a kernel that dies has told most of it. */
import type { Session } from '../campaign/target/session.ts';
import { InfrastructureError, KernelFailure } from '../errors.ts';
import type { CountedModules } from './counted-folder.ts';
import { type Counted, CountReader } from './count-reader.ts';
import { type LineCounts, lineCounts } from './line-counts.ts';

const readSecondsDefault = 10;

export class Meter {
  readonly #modules: CountedModules | undefined;
  readonly #session: Session;
  readonly #reader: CountReader | null;
  #readAt = performance.now();
  #hasRead = false;
  readonly #readSeconds: number;

  constructor(modules: CountedModules | undefined, session: Session, readSeconds: number = readSecondsDefault) {
    this.#readSeconds = readSeconds;
    this.#modules = modules;
    this.#session = session;
    this.#reader = modules === undefined ? null : new CountReader(modules);
  }

  async readSometimes(): Promise<void> {
    if (performance.now() - this.#readAt >= this.#readSeconds * 1000) await this.#read();
  }

  /** Reads and tells the counters; null as `lines`. */
  async readCounters(): Promise<readonly Counted[] | null> {
    await this.#read();
    return this.#reader === null || !this.#hasRead ? null : this.#reader.total;
  }

  /** Reads and tells the lines; null as `lines`. */
  async readLines(): Promise<LineCounts | null> {
    await this.#read();
    return this.lines();
  }

  /** What lines had counted when they were read last; null where nothing counts, or no reading was had. */
  async lines(): Promise<LineCounts | null> {
    return this.#reader === null || !this.#hasRead ? null : lineCounts(this.#modules!, this.#reader.total);
  }

  /** A kernel that has died has nothing to tell, which the next batch finds out. */
  async #read(): Promise<void> {
    this.#readAt = performance.now();
    if (this.#reader === null) return;
    const executor = await this.#session.executor();
    if (executor.readPiece === undefined) return;
    try {
      await this.#reader.read(executor.readPiece.bind(executor), this.#session.generation);
      this.#hasRead = true;
    } catch (error) {
      if (!(error instanceof KernelFailure) && !(error instanceof InfrastructureError)) throw error;
    }
  }
}
