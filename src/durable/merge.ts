/**
 * Campaign directories of shards, or copies of them, made into one. Journals only grow, so of two copies the longer one
 * has all of the shorter; everything else is named by its content. Merging again, in any order, changes nothing.
 */
import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { withFileErrors } from '../system/file-errors.ts';
import { UsageError } from '../errors.ts';
import { combineJournals, smallestFindings } from './combine.ts';
import {
  findJournals,
  folders,
  isMerged,
  lockFile,
  makeFolders,
  mergedMark,
  type NamedJournal,
  readFindings,
  readJournals,
  writeWhole,
} from './journal/folder.ts';
import { withLock } from './journal/lock.ts';
import { copyTraces } from './line-coverage.ts';

/**
 * Merges campaign directories into `folder`, which is new, or was made by a merge. Nothing is written when something is
 * wrong with one of them.
 *
 * @throws UsageError for directories of different campaigns, CaseError for a damaged finding, InfrastructureError for a
 * full disk.
 */
export async function mergeCampaigns(folder: string, sources: readonly string[]): Promise<void> {
  const given = sources.map((source) => ({ source, journals: readJournals(source) }));
  for (const { source } of given) readFindings(source);
  if (findJournals(folder).length > 0 && !isMerged(folder)) {
    throw new UsageError(`${folder}: is the directory of a shard; merge into a new one`);
  }
  combineJournals(folder, [...findJournals(folder), ...given.flatMap(({ journals }) => journals)]);
  await makeFolders(folder);
  await withFileErrors(folder, () =>
    withLock(lockFile(folder), folder, async () => {
      const chosen = longestJournals([...findJournals(folder), ...given.flatMap(({ journals }) => journals)]);
      writeFileSync(join(folder, mergedMark), 'made by campaign merge\n');
      for (const { source } of given) {
        copyNamedByContent(source, folder);
        await copyTraces(source, folder);
      }
      for (const { run, content } of chosen) await writeWhole(join(folder, folders.journals, `${run}.ndjson`), content);
      keepSmallestFindings(folder);
    }),
  );
}

/** Of the copies of each journal the longest one. */
function longestJournals(journals: readonly NamedJournal[]): (NamedJournal & { readonly content: Buffer })[] {
  const longest = new Map<string, NamedJournal & { readonly content: Buffer }>();
  for (const journal of journals) {
    // Whole lines only: the copy may have been made while the campaign ran.
    const content = readFileSync(journal.file).subarray(0, journal.bytes);
    const other = longest.get(journal.run);
    if (other !== undefined) {
      const common = Math.min(content.length, other.content.length);
      if (!content.subarray(0, common).equals(other.content.subarray(0, common))) {
        throw new UsageError(
          `${journal.file}: differs from ${other.file}, which should begin or go on like it; one of them was changed`,
        );
      }
      if (content.length <= other.content.length) continue;
    }
    longest.set(journal.run, { ...journal, content });
  }
  return [...longest.values()];
}

function copyNamedByContent(source: string, folder: string): void {
  for (const kind of [folders.findings, folders.cases, folders.console]) {
    if (!existsSync(join(source, kind))) continue;
    for (const name of readdirSync(join(source, kind))) {
      const target = join(folder, kind, name);
      if (name.endsWith('.part') || existsSync(target)) continue;
      copyFileSync(join(source, kind, name), `${target}.part`);
      renameSync(`${target}.part`, target);
    }
  }
}

function keepSmallestFindings(folder: string): void {
  const kept = new Set([...smallestFindings(folder).values()].map(({ file }) => basename(file)));
  for (const { file } of readFindings(folder)) if (!kept.has(basename(file))) rmSync(file);
}
