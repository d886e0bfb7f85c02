/** The command line as a table of verbs: arguments in, exit code out. Everything it prints goes through the context. */
import { Command, CommanderError } from 'commander';
import { type CommandContext, errorLine, exitCodeOf, exitCodes } from './common/command.ts';
import { hvipiCommand, ownVersion } from '../system/own-command.ts';

type AddVerb = (program: Command, context: CommandContext, finish: (exitCode: number) => void) => void;

/** A verb's file, and all that it needs, is loaded when that verb is asked for: half of a start is loading files. */
const verbs: Readonly<Record<string, () => Promise<AddVerb>>> = {
  fuzz: async () => (await import('./fuzz.ts')).addFuzz,
  replay: async () => (await import('./replay.ts')).addReplay,
  explain: async () => (await import('./explain.ts')).addExplain,
  compare: async () => (await import('./compare.ts')).addCompare,
  review: async () => (await import('./review.ts')).addReview,
  export: async () => (await import('./export.ts')).addExport,
  bisect: async () => (await import('./bisect.ts')).addBisect,
  corpus: async () => (await import('./corpus/corpus.ts')).addCorpus,
  campaign: async () => (await import('./campaign/campaign.ts')).addCampaign,
  lab: async () => (await import('./lab.ts')).addLab,
  doctor: async () => (await import('./doctor.ts')).addDoctor,
};

/** Runs one command line (without the program's own name) and gives its exit code; never throws. */
export async function main(argv: readonly string[], context: CommandContext): Promise<number> {
  let exitCode: number = exitCodes.fine;
  try {
    const program = await makeProgram(argv[0], context, (code) => {
      exitCode = code;
    });
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return commanderExit(error, context);
    context.stderr.write(`${errorLine(error)}\n`);
    if (context.isDebugging && error instanceof Error) context.stderr.write(`${error.stack}\n`);
    return exitCodeOf(error);
  }
}

/** A program that knows the verb that is named, or all of them where it is none: then it prints a list or an error. */
async function makeProgram(
  named: string | undefined,
  context: CommandContext,
  finish: (exitCode: number) => void,
): Promise<Command> {
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
  const isVerb = named !== undefined && Object.hasOwn(verbs, named);
  for (const load of isVerb ? [verbs[named]!] : Object.values(verbs)) (await load())(program, context, finish);
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
