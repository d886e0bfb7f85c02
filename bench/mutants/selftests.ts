/**
 * The kernel's own selftests as an alternative: built static from the same source, and handed to the lab piece by
 * piece through its shell, which needs nothing of the lab but that it runs programs.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Source } from '../../src/build/make.ts';
import { KernelFailure } from '../../src/errors.ts';
import { runTool } from '../../src/system/run-tool.ts';
import { cacheRoot, makeFolderAtOnce } from '../../src/system/cache.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { type Measurement, nothingFound } from './row.ts';

const selftests = ['hyperv_ipi', 'hyperv_features', 'hyperv_tlb_flush'] as const;
/** kselftest's exit codes; a test that skips itself has found nothing. */
const passed = 0;
const skipped = 4;
/** busybox's `timeout` ends what it stops with 128 + SIGTERM. */
const timedOut = 143;

/** Builds the tests once; the folder that has them. @throws InfrastructureError when they do not compile. */
export async function buildSelftests({ tree, release }: Source): Promise<string> {
  const folder = join(cacheRoot(), 'mutants', `selftests-${release}`);
  if (existsSync(folder)) return folder;
  await runTool('nice', ['-n', '19', 'make', '-s', `-j${cpus().length}`, 'headers'], { cwd: tree });
  await makeFolderAtOnce(folder, async (draft) => {
    const kvm = join(tree, 'tools/testing/selftests/kvm');
    for (const name of selftests) {
      const program = join(kvm, 'x86_64', name);
      // On the command line it replaces what the Makefile adds to, so that is repeated here.
      const flags = ['-s', `-j${cpus().length}`, 'LDFLAGS=-static -pthread -no-pie'];
      await runTool('nice', ['-n', '19', 'make', ...flags, program], { cwd: kvm });
      await runTool('strip', [program, '-o', join(draft, name)]);
    }
  });
  return folder;
}

/** Runs the tests in order until one fails. */
export async function runSelftests(lab: Lab, folder: string, budgetSeconds: number): Promise<Measurement> {
  const start = performance.now();
  const measured = (found: { class: string; signature: string } | null): Measurement => ({
    ...nothingFound,
    ...found,
    found: found !== null,
    kernel: lab.facts.kernelRelease,
    // They do not count their calls.
    hypercalls: 0,
    seconds: Math.round(performance.now() - start) / 1000,
  });
  try {
    for (const name of selftests) {
      await lab.writeFile(`/tmp/${name}`, await readFile(join(folder, name)));
      const { exitCode, output } = await lab.exec(['timeout', `${budgetSeconds}`, `/tmp/${name}`]);
      if (exitCode === timedOut) return measured({ class: 'hang', signature: `${name}: no end` });
      if (exitCode !== passed && exitCode !== skipped) {
        const text = output.toString();
        const said = /^ {2}(\S.*)$/m.exec(text.slice(text.indexOf('Assertion')))?.[1] ?? `exit ${exitCode}`;
        return measured({ class: 'divergence', signature: `${name}: ${said}`.slice(0, 200) });
      }
    }
  } catch (error) {
    if (!(error instanceof KernelFailure)) throw error;
    return measured({ class: error.kind, signature: error.fingerprint });
  }
  return measured(null);
}
