/**
 * `npm run bench:export -- FOLDER=MODULES...`: the smallest cases that `review` or `fuzz` has saved in a folder, each
 * exported in both forms, compiled with every warning, and run on the KVM that they were found on and on the kernel as
 * it is.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepareSource, type Source } from '../../src/build/source.ts';
import { loadCases, type LoadedCase } from '../../src/commands/case-files.ts';
import { buildSelftestLibrary, compileExport } from '../../src/export/compile.ts';
import { runInLab } from '../../src/export/verify.ts';
import { exportCase, exportForms } from '../../src/export/write.ts';
import { type Lab, openLab } from '../../src/lab/lab.ts';

const say = (line: string): void => void process.stderr.write(`export: ${line}\n`);
const openOn = (kvmModules: string | null): Promise<Lab> =>
  openLab({ kernel: 'debian:6.12', kvmModules, install: 'auto', say });

/** One line for each form; whether both are as they must be. */
async function measure({ name, value }: LoadedCase, good: Lab, broken: Lab, source: Source): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'hvipi-export-'));
  let isRight = true;
  for (const form of exportForms) {
    const compiled = await compileExport(exportCase(value, good.facts, form), folder, source);
    const onGood = await runInLab(good, compiled.path);
    const onBroken = await runInLab(broken, compiled.path);
    const isOk = onGood.verdict === 'pass' && onBroken.verdict === 'fail' && compiled.warnings === '';
    isRight &&= isOk;
    const warnings = compiled.warnings === '' ? 'no warnings' : compiled.warnings;
    const said = onBroken.output.split('\n').find((line) => line.includes('step')) ?? onBroken.output.slice(0, 100);
    process.stdout.write(
      `${isOk ? 'ok' : 'WRONG'} ${name} ${form}: ${warnings}, good ${onGood.verdict}, broken ${onBroken.verdict}: ${said.trim()}\n`,
    );
    if (onGood.verdict !== 'pass') process.stdout.write(`    on the good kernel: ${onGood.output}\n`);
  }
  await rm(folder, { recursive: true, force: true });
  return isRight;
}

const source = await prepareSource({ install: 'auto', say });
await buildSelftestLibrary(source);
// On a busy computer a boot may take too long once.
await using good = await openOn(null).catch(() => openOn(null));
let [right, all] = [0, 0];
for (const pair of process.argv.slice(2)) {
  const [folder = '', modules = ''] = pair.split('=');
  await using broken = await openOn(modules).catch(() => openOn(modules));
  const names = (await readdir(folder)).filter((name) => /^new-.*\.json$/.test(name));
  for (const loaded of loadCases(names.map((name) => join(folder, name)))) {
    all++;
    if (await measure(loaded, good, broken, source)) right++;
  }
}
process.stdout.write(`${right} of ${all} findings\n`);
process.exitCode = right === all ? 0 : 1;
