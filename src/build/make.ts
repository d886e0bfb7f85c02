/** Runs `make` in a kernel source. What the compiler says about a failure is kept word for word. */
import { cpus } from 'node:os';
import { execa } from 'execa';
import { InfrastructureError } from '../errors.ts';
import { UsageError } from '../errors.ts';

export interface Source {
  /** Top of the kernel source. */
  readonly tree: string;
  /** `uname -r` of the kernel that the modules are for. */
  readonly release: string;
}

/** The source does not build; `log` has the compiler's own lines. Exit code 2. */
export class BuildError extends UsageError {
  override name = 'BuildError';
  readonly log: string;

  constructor(message: string, log: string) {
    super(message);
    this.log = log;
  }
}

const logLinesMax = 40;

/**
 * Builds kvm.ko, kvm-amd.ko and kvm-intel.ko in place: about 40 s, and about 3 s after a change of one file.
 *
 * @throws BuildError
 */
export async function makeKvm(source: Source, signal?: AbortSignal): Promise<void> {
  await makeGoals(source, ['M=arch/x86/kvm', 'modules'], signal);
}

/**
 * At a low priority: a lab that runs beside it must not fall silent.
 *
 * @throws BuildError, InfrastructureError when make cannot be run.
 */
export async function makeGoals(
  { tree, release }: Source,
  goals: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  // Without one, the tree works it out.
  const named = release === '' ? [] : [`KERNELRELEASE=${release}`];
  const args = ['-n', '5', 'make', '-s', `-j${cpus().length}`, ...named, ...goals];
  const result = await execa('nice', args, {
    cwd: tree,
    env: { LC_ALL: 'C' },
    stdin: 'ignore',
    reject: false,
    all: true,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  if (!result.failed) return;
  if (signal?.aborted) throw new InfrastructureError('the build was interrupted');
  if (result.exitCode === undefined) throw new InfrastructureError(`make: ${result.shortMessage}`);
  const lines = result.all.split('\n').filter((line) => line.trim() !== '');
  const first = lines.findIndex((line) => /(?:error|Error|ERROR)\b/.test(line));
  const shown = lines.slice(Math.max(0, first - 2)).slice(0, logLinesMax);
  throw new BuildError(
    `make ${goals.join(' ')} failed in ${tree}: ${lines[first] ?? `exit ${result.exitCode}`}`,
    shown.join('\n'),
  );
}
