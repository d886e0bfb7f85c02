/** The command line as a table of verbs: arguments in, exit code out. Everything it prints goes through the context. */
import { Command, CommanderError } from 'commander';
import { type CommandContext, errorLine, exitCodeOf, exitCodes } from './common/command.ts';
import { hvipiCommand, ownVersion } from '../system/own-command.ts';
import { addBisect } from './bisect.ts';
import { addCampaign } from './campaign/campaign.ts';
import { addCompare } from './compare.ts';
import { addCorpus } from './corpus/corpus.ts';
import { addDoctor } from './doctor.ts';
import { addExplain } from './explain.ts';
import { addExport } from './export.ts';
import { addFuzz } from './fuzz.ts';
import { addLab } from './lab.ts';
import { addReplay } from './replay.ts';
import { addReview } from './review.ts';

const verbs = [
  addFuzz,
  addReplay,
  addExplain,
  addCompare,
  addReview,
  addExport,
  addBisect,
  addCorpus,
  addCampaign,
  addLab,
  addDoctor,
];

/** Runs one command line (without the program's own name) and gives its exit code; never throws. */
export async function main(argv: readonly string[], context: CommandContext): Promise<number> {
  let exitCode: number = exitCodes.fine;
  const program = makeProgram(context, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return commanderExit(error, context);
    context.stderr.write(`${errorLine(error)}\n`);
    if (context.isDebugging && error instanceof Error) context.stderr.write(`${error.stack}\n`);
    return exitCodeOf(error);
  }
}

function makeProgram(context: CommandContext, finish: (exitCode: number) => void): Command {
  const program = new Command('hvipi')
    .description('Property-based fuzzer for the Hyper-V IPI hypercalls of Linux KVM')
    .version(ownVersion(), '--version', 'print the version')
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      // Errors are printed once, in one line, by `commanderExit`.
      writeErr: () => undefined,
      outputError: () => undefined,
    })
    .exitOverride();
  for (const add of verbs) add(program, context, finish);
  return program;
}

/** Help is no error; everything else that commander throws is a wrong command line. */
function commanderExit({ code, message }: CommanderError, { stderr }: CommandContext): number {
  if (code === 'commander.helpDisplayed' || code === 'commander.version') return exitCodes.fine;
  const text =
    code === 'commander.help' ? `give a verb; ${hvipiCommand('--help')} lists them` : message.replace(/^error: /, '');
  stderr.write(`hvipi: ${text.replace(/\s*\n\s*/g, ' ').trim()}\n`);
  return exitCodes.usage;
}
