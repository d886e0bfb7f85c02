/** `export`: a saved case as something that shows it without this tool, or that goes to other people. */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { BuildError } from '../build/make.ts';
import { compilerPackages, ensurePackages } from '../system/packages/build-packages.ts';
import { prepareSource } from '../build/source.ts';
import { Progress } from '../campaign/progress.ts';
import { caseId } from '../case/case.ts';
import { bundleFiles, writeBundle } from '../export/bundle.ts';
import { buildSelftestLibrary, compileExport } from '../export/c/compile.ts';
import { type Evidence, gatherEvidence } from '../export/evidence.ts';
import { formatMail } from '../export/mail.ts';
import { runInLab } from '../export/verify.ts';
import { exportCase, type ExportedProgram, type ExportForm, exportForms, programOrNull } from '../export/c/write.ts';
import { openLab } from '../lab/lab.ts';
import { withFileErrors } from '../system/file-errors.ts';
import { UsageError } from '../errors.ts';
import { assumedFacts, assumedKernels, defaultAssumed } from './common/assumed-facts.ts';
import { type LoadedCase, loadCases } from './common/case-files.ts';
import { type CommandContext, exitCodes } from './common/command.ts';
import { temporaryFolder } from '../system/temporary-folder.ts';

interface ExportOptions {
  readonly as: string;
  readonly out?: string;
  readonly verify?: true;
  readonly kernel: string;
  readonly kvmModules?: string;
  readonly install: boolean;
}

/** The two programs, an archive for others, and a draft of a mail to the KVM list. */
const allForms = [...exportForms, 'bundle', 'mail'];

export function addExport(program: Command, context: CommandContext, finish: (exitCode: number) => void): void {
  program
    .command('export')
    .description('a case as a C program that shows it without this tool, as an archive, as a mail')
    .argument('<FILE>', 'a case file or a finding file')
    .requiredOption('--as <FORM>', `what to write: ${allForms.join(', ')}`)
    .option('--out <FILE>', 'where to; stdout by default')
    .option('--verify', 'compile it and run it in the lab: on --kernel with --kvm-modules, and on the kernel as it is')
    .option(
      '--kernel <SPEC>',
      `whose KVM to expect: that of the finding, or ${assumedKernels.join(', ')}`,
      defaultAssumed,
    )
    .option('--kvm-modules <DIR>', 'with --verify: run it on this KVM as well')
    .option('--no-install', 'install nothing; say what is missing')
    .action(async (file: string, options: ExportOptions) => finish(await exportFile(file, options, context)));
}

async function exportFile(file: string, options: ExportOptions, context: CommandContext): Promise<number> {
  if (options.as === 'bundle' || options.as === 'mail') return exportEvidence(file, options, context);
  const form = exportForms.find((name) => name === options.as);
  if (form === undefined) throw new UsageError(`--as ${options.as}: there are ${allForms.join(', ')}`);
  const program = exportedProgram(singleCase(file), form, options.kernel);
  if (options.out === undefined) context.stdout.write(program.text);
  else await withFileErrors(options.out, () => writeFile(options.out!, program.text));
  return options.verify ? verify(program, options, context) : exitCodes.fine;
}

/** Both rest on a run of their own: what is sent to others has just been seen. */
async function exportEvidence(file: string, options: ExportOptions, context: CommandContext): Promise<number> {
  const { value, facts } = singleCase(file);
  const progress = new Progress(context.stderr);
  const evidence = await gatherEvidence(value, {
    kernel: options.kernel,
    kvmModules: options.kvmModules ?? null,
    install: options.install,
    say: progress.say,
    signal: context.signal,
  });
  const known = facts ?? assumedFacts(defaultAssumed);
  if (options.as === 'mail') {
    const text = formatMail(value, evidence, programOrNull(value, known));
    if (options.out === undefined) context.stdout.write(text);
    else await withFileErrors(options.out, () => writeFile(options.out!, text));
  } else {
    const name = `hvipi-${caseId(value)}`;
    const target = options.out ?? `${name}.tar.gz`;
    const finding = facts === null ? null : readFileSync(file, 'utf8');
    await writeBundle(bundleFiles(value, finding, evidence, known), name, target);
    context.stdout.write(`${target}\n`);
  }
  return exitCodeOfEvidence(evidence);
}

function exitCodeOfEvidence({ judgement }: Evidence): number {
  if (judgement.class === 'match' || judgement.class === 'deviation') return exitCodes.fine;
  return judgement.class === 'divergence' ? exitCodes.divergence : exitCodes.kernelFailure;
}

function singleCase(file: string): LoadedCase {
  const [loaded, ...others] = loadCases([file]);
  if (loaded === undefined || others.length > 0) throw new UsageError(`${file}: export takes one case, not a folder`);
  if (loaded.before.length > 0) {
    throw new UsageError(`${file}: the finding shows only behind other cases, which a C program cannot show`);
  }
  return loaded;
}

function exportedProgram({ value, facts }: LoadedCase, form: ExportForm, kernel: string): ExportedProgram {
  return exportCase(value, facts ?? assumedFacts(kernel), form);
}

/** The exit code of the kernel that is asked about: 0 when the program passes there, 1 when it fails. */
async function verify(program: ExportedProgram, options: ExportOptions, context: CommandContext): Promise<number> {
  const { say } = new Progress(context.stderr);
  const build = { install: options.install, say, signal: context.signal } as const;
  await ensurePackages(compilerPackages, build);
  const source = program.form === 'selftest' ? await prepareSource(build) : null;
  if (source !== null) await buildSelftestLibrary(source);
  await using folder = await temporaryFolder('export');
  try {
    const compiled = await compileExport(program, folder.path, source);
    say(compiled.warnings === '' ? 'compiled without warnings' : compiled.warnings);
    let verdict = 'pass';
    const modules = options.kvmModules === undefined ? [null] : [null, options.kvmModules];
    for (const kvmModules of modules) {
      await using lab = await openLab({
        kernel: options.kernel,
        kvmModules,
        install: options.install,
        say,
        signal: context.signal,
        hasPrograms: true,
      });
      const run = await runInLab(lab, compiled.path);
      const said = run.verdict === 'pass' ? '' : `: ${run.output}`;
      say(`${options.kernel}${kvmModules === null ? '' : ` with ${kvmModules}`}: ${run.verdict}${said}`);
      verdict = run.verdict;
    }
    if (verdict === 'kernel failure') return exitCodes.kernelFailure;
    return verdict === 'pass' ? exitCodes.fine : exitCodes.divergence;
  } catch (error) {
    if (error instanceof BuildError) context.stderr.write(`${error.log}\n`);
    throw error;
  }
}
