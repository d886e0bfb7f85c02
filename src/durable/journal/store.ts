/**
 * The campaign directory of a running campaign: its journal, its state, and files on their way to a disk that may be
 * full. Records go to the journal and to the state at once, so both always say the same.
 */
import { join } from 'node:path';
import type { Finding } from '../../campaign/findings/finding.ts';
import { formatCase, caseId, type Case } from '../../case/case.ts';
import { bucketId, type BucketKey } from '../bucket.ts';
import { findingName, folders, makeFolders, shortHash, writeOnce, writeWhole } from './folder.ts';
import { formatLcov, type Trace } from '../../counts/lcov.ts';
import { isDiskFull, Journal, type JournalText } from './journal.ts';
import { type CampaignIdentity, type Entry, journalSchemaName, type Limits } from './record.ts';
import { foldJournal, type JournalState } from './state.ts';

const retryMs = 1000;

export interface StoreOptions {
  readonly folder: string;
  /** Takes one line about what the campaign waits for. */
  readonly say: (line: string) => void;
}

export class Store implements Disposable {
  readonly folder: string;
  readonly state: JournalState;
  readonly #journal: Journal;
  readonly #say: (line: string) => void;
  /** What is to be written, and how. */
  readonly #files = new Map<string, { readonly text: string; readonly write: typeof writeOnce }>();

  private constructor({ folder, say }: StoreOptions, file: string, text: JournalText, start: Entry | null) {
    this.folder = folder;
    this.#say = say;
    this.#journal = new Journal(file, text, (message) => this.#onTrouble(message));
    this.state = foldJournal(start === null ? text.records : [this.#journal.append(start)]);
  }

  /** Begins a campaign in a directory that has none. */
  static async create(options: StoreOptions, run: string, campaign: CampaignIdentity, limits: Limits): Promise<Store> {
    await makeFolders(options.folder);
    const file = join(options.folder, folders.journals, `${run}.ndjson`);
    const start: Entry = { type: 'start', schema: journalSchemaName, run, campaign, limits };
    return new Store(options, file, { records: [], bytes: 0, tornBytes: 0 }, start);
  }

  /** Goes on with a journal; what a crash left behind its whole lines is cut off. */
  static async resume(options: StoreOptions, journal: JournalText & { readonly file: string }): Promise<Store> {
    await makeFolders(options.folder);
    return new Store(options, journal.file, journal, null);
  }

  append(entry: Entry): void {
    this.state.apply(this.#journal.append(entry));
  }

  /** Notes a problem that no one has met before, with the case that shows it. */
  noteSighting(key: BucketKey, value: Case, path: string): void {
    const id = caseId(value);
    this.#keep(join(folders.cases, `${id}.json`), formatCase(value));
    const bucket = bucketId(key);
    if (!this.state.buckets.has(bucket)) this.append({ type: 'sighting', bucket, ...key, case: id, path });
  }

  /** Keeps what the kernel printed, and gives the name under which it is kept. */
  keepConsole(text: string): string {
    const name = shortHash(text);
    this.#keep(join(folders.console, `${name}.log`), `${text.trimEnd()}\n`);
    return name;
  }

  /** Keeps the lines that this process has run until now, over what it kept before. */
  keepTrace(trace: Trace): void {
    const { run, opens } = this.state;
    this.#keep(join(folders.coverage, `${run}-${opens}.info`), formatLcov(trace), writeWhole);
  }

  /** Saves a finding, however long the disk is full; false when the signal ended the waiting. */
  async saveFinding(
    key: BucketKey,
    finding: Finding,
    text: string,
    isWhole: boolean,
    signal: AbortSignal,
  ): Promise<boolean> {
    const bucket = bucketId(key);
    const file = findingName(bucket, finding);
    this.#keep(file, text);
    if (!(await this.flush(signal))) return false;
    this.append({ type: 'finding', bucket, ...key, file, case: caseId(finding.case), isWhole });
    return this.flush(signal);
  }

  /** Brings everything to the disk, waiting for room; false when the signal ended the waiting. */
  async flush(signal: AbortSignal): Promise<boolean> {
    let isTold = false;
    for (const [file, { text, write }] of this.#files) {
      while (!(await isWritten(() => write(file, text)))) {
        if (!isTold) this.#onTrouble('the disk is full; waiting for room');
        isTold = true;
        if (signal.aborted) return false;
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
      this.#files.delete(file);
    }
    return this.#journal.drain(signal);
  }

  [Symbol.dispose](): void {
    this.#journal[Symbol.dispose]();
  }

  #keep(name: string, text: string, write = writeOnce): void {
    this.#files.set(join(this.folder, name), { text, write });
  }

  #onTrouble(message: string): void {
    this.#say(`${this.folder}: ${message}`);
    this.append({ type: 'trouble', what: 'disk', message });
  }
}

async function isWritten(write: () => Promise<void>): Promise<boolean> {
  try {
    await write();
    return true;
  } catch (error) {
    if (isDiskFull(error)) return false;
    throw error;
  }
}
