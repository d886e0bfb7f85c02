/** `npm run bench:review`: real fixes taken back, and changes that no guest sees, given to `review` as patches. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { execa } from 'execa';
import { prepareSource } from '../../src/build/source.ts';
import { reviewSamples } from './fixes.ts';
import { patchOf } from './patch-of.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What is used of `review --json`. */
interface ReviewJson {
  readonly mail: string;
  readonly took: Readonly<Record<string, number>>;
}

interface Options {
  readonly only: readonly string[];
  readonly seed: string;
  readonly time: string;
  readonly out: string;
}

const program = new Command('bench:review')
  .description('give sample patches to review; one line for each, and its text in a file')
  .option('--only <NAME...>', 'these samples', [])
  .option('--seed <TEXT>', 'seed of the cases', '1')
  .option('--time <TIME>', 'how long each review runs cases', '60s')
  .option('--out <DIR>', 'folder for the texts and the smallest cases', 'review-samples')
  .action(run);

async function run({ only, seed, time, out }: Options): Promise<void> {
  const source = await prepareSource({ install: 'auto', say: (line) => void process.stderr.write(`${line}\n`) });
  const folder = await mkdtemp(join(tmpdir(), 'hvipi-samples-'));
  let failures = 0;
  for (const sample of reviewSamples.filter(({ name }) => only.length === 0 || only.includes(name))) {
    const patch = join(folder, `${sample.name}.patch`);
    await writeFile(patch, await patchOf(sample, source.tree));
    const start = performance.now();
    const options = ['--seed', seed, '--time', time, '--out', join(out, sample.name), '--json'];
    const command = ['--import', 'tsx', 'src/cli.ts', 'review', patch, ...options];
    const result = await execa(process.execPath, command, { cwd: root, reject: false, stdin: 'ignore' });
    const seconds = ((performance.now() - start) / 1000).toFixed(0);
    const isRight = result.exitCode === (sample.isVisible ? 1 : sample.isExercised === false ? 4 : 0);
    if (!isRight) failures++;
    const json = result.stdout.startsWith('{') ? (JSON.parse(result.stdout) as ReviewJson) : null;
    const took = json === null ? '' : `, of which ${JSON.stringify(json.took)}`;
    process.stdout.write(`${isRight ? 'ok' : 'WRONG'} ${sample.name}: exit ${result.exitCode}, ${seconds} s${took}\n`);
    const mail = json?.mail ?? result.stderr;
    process.stdout.write(`${mail.replaceAll(/^/gm, '    ')}\n`);
  }
  await rm(folder, { recursive: true, force: true });
  process.exitCode = failures === 0 ? 0 : 1;
}

await program.parseAsync();
