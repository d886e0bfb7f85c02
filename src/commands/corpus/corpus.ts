/** `corpus list|check|minimize|merge`: the saved cases. */
import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { checkCorpus, loadCorpus, ownCorpusFolder } from '../../campaign/corpus.ts';
import { formatTable } from '../../campaign/text/table.ts';
import { caseId } from '../../case/case.ts';
import { openModelExecutor } from '../../model/model-executor.ts';
import { UsageError } from '../../errors.ts';
import { type CommandContext, exitCodes, formatJson } from '../common/command.ts';
import { mergeFolders, minimizeFolder } from './corpus-care.ts';

interface CorpusOptions {
  readonly json?: true;
}

export function addCorpus(program: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  const corpus = program.command('corpus').description('the saved cases');
  corpus
    .command('list')
    .description('file, id and purpose of each case')
    .argument('[DIR]', 'folder; the one of this checkout by default')
    .option('--json', 'one JSON object on stdout')
    .action(async (folder: string | undefined, options: CorpusOptions) => finish(await list(folder, options, context)));
  corpus
    .command('check')
    .description('read every case and run the model over it, without KVM')
    .argument('[DIR]', 'folder; the one of this checkout by default')
    .option('--json', 'one JSON object on stdout')
    .action(async (folder: string | undefined, options: CorpusOptions) =>
      finish(await check(folder, options, context)),
    );
  corpus
    .command('minimize')
    .description('name the cases that add nothing to what the model covers; what once failed stays')
    .argument('[DIR]', 'folder; the one of this checkout by default')
    .option('--remove', 'remove them')
    .option('--json', 'one JSON object on stdout')
    .action(async (folder: string | undefined, options: CorpusOptions & { remove?: true }) =>
      finish(await minimizeFolder(folder, options, context)),
    );
  corpus
    .command('merge')
    .description('copy into the first folder the cases that only the second has')
    .argument('<DIR>', 'folder that grows')
    .argument('<FROM>', 'folder that stays as it is')
    .option('--json', 'one JSON object on stdout')
    .action(async (folder: string, other: string, options: CorpusOptions) =>
      finish(await mergeFolders(folder, other, options, context)),
    );
}

async function list(folder: string | undefined, { json }: CorpusOptions, { stdout }: CommandContext): Promise<number> {
  const entries = await loadCorpus(checkedFolder(folder));
  if (json) {
    const cases = entries.map(({ file, value }) => ({
      file,
      id: caseId(value),
      steps: value.steps.length,
      why: value.why,
    }));
    stdout.write(formatJson({ schema: 'hvipi/corpus/1', cases }));
  } else {
    stdout.write(formatTable(entries.map(({ file, value }) => [file, caseId(value), value.why])));
    stdout.write(`${entries.length} cases\n`);
  }
  return exitCodes.fine;
}

async function check(folder: string | undefined, { json }: CorpusOptions, { stdout }: CommandContext): Promise<number> {
  await using model = openModelExecutor();
  const { files, complaints } = await checkCorpus(checkedFolder(folder), model);
  const exitCode = complaints.length === 0 ? exitCodes.fine : exitCodes.usage;
  if (json) {
    stdout.write(formatJson({ schema: 'hvipi/corpus-check/1', files, complaints, exitCode }));
  } else {
    for (const { file, field, message } of complaints) stdout.write(`${file}: ${field}: ${message}\n`);
    stdout.write(`${files} files, ${complaints.length} complaints\n`);
  }
  return exitCode;
}

function checkedFolder(folder: string | undefined): string {
  if (folder === undefined) return ownCorpusFolder();
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new UsageError(`${folder}: no such folder`);
  return folder;
}
