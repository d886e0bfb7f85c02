/**
 * `npm run bench:export`: for each of some broken kernels a finding is made, exported in both forms, compiled with every
 * warning, and run on that kernel and on the one as it is. Prints a table; rows are kept, so that it goes on where it
 * was.
 */
import { appendFile } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { Command } from 'commander';
import { z } from 'zod';
import type { Source } from '../../src/build/make.ts';
import { prepareSource } from '../../src/build/source.ts';
import { type Case, parseCase } from '../../src/case/case.ts';
import { formatTable } from '../../src/campaign/text/table.ts';
import { buildSelftestLibrary, compileExport } from '../../src/export/c/compile.ts';
import { type ProgramRun, runInLab } from '../../src/export/verify.ts';
import { exportCase, type ExportForm, exportForms } from '../../src/export/c/write.ts';
import { type Lab, openLab } from '../../src/lab/lab.ts';
import { Builder } from '../mutants/build.ts';
import { fuzzJson } from '../mutants/fuzz.ts';
import { brokenKernels } from './broken.ts';
import { temporaryFolder } from '../../src/system/temporary-folder.ts';

interface Options {
  readonly only: readonly string[];
  readonly seed: string;
  readonly budget: string;
  readonly rows: string;
}

interface Row {
  readonly mutant: string;
  readonly finding: string;
  readonly form: ExportForm;
  readonly warnings: number;
  readonly good: ProgramRun['verdict'];
  readonly broken: ProgramRun['verdict'];
  /** What the program said of the broken kernel. */
  readonly said: string;
}

const say = (line: string): void => void process.stderr.write(`export: ${line}\n`);
const findingsOf = z.looseObject({
  findings: z.array(z.looseObject({ class: z.string(), signature: z.string(), case: z.unknown() })),
});

const program = new Command('bench:export')
  .description('findings of broken kernels as C programs: do they compile, fail there, and pass on the good kernel')
  .option('--only <NAME...>', 'these broken kernels', [])
  .option('--seed <TEXT>', 'seed of the cases', 'export')
  .option('--budget <SECONDS>', 'seconds of fuzzing for each finding', '60')
  .option('--rows <FILE>', 'where rows are kept', 'export-rows.ndjson')
  .action(run);

async function run({ only, seed, budget, rows: file }: Options): Promise<void> {
  const source = await prepareSource({ install: true, say });
  await buildSelftestLibrary(source);
  const builder = new Builder(source, say);
  await using good = await openOn(null);
  for (const mutant of brokenKernels) {
    const isDone = readRows(file).some((row) => row.mutant === mutant.name);
    if (isDone || (only.length > 0 && !only.includes(mutant.name))) continue;
    const kvmModules = await builder.build(mutant);
    say(`${mutant.name}: fuzzing`);
    const json = await fuzzJson({ kvmModules, seed, budgetSeconds: Number(budget) }, []);
    const [finding] = findingsOf.parse(json).findings;
    if (finding === undefined) throw new Error(`${mutant.name} was not found in ${budget} s`);
    const name = `${finding.class} ${finding.signature}`;
    for (const form of exportForms) {
      const measured = await measure(parseCase(finding.case), form, { good, kvmModules, source });
      const row: Row = { mutant: mutant.name, finding: name, form, ...measured };
      await appendFile(file, `${JSON.stringify(row)}\n`);
    }
  }
  process.exitCode = report(readRows(file));
}

interface Kernels {
  readonly good: Lab;
  readonly kvmModules: string;
  readonly source: Source;
}

/** A kernel that fails takes its lab along, so that each form has a broken one of its own. */
async function measure(
  value: Case,
  form: ExportForm,
  { good, kvmModules, source }: Kernels,
): Promise<Omit<Row, 'mutant' | 'finding' | 'form'>> {
  await using folder = await temporaryFolder('export');
  const { path, warnings } = await compileExport(exportCase(value, good.facts, form), folder.path, source);
  if (warnings !== '') say(warnings);
  const onGood = await runInLab(good, path);
  if (onGood.verdict !== 'pass') say(`on the good kernel: ${onGood.output}`);
  await using broken = await openOn(kvmModules);
  const onBroken = await runInLab(broken, path);
  const lines = onBroken.output.split('\n');
  const said = (lines.find((line) => line.includes('step')) ?? lines[0] ?? '').trim();
  const count = warnings === '' ? 0 : warnings.split('\n').length;
  return { warnings: count, good: onGood.verdict, broken: onBroken.verdict, said };
}

/** On a busy computer a boot may take too long once. */
function openOn(kvmModules: string | null): Promise<Lab> {
  const open = (): Promise<Lab> => openLab({ kernel: 'debian:6.12', kvmModules, install: true, say });
  return open().catch(open);
}

function readRows(file: string): Row[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Row);
}

function report(rows: readonly Row[]): number {
  const isRight = ({ warnings, good, broken }: Row): boolean =>
    warnings === 0 && good === 'pass' && (broken === 'fail' || broken === 'kernel failure');
  const cells = rows.map((row) => [
    isRight(row) ? 'ok' : 'WRONG',
    row.mutant,
    row.form,
    `${row.warnings}`,
    row.good,
    row.broken,
    row.said,
  ]);
  process.stdout.write(formatTable([['', 'kernel', 'form', 'warnings', 'good', 'broken', 'says'], ...cells], ''));
  const mutants = [...new Set(rows.map(({ mutant }) => mutant))];
  const right = mutants.filter((name) => rows.filter(({ mutant }) => mutant === name).every(isRight));
  process.stdout.write(`${right.length} of ${mutants.length} findings, both forms\n`);
  return right.length === mutants.length ? 0 : 1;
}

await program.parseAsync();
