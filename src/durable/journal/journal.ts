/**
 * The journal: one JSON record a line, only ever appended to. A line that a crash cut short is cut off when the journal
 * is opened again; a full disk leaves whole lines, and what could not be written waits until there is room.
 */
import { closeSync, fdatasyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { UsageError } from '../../errors.ts';
import { type Entry, type JournalRecord, parseRecord } from './record.ts';

export interface JournalText {
  readonly records: readonly JournalRecord[];
  /** Bytes of the whole lines, and of what follows them. */
  readonly bytes: number;
  readonly tornBytes: number;
}

const newline = 0x0a;

/**
 * Reads the whole lines of a journal.
 *
 * @throws UsageError when a line before the last one is damaged: a crash does not do that.
 */
export function readJournal(file: string): JournalText {
  const content = readFileSync(file);
  const records: JournalRecord[] = [];
  let start = 0;
  for (let end = content.indexOf(newline); end !== -1; end = content.indexOf(newline, start)) {
    const record = parseRecord(content.toString('utf8', start, end));
    const complaint = typeof record === 'string' ? record : complaintAbout(record, records.length);
    if (complaint !== null) {
      // A crash of the computer may leave a last line of which only the length reached the disk.
      if (content.indexOf(newline, end + 1) === -1) break;
      throw new UsageError(
        `${file}:${records.length + 1}: ${complaint}; the journal was damaged, restore it from a copy`,
      );
    }
    records.push(record as JournalRecord);
    start = end + 1;
  }
  return { records, bytes: start, tornBytes: content.length - start };
}

function complaintAbout({ seq, type }: JournalRecord, expected: number): string | null {
  if (seq !== expected) return `seq is ${seq} instead of ${expected}`;
  return (type === 'start') === (expected === 0) ? null : 'the record start belongs in the first line, and only there';
}

/** How long to wait before trying a full disk again. */
const retryMs = 1000;

export class Journal implements Disposable {
  readonly #fd: number;
  #bytes: number;
  #seq: number;
  readonly #waiting: string[] = [];
  readonly #onTrouble: (message: string) => void;

  /**
   * Opens a journal for appending behind its whole lines.
   *
   * @param onTrouble hears of a disk that takes nothing, once each time that it begins.
   */
  constructor(
    file: string,
    { records, bytes }: Pick<JournalText, 'records' | 'bytes'>,
    onTrouble: (message: string) => void,
  ) {
    this.#fd = openSync(file, 'a');
    this.#bytes = bytes;
    this.#seq = records.length;
    this.#onTrouble = onTrouble;
    ftruncateSync(this.#fd, bytes);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Appends a record; one that the disk has no room for is written by `drain`. */
  append(entry: Entry): JournalRecord {
    const { type, ...fields } = entry;
    const record = { seq: this.#seq++, at: new Date().toISOString(), type, ...fields } as JournalRecord;
    this.#waiting.push(`${JSON.stringify(record)}\n`);
    this.#write();
    return record;
  }

  /** Resolves when every record is on the disk, or the signal gives up waiting. */
  async drain(signal: AbortSignal): Promise<boolean> {
    let isTold = false;
    while (this.#waiting.length > 0 && !this.#write()) {
      if (!isTold) this.#onTrouble('the disk is full; waiting for room');
      isTold = true;
      if (signal.aborted) return false;
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
    fdatasyncSync(this.#fd);
    return true;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  /** Writes what waits; false when the disk is full. */
  #write(): boolean {
    while (this.#waiting.length > 0) {
      const line = Buffer.from(this.#waiting[0]!);
      try {
        for (let done = 0; done < line.length;) done += writeSync(this.#fd, line, done);
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        ftruncateSync(this.#fd, this.#bytes);
        return false;
      }
      this.#bytes += line.length;
      this.#waiting.shift();
    }
    return true;
  }
}

/** Whether an error of the file system may go away when somebody makes room. */
export function isDiskFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
