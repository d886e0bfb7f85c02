/** `npm run bench:machines`: default runs on all kernels in minimal systems of Debian, and the page that tells of them. */
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { SkippedError, UsageError } from '../../src/errors.ts';
import { type DebianKernel, debianKernel, debianSeries } from '../../src/lab/kernel/debian-kernel.ts';
import { isRoot } from '../../src/system/packages/apt.ts';
import { ensureFolder } from '../../src/system/cache.ts';
import { readRows } from '../rows.ts';
import { writePage } from '../write-page.ts';
import { formatDocument, missingCells } from './document.ts';
import { type Cell, type Row, rowOf, rowSchema } from './row.ts';
import { prepare, runIn, type System, systems } from './systems.ts';

const results = fileURLToPath(new URL('results', import.meta.url));
const reports = fileURLToPath(new URL('../../reports/machines', import.meta.url));
const page = fileURLToPath(new URL('../../docs/machines.md', import.meta.url));
const kernelsMeant = ['debian:6.1', 'debian:6.12', 'debian:7.2', 'debian:7.3'];

interface Options {
  readonly system: readonly System[];
  readonly kernel: readonly string[];
  readonly seed: string;
  readonly seconds: string;
  readonly again?: true;
  readonly report?: true;
}

const say = (line: string): void => void process.stderr.write(`machines: ${line}\n`);

const program = new Command('bench:machines')
  .description('default runs in minimal systems; as root; what has a row already is not run again')
  .addOption(new Option('--system <SYSTEM...>', 'these systems').choices(systems).default([...systems]))
  .option('--kernel <SPEC...>', 'these kernels', kernelsMeant)
  .option('--seed <TEXT>', 'seed of the runs', '1')
  .option('--seconds <N>', 'seconds of fuzzing a cell', '120')
  .option('--again', 'run also what has a row')
  .option('--report', 'run nothing; write docs/machines.md from the rows')
  .action(async (options: Options) => {
    if (!options.report) process.exitCode = await run(options);
    await writePage(page, formatDocument(readRows(rowSchema, results)));
    say(`wrote ${page}`);
  });

/** Whether all cells have a row then, as an exit code. */
async function run({ system, kernel, seed, seconds, again }: Options): Promise<number> {
  const budgetSeconds = Number(seconds);
  if (!(budgetSeconds > 0)) throw new UsageError(`--seconds ${seconds}: not a number above 0`);
  const wrong = kernel.find((spec) => debianSeries(spec) === null);
  if (wrong !== undefined) throw new UsageError(`--kernel ${wrong}: only Debian's kernels are meant, like debian:7.3`);
  if (!isRoot()) throw new SkippedError('only root may make a system in a folder and run something there');
  const all = system.flatMap((one) => kernel.map((spec) => ({ system: one, kernel: spec, seed, budgetSeconds })));
  const cells = again ? all : missingCells(all, readRows(rowSchema, results));
  say(`${cells.length} to run`);
  let failures = 0;
  for (const one of systems) {
    const own = cells.filter((cell) => cell.system === one);
    if (own.length > 0) failures += await runSystem(one, own);
  }
  return failures === 0 ? 0 : 3;
}

/** Runs the cells of a system; how many of them came to no result. */
async function runSystem(system: System, cells: readonly Cell[]): Promise<number> {
  let failures = 0;
  try {
    const kernels: DebianKernel[] = [];
    for (const { kernel } of cells) kernels.push(await debianKernel(kernel, { install: true, say }));
    const node = await prepare(system, kernels);
    for (const cell of cells) {
      try {
        await note(cell, rowOf(cell, node, new Date().toISOString(), await fuzz(cell)));
      } catch (error) {
        failures++;
        say(`${cell.system}, ${cell.kernel}: no result: ${firstLine(error)}`);
      }
    }
    return failures;
  } catch (error) {
    say(`${system}: cannot be made ready: ${firstLine(error)}`);
    return cells.length;
  }
}

/** What `fuzz --json` says, which is kept whole beside the rows: a finding is looked into there. */
async function fuzz({ system, kernel, seed, budgetSeconds }: Cell): Promise<unknown> {
  const args = ['fuzz', '--json', '--keep-going', '--kernel', kernel, '--seed', seed, '--time', `${budgetSeconds}s`];
  const command = ['npm', 'run', '-s', 'hvipi', '--', ...args];
  const { stdout, complaint } = await runIn(system, command);
  if (!stdout.trimStart().startsWith('{')) throw new Error(complaint);
  await ensureFolder(reports);
  await writeFile(join(reports, `${system}-${kernel.replace('debian:', '')}.json`), stdout);
  return JSON.parse(stdout);
}

async function note(cell: Cell, row: Row): Promise<void> {
  await ensureFolder(results);
  await appendFile(join(results, 'rows.ndjson'), `${JSON.stringify(row)}\n`);
  const { rulesHit, rulesTotal, hypercalls, findings, qemu } = row;
  const found = findings.map(({ class: kind, signature }) => `${kind} ${signature}`).join('; ') || 'no finding';
  say(`${cell.system}, QEMU ${qemu}, ${row.release}: ${rulesHit}/${rulesTotal} rules, ${hypercalls} calls, ${found}`);
}

function firstLine(error: unknown): string {
  return (error as Error).message.split('\n')[0]!;
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof UsageError || error instanceof SkippedError)) throw error;
  say(error.message);
  process.exitCode = error instanceof UsageError ? 2 : 4;
}
