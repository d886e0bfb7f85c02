/**
 * `npm run bench:bisect`: a git history of 20 commits of Debian's KVM, of which one breaks it and one does not compile,
 * given to `git bisect run` with our helper.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { applyEdit } from '../../src/system/edit.ts';
import { prepareSource } from '../../src/build/source.ts';
import { reviewSamples } from '../review/samples.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const say = (line: string): void => void process.stderr.write(`bisect: ${line}\n`);
const commits = 20;
/** Numbers of commits, from 1. */
const bad = 13;
const broken = 10;
const sampleName = 'zero-banks-to-all';
/** What of the source the history has: the rest is as in the prepared one. */
const parts = ['Makefile', 'arch/x86/kvm', 'virt/kvm'];

const source = await prepareSource({ install: true, say });
const tree = await mkdtemp(join(tmpdir(), 'hvipi-bisect-'));
const git = (...args: string[]) =>
  execa('git', ['-C', tree, '-c', 'user.name=A', '-c', 'user.email=a@example.org', ...args]);

async function makeHistory(): Promise<void> {
  await execa(
    'rsync',
    ['-rlpR', '--exclude=*.o', '--exclude=*.ko', '--exclude=*.cmd', '--exclude=*.mod*', ...parts, tree],
    { cwd: source.tree },
  );
  await git('init', '-q');
  const hyperv = join(tree, 'arch/x86/kvm/hyperv.c');
  const sample = reviewSamples.find(({ name }) => name === sampleName)!;
  for (let number = 1; number <= commits; number++) {
    const text = await readFile(hyperv, 'utf8');
    if (number === bad) await writeFile(hyperv, applyEdit(text, sample.edits[0]!, sampleName));
    else if (number === broken) await writeFile(hyperv, `${text}\nthis does not compile\n`);
    else if (number === broken + 1) await writeFile(hyperv, text.replace('\nthis does not compile\n', ''));
    else await writeFile(hyperv, `${text}/* ${number} */\n`);
    await git('add', '-A');
    await git('commit', '-q', '-m', number === bad ? 'the bad commit' : `commit ${number}`);
  }
}

try {
  await makeHistory();
  const start = performance.now();
  await git('bisect', 'start', 'HEAD', `HEAD~${commits - 1}`);
  const helper = [
    process.execPath,
    '--import',
    join(root, 'node_modules/tsx/dist/esm/index.mjs'),
    join(root, 'src/cli.ts'),
  ];
  const file = join(root, 'corpus/send-ipi-ex-all-no-banks.json');
  const { all } = await execa('git', ['-C', tree, 'bisect', 'run', ...helper, 'bisect', file, '--tree', tree], {
    all: true,
    reject: false,
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  process.stdout.write(`${all}\n`);
  const isRight = /is the first bad commit[^]*the bad commit/.test(all);
  process.stdout.write(`${isRight ? 'ok' : 'WRONG'}: ${commits} commits in ${seconds} s\n`);
  process.exitCode = isRight ? 0 : 1;
} finally {
  await rm(tree, { recursive: true, force: true });
}
