/** `explain`: decodes a case field by field and names the rule that decides; runs nothing. */
import type { Command } from 'commander';
import { explain } from '../../oracle/explain/explain.ts';
import { formatExplanation } from '../../oracle/explain/explain-text.ts';
import { caseId } from '../case/case.ts';
import { encodeCase } from '../program/encode.ts';
import { assumedFacts, assumedKernels, defaultAssumed } from './common/assumed-facts.ts';
import { loadEach } from './common/case-files.ts';
import { type CommandContext, errorLine, exitCodes, formatJson } from './common/command.ts';
import { contractOf } from './common/options.ts';

interface ExplainOptions {
  readonly kernel: string;
  readonly contract: string;
  readonly json?: true;
}

export function addExplain(program: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  program
    .command('explain')
    .description('decode a case field by field and name the rule that decides; runs nothing')
    .argument('<FILE...>', 'case files, finding files or {seed, path} files')
    .option('--kernel <SPEC>', `whose KVM to speak of: ${assumedKernels.join(', ')}`, defaultAssumed)
    .option('--contract <NAME>', 'both are always explained; kvm or tlfs', 'kvm')
    .option('--json', 'one JSON object on stdout')
    .action((files: string[], options: ExplainOptions) => finish(explainFiles(files, options, context)));
}

function explainFiles(files: readonly string[], options: ExplainOptions, { stdout, stderr }: CommandContext): number {
  contractOf(options.contract);
  const assumed = assumedFacts(options.kernel);
  const { cases, refused } = loadEach(files);
  for (const { error } of refused) stderr.write(`${errorLine(error)}\n`);
  const exitCode = refused.length === 0 ? exitCodes.fine : exitCodes.usage;
  if (cases.length === 0) return exitCode;
  const explained = cases.map(({ name, value, facts }) => ({
    name,
    value,
    explanation: explain(encodeCase(value), facts ?? assumed),
  }));
  if (options.json) {
    const results = explained.map(({ name, value, explanation }) => ({ name, id: caseId(value), explanation }));
    stdout.write(formatJson({ schema: 'hvipi/explain/1', results }));
    return exitCode;
  }
  for (const { name, value, explanation } of explained) {
    const why = value.why === '' ? '' : `  ${value.why}\n`;
    stdout.write(`${name} (${caseId(value)})\n${why}${formatExplanation(explanation)}\n`);
  }
  return exitCode;
}
