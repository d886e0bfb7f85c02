/** `npm run bench:review`: public changes of KVM given to `review` as patches, and what it says of them as a page. */
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { execa } from 'execa';
import { prepareSource } from '../../src/build/source.ts';
import { cpuArguments } from '../../src/lab/lab-cpu.ts';
import { formatDocument } from './document.ts';
import { patchOf } from './patch-of.ts';
import { readRows } from '../rows.ts';
import { results, resultsFile, type Row, rowSchema } from './row.ts';
import { type Answer, type ReviewSample, sampleKernel } from './sample.ts';
import { reviewSamples } from './samples.ts';
import { temporaryFolder } from '../../src/system/temporary-folder.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What is used of `review --json`. */
interface ReviewJson {
  readonly mail: string;
  readonly verdict: string;
  readonly cases: number;
  readonly offers: readonly { readonly what: string }[] | null;
  readonly groups: readonly { readonly key: string; readonly kind: string; readonly foundAfter: number }[];
  readonly target: { readonly base: { readonly release: string } };
}

interface Options {
  readonly only: readonly string[];
  readonly seed: string;
  readonly time: string;
  readonly out: string;
  readonly report?: true;
}

const program = new Command('bench:review')
  .description(`give changes of ${sampleKernel} to review; a row for each, and the text in a file`)
  .option('--only <NAME...>', 'these samples', [])
  .option('--seed <TEXT>', 'seed of the cases', '1')
  .option('--time <TIME>', 'how long each review runs cases', '60s')
  .option('--out <DIR>', 'folder for the texts and the smallest cases', 'review-samples')
  .option('--report', 'measure nothing; write docs/reviewed-patches.md from the rows')
  .action(async (options: Options) => {
    if (options.report)
      await writeFile(
        join(root, 'docs/reviewed-patches.md'),
        formatDocument(readRows(rowSchema, results), reviewSamples),
      );
    else await run(options);
  });

async function run(options: Options): Promise<void> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const source = await prepareSource({ install: true, say }, sampleKernel);
  await mkdir(options.out, { recursive: true });
  let wrong = 0;
  for (const sample of chosenOf(options.only)) {
    const { row, text } = await reviewSample(sample, source.tree, options);
    await writeFile(join(options.out, `${sample.name}.txt`), text);
    if (row === null) {
      process.stdout.write(`NONE ${sample.name}: ${text.trim().split('\n').at(-1)}\n`);
      wrong++;
      continue;
    }
    await appendFile(resultsFile, `${JSON.stringify(row)}\n`);
    if (!row.isRight) wrong++;
    const found = row.foundAfter === null ? '' : ` after ${row.foundAfter} s`;
    process.stdout.write(
      `${row.isRight ? 'ok' : 'WRONG'} ${sample.name}: ${row.answer ?? `exit ${row.exitCode}`}${found}, ${row.seconds} s in all: ${row.difference || row.verdict}\n`,
    );
  }
  process.exitCode = wrong === 0 ? 0 : 1;
}

/** In the order of the names; all without any. */
function chosenOf(names: readonly string[]): readonly ReviewSample[] {
  if (names.length === 0) return reviewSamples;
  return names.map((name) => {
    const found = reviewSamples.find((sample) => sample.name === name);
    if (found === undefined)
      throw new Error(`no sample ${name}; there are ${reviewSamples.map((one) => one.name).join(', ')}`);
    return found;
  });
}

/** Null where it gave no answer. */
async function reviewSample(
  sample: ReviewSample,
  tree: string,
  { seed, time, out }: Options,
): Promise<{ row: Row | null; text: string }> {
  await using folder = await temporaryFolder('samples');
  const patch = join(folder.path, `${sample.name}.patch`);
  await writeFile(patch, await patchOf(sample, tree));
  const start = performance.now();
  const options = [
    ...cpuArguments(sample.cpu ?? 'amd'),
    '--kernel',
    sampleKernel,
    '--seed',
    seed,
    '--time',
    time,
    '--out',
    join(out, sample.name),
    '--json',
  ];
  const command = ['--import', 'tsx', 'src/cli.ts', 'review', patch, ...options];
  const result = await execa(process.execPath, command, { cwd: root, reject: false, stdin: 'ignore' });
  if (!result.stdout.startsWith('{')) return { row: null, text: result.stderr };
  const json = JSON.parse(result.stdout) as ReviewJson;
  const seconds = Math.round((performance.now() - start) / 1000);
  const date = new Date().toISOString().slice(0, 10);
  return {
    row: rowOf(sample, json, { exitCode: result.exitCode ?? -1, seconds, seed, time, date }),
    text: json.mail,
  };
}

function rowOf(
  { name, answer: expected, says }: ReviewSample,
  { mail, verdict, cases, offers, groups, target }: ReviewJson,
  measured: Pick<Row, 'exitCode' | 'seconds' | 'seed' | 'time' | 'date'>,
): Row {
  const visible = groups.filter(({ kind }) => kind !== 'same');
  const answer = answerOf(verdict, measured.exitCode);
  const times = visible.map(({ foundAfter }) => foundAfter);
  return {
    sample: name,
    kernel: target.base.release,
    ...measured,
    answer,
    isRight: answer === expected && (says?.test(mail) ?? true),
    verdict: /^behaviour changed: (.*)$/m.exec(mail)?.[1] ?? '',
    difference: /^1\. (.*)$/m.exec(mail)?.[1] ?? offers?.[0]?.what ?? '',
    cases,
    foundAfter: times.length === 0 ? null : Math.round(Math.min(...times) * 10) / 10,
  };
}

function answerOf(verdict: string, exitCode: number): Answer | null {
  if (exitCode === 5) return 'failing';
  if (exitCode === 1) return 'changed';
  if (exitCode === 4) return 'not-exercised';
  if (exitCode !== 0) return null;
  return verdict === 'some' ? 'partly' : 'unchanged';
}

await program.parseAsync();
