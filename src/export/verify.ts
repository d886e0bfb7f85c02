/** Runs an exported program in a lab, to see that it says of a kernel what hvipi says of it. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { KernelFailure } from '../errors.ts';
import type { Lab } from '../lab/lab.ts';

export type ProgramVerdict = 'pass' | 'fail' | 'skip' | 'error' | 'hang' | 'kernel failure';

export interface ProgramRun {
  readonly verdict: ProgramVerdict;
  readonly output: string;
}

/** The exit codes of both forms: a selftest's failed assertion ends it with 254 (test_assert), ksft's skip is 4. */
const verdicts: Readonly<Record<number, ProgramVerdict>> = {
  0: 'pass',
  1: 'fail',
  4: 'skip',
  254: 'fail',
  /** busybox's `timeout` ends what it stops with 128 + SIGTERM. */
  143: 'hang',
};
const secondsMax = 30;
/** What the selftests' library prints that is not about the test; the lab has no addr2line for its backtraces. */
const libraryNoise = /^Random seed: |addr2line: not found$/;

/** @throws InfrastructureError when the lab fails. */
export async function runInLab(lab: Lab, program: string): Promise<ProgramRun> {
  const path = `/tmp/${basename(program)}`;
  try {
    await lab.writeFile(path, await readFile(program));
    const { exitCode, output } = await lab.exec(['timeout', `${secondsMax}`, path]);
    await lab.exec(['rm', '-f', path]);
    const lines = output.toString().split('\n');
    const said = lines.filter((line) => !libraryNoise.test(line)).join('\n');
    return { verdict: verdicts[exitCode] ?? 'error', output: said.trim() };
  } catch (error) {
    if (!(error instanceof KernelFailure)) throw error;
    return { verdict: 'kernel failure', output: error.fingerprint };
  }
}
