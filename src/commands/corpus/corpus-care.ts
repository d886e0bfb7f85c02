/** `corpus minimize` and `corpus merge`. */
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { type CorpusEntry, loadCorpus, ownCorpusFolder } from '../../campaign/corpus.ts';
import { caseId, formatCase } from '../../case/case.ts';
import { minimizeCorpus, newEntries } from '../../durable/corpus-care.ts';
import { modelFacts } from '../../model/model-executor.ts';
import { ensureFolder } from '../../system/cache.ts';
import { withFileErrors } from '../../system/file-errors.ts';
import { UsageError } from '../../errors.ts';
import { type CommandContext, exitCodes, formatJson } from '../common/command.ts';

/** Says which cases would go, and removes them only when it is told to. */
export async function minimizeFolder(
  folder: string | undefined,
  { remove, json }: { readonly remove?: true; readonly json?: true },
  { stdout }: CommandContext,
): Promise<number> {
  const entries = await loadCorpus(checkedFolder(folder ?? ownCorpusFolder()));
  const { kept, dropped, pairs } = minimizeCorpus(entries, modelFacts);
  if (remove) for (const { file } of dropped) await withFileErrors(file, () => rm(file));
  if (json) {
    const names = (list: readonly CorpusEntry[]): string[] => list.map(({ file }) => file);
    stdout.write(
      formatJson({
        schema: 'hvipi/corpus-minimize/1',
        pairs,
        kept: names(kept),
        dropped: names(dropped),
        removed: remove === true,
      }),
    );
    return exitCodes.fine;
  }
  for (const { file } of dropped) stdout.write(`${remove ? 'removed' : 'not needed'} ${file}\n`);
  const advice = remove || dropped.length === 0 ? '' : '; --remove removes the others';
  stdout.write(`${kept.length} of ${entries.length} cases hit all ${pairs} (rule, dimension) pairs${advice}\n`);
  return exitCodes.fine;
}

/** Copies into the first folder what only the second has. */
export async function mergeFolders(
  folder: string,
  other: string,
  { json }: { readonly json?: true },
  { stdout }: CommandContext,
): Promise<number> {
  const have = await loadCorpus(checkedFolder(folder));
  const fresh = newEntries(have, await loadCorpus(checkedFolder(other)));
  const added: string[] = [];
  for (const { file, value } of fresh) {
    const target = freeName(folder, relative(other, file), caseId(value));
    await ensureFolder(dirname(target));
    await withFileErrors(target, () => writeFile(target, formatCase(value), { flag: 'wx' }));
    added.push(target);
  }
  if (json) stdout.write(formatJson({ schema: 'hvipi/corpus-merge/1', had: have.length, added }));
  else
    stdout.write(`${added.map((name) => `added ${name}\n`).join('')}${added.length} cases added to ${have.length}\n`);
  return exitCodes.fine;
}

/** The case's own name, or one with its id where another case has that name. */
function freeName(folder: string, name: string, id: string): string {
  const file = join(folder, name.startsWith('..') ? basename(name) : name);
  return existsSync(file) ? file.replace(/\.json$/, `-${id}.json`) : file;
}

function checkedFolder(folder: string): string {
  if (!existsSync(folder)) throw new UsageError(`${folder}: no such folder`);
  return folder;
}
