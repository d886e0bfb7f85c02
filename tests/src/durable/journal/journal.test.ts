import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Journal, readJournal } from '../../../../src/durable/journal/journal.ts';
import { noLimits } from '../../../../src/durable/limits.ts';
import { type Entry, journalSchemaName } from '../../../../src/durable/journal/record.ts';
import { never } from '../../campaign/helpers.ts';
import { temporaryFolder } from '../../../temporary-folder.ts';
import { identity } from '../helpers.ts';

const start: Entry = {
  type: 'start',
  schema: journalSchemaName,
  run: '0123456789ab',
  campaign: identity(),
  limits: noLimits,
};
const trouble: Entry = { type: 'trouble', what: 'open', message: 'no kernel' };

function journalOf(...entries: Entry[]): string {
  const file = join(temporaryFolder(), 'journal.ndjson');
  using journal = new Journal(file, { records: [], bytes: 0 }, () => undefined);
  for (const entry of entries) journal.append(entry);
  return file;
}

describe('readJournal', () => {
  it('should read what was appended, numbered', () => {
    const { records, tornBytes } = readJournal(journalOf(start, trouble, trouble));
    expect(records.map(({ seq, type }) => [seq, type])).toEqual([
      [0, 'start'],
      [1, 'trouble'],
      [2, 'trouble'],
    ]);
    expect(tornBytes).toBe(0);
  });

  it.each(['{"seq":2,"at":"2026', '\0\0\0\0', '{"seq":2}\n', '\0\0\0\n'])(
    'should leave a torn end %j alone',
    (torn) => {
      const file = journalOf(start, trouble);
      appendFileSync(file, torn);
      const { records, tornBytes } = readJournal(file);
      expect(records).toHaveLength(2);
      expect(tornBytes).toBe(torn.length);
    },
  );

  it('should name the line of a journal that was damaged in the middle', () => {
    const file = journalOf(start, trouble, trouble);
    writeFileSync(file, readFileSync(file, 'utf8').replace('"seq":1', '"seq":7'));
    expect(() => readJournal(file)).toThrow(/journal\.ndjson:2: seq is 7 instead of 1; the journal was damaged/);
  });

  it('should refuse a record with a field that it does not know', () => {
    const file = journalOf(start, trouble, trouble);
    writeFileSync(file, readFileSync(file, 'utf8').replace('"what":"open"', '"what":"open","who":"me"'));
    expect(() => readJournal(file)).toThrow(/:2: record: Unrecognized key/);
  });
});

describe('Journal', () => {
  it('should cut off a torn end and go on behind the whole lines', async () => {
    const file = journalOf(start, trouble);
    appendFileSync(file, '{"seq":2,');
    const text = readJournal(file);
    using journal = new Journal(file, text, () => undefined);
    journal.append(trouble);
    await journal.drain(never);
    expect(readJournal(file)).toMatchObject({ tornBytes: 0, records: [{ seq: 0 }, { seq: 1 }, { seq: 2 }] });
  });

  it('should keep whole lines on a full disk, and say so when asked to wait', async () => {
    // A device that is always full stands in for the disk; what it was given is not on it.
    const told: string[] = [];
    const stop = new AbortController();
    stop.abort();
    const write = (): Journal => new Journal('/dev/full', { records: [], bytes: 0 }, (message) => told.push(message));
    let journal: Journal;
    try {
      journal = write();
    } catch (error) {
      // Some kernels refuse to truncate a device.
      expect((error as NodeJS.ErrnoException).code).toBe('EINVAL');
      return;
    }
    using opened = journal;
    opened.append(start);
    expect(await opened.drain(stop.signal)).toBe(false);
    expect(told).toEqual(['the disk is full; waiting for room']);
  });
});
