/**
 * A campaign directory: journals, and files that are named by a hash of what is in them, so that copying directories
 * over each other merges them.
 *
 *     journals/RUN.ndjson     one of a shard, several after a merge
 *     findings/BUCKET-HASH.json
 *     cases/ID.json           each problem's case as it was first met
 *     console/HASH.log        what the kernel printed when it failed
 *     coverage/RUN-N.info     lines that ran in the N-th process of a run, where they are counted
 *     merged                  marks a directory that `merge` made
 *     lock
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Finding, formatFinding, parseFinding } from '../../campaign/findings/finding.ts';
import { CaseError } from '../../case/case.ts';
import { ensureFolder } from '../../system/cache.ts';
import { UsageError } from '../../errors.ts';
import { type JournalText, readJournal } from './journal.ts';

export const folders = {
  journals: 'journals',
  findings: 'findings',
  cases: 'cases',
  console: 'console',
  coverage: 'coverage',
} as const;

/** Marks a directory that `merge` made. */
export const mergedMark = 'merged';

export interface NamedJournal extends JournalText {
  readonly file: string;
  readonly run: string;
}

/** Where the lock of a directory is. */
export function lockFile(folder: string): string {
  return join(folder, 'lock');
}

/** Whether `merge` made the directory. */
export function isMerged(folder: string): boolean {
  return existsSync(join(folder, mergedMark));
}

/** @throws InfrastructureError when the disk is full or the place is not writable. */
export async function makeFolders(folder: string): Promise<void> {
  for (const name of Object.values(folders)) await ensureFolder(join(folder, name));
}

/**
 * The journals of a directory, by name.
 *
 * @throws UsageError when it is no campaign directory, or a journal is damaged.
 */
export function readJournals(folder: string): NamedJournal[] {
  const journals = findJournals(folder);
  if (journals.length === 0)
    throw new UsageError(`${folder}: no campaign here; start one with: campaign start ${folder}`);
  return journals;
}

/** As `readJournals`, but there may be none. */
export function findJournals(folder: string): NamedJournal[] {
  const names = listed(folder, 'journals').filter((name) => name.endsWith('.ndjson'));
  const journals = names.map((name) => {
    const file = join(folder, folders.journals, name);
    return { file, run: basename(name, '.ndjson'), ...readJournal(file) };
  });
  // A journal whose first line never got to the disk has not begun.
  return journals.filter(({ records }) => records.length > 0);
}

/**
 * Finding files by bucket; a bucket has several files where shards have shrunk it on their own.
 *
 * @throws CaseError that names the file.
 */
export function readFindings(folder: string): { file: string; bucket: string; text: string; finding: Finding }[] {
  return listed(folder, 'findings')
    .filter((name) => /^[0-9a-f]{12}-[0-9a-f]{12}\.json$/.test(name))
    .map((name) => {
      const file = join(folder, folders.findings, name);
      const text = readFileSync(file, 'utf8');
      try {
        return { file, bucket: name.slice(0, 12), text, finding: parseFinding(JSON.parse(text)) };
      } catch (error) {
        if (error instanceof CaseError) throw new CaseError(`${file}: ${error.message}`);
        throw new CaseError(`${file}: not JSON, it was cut short or changed; restore it from a copy or delete it`);
      }
    });
}

/** The first 12 digits of a SHA-256. */
export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

/** Path of a finding below its directory. Where it is and how it is replayed are no part of its content. */
export function findingName(bucket: string, finding: Finding): string {
  return join(folders.findings, `${bucket}-${shortHash(formatFinding({ ...finding, replay: '' }))}.json`);
}

/** Writes a file whole or not at all; one that is there already has the same content. */
export async function writeOnce(file: string, text: string): Promise<void> {
  if (!existsSync(file)) await writeWhole(file, text);
}

/** Writes a file whole or not at all, over what is there. */
export async function writeWhole(file: string, content: string | Buffer): Promise<void> {
  const draft = join(dirname(file), `.${randomBytes(6).toString('hex')}.part`);
  try {
    const handle = await open(draft, 'wx');
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
}

function listed(folder: string, kind: keyof typeof folders): string[] {
  try {
    return readdirSync(join(folder, folders[kind])).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') throw new UsageError(`${folder}: permission denied`);
    return [];
  }
}
