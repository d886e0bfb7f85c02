/** `npm run bench:mutants`: which mutants of KVM are found, by which method, and how fast. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { debianSourceKernel, givenSource, prepareSource } from '../../src/build/source.ts';
import { type LabCpu, parseLabCpu } from '../../src/lab/lab-cpu.ts';
import { ensureFolder } from '../../src/system/cache.ts';
import { Builder } from './build.ts';
import { catalogue as amdCatalogue } from './catalogue/catalogue.ts';
import { intelCatalogue } from './catalogue/intel/catalogue.ts';
import { formatDocument } from './document.ts';
import { type Grade, grades, type Mutant } from './mutant.ts';
import { positive } from '../positive.ts';
import { readRows } from '../rows.ts';
import { writePage } from '../write-page.ts';
import { type Method, methods, type Row, rowSchema, type Trial } from './row.ts';
import { buildSelftests } from './selftests.ts';
import { chooseTrials, runTrials } from './trials.ts';

/** Those of the kernel and the CPU that the document is about; those of others are in folders below. */
const results = fileURLToPath(new URL('results', import.meta.url));
const catalogues: Record<LabCpu, readonly Mutant[]> = { amd: amdCatalogue, intel: intelCatalogue };
const document = fileURLToPath(new URL('../../docs/finding-strength.md', import.meta.url));

interface Options {
  readonly method: Method;
  readonly seed: readonly string[];
  readonly budget: string;
  readonly jobs: string;
  readonly only: readonly string[];
  readonly grade?: Grade;
  readonly third?: true;
  readonly cpu: string;
  readonly kernel: string;
  readonly source?: string;
  readonly build?: true;
  readonly report?: true;
}

const say = (line: string): void => void process.stderr.write(`mutants: ${line}\n`);

const program = new Command('bench:mutants')
  .description('fuzz mutants of KVM; rows that are there already are not measured again')
  .addOption(new Option('--method <METHOD>', 'what looks for them').choices(methods).default('hvipi'))
  .option('--seed <TEXT...>', 'seeds, one run of all mutants each', ['1'])
  .option('--budget <SECONDS>', 'seconds of fuzzing a mutant', '60')
  .option('--jobs <N>', 'labs at a time', '2')
  .option('--only <NAME...>', 'these mutants', [])
  .addOption(new Option('--grade <GRADE>', 'mutants of this grade').choices(grades))
  .option('--third', 'the fixed third of the catalogue that is run with several seeds')
  .option('--cpu <VENDOR>', 'amd or intel: the CPU of the lab, and whose catalogue', 'amd')
  .option('--kernel <SPEC>', 'whose source they are mutants of, like debian:7.3', debianSourceKernel)
  .option('--source <DIR>', 'a prepared kernel source, instead of the one in the cache')
  .option('--build', 'build the modules of what would be run, and run nothing')
  .option('--report', 'run nothing; write docs/finding-strength.md from the rows')
  .action(async (options: Options) => {
    process.exitCode = options.report ? await report() : await run(options);
  });

async function run(options: Options): Promise<number> {
  const { method, grade = null, only, kernel } = options;
  const cpu = parseLabCpu(options.cpu);
  const catalogue = catalogues[cpu];
  const unknown = only.filter((name) => !catalogue.some((mutant) => mutant.name === name));
  if (unknown.length > 0) {
    say(`no mutant is called ${unknown.join(', ')}`);
    return 2;
  }
  const choice = { method, grade, only, seeds: options.seed, third: options.third === true };
  const parts = [cpu === 'amd' ? '' : cpu, kernel === debianSourceKernel ? '' : kernel.replace('debian:', '')];
  const folder = join(results, ...parts);
  const trials = chooseTrials(catalogue, readRows(rowSchema, folder), {
    ...choice,
    budgetSeconds: positive(options.budget),
  });
  say(`${trials.length} to run`);
  if (trials.length === 0) return 0;
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const source =
    options.source === undefined ? await prepareSource({ install: true, say }, kernel) : givenSource(options.source);
  const builder = new Builder(source, say);
  if (options.build) return buildAll(trials, builder);
  await ensureFolder(folder);
  const failures = await runTrials(trials, {
    builder,
    selftests: method === 'selftests' ? await buildSelftests(source) : null,
    results: folder,
    cpu,
    kernel,
    jobs: positive(options.jobs),
    say,
    signal: stop.signal,
  });
  return failures === 0 ? 0 : 3;
}

/** Modules are kept, so that a later run has nothing to wait for. */
async function buildAll(trials: readonly Trial[], builder: Builder): Promise<number> {
  let failures = 0;
  for (const mutant of new Set(trials.map((trial) => trial.mutant))) {
    try {
      await builder.build(mutant);
    } catch (error) {
      failures++;
      say(`${mutant.name}: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  return failures === 0 ? 0 : 3;
}

async function report(): Promise<number> {
  const below = (folder: string): Row[] => readRows(rowSchema, join(results, folder));
  const elsewhere = [
    { where: 'every third, `debian:7.3`, emulated AMD', rows: below('7.3'), catalogue: amdCatalogue },
    { where: '`debian:6.12`, emulated Intel with APICv', rows: below('intel'), catalogue: intelCatalogue },
  ];
  await writePage(document, formatDocument(readRows(rowSchema, results), amdCatalogue, elsewhere));
  say(`wrote ${document}`);
  return 0;
}

await program.parseAsync();
