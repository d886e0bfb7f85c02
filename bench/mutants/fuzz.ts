/** Runs our own campaign on a mutant, through the command line as a person would. */
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { LabCpu } from '../../src/lab/lab-cpu.ts';
import { type Measurement, measurementOf } from './row.ts';
import { temporaryFolder } from '../../src/system/temporary-folder.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Booting, shrinking and confirming come on top of the budget; a hang costs a boot and 20 s each time. */
const timeBesidesMs = 600_000;

export interface FuzzOptions {
  /** What `--cpu` says; the default when it is not given. */
  readonly cpu?: LabCpu;
  /** What `--kernel` says; the default when it is not given. */
  readonly kernel?: string;
  readonly kvmModules: string;
  readonly seed: string;
  readonly budgetSeconds: number;
}

/** @throws Error when the campaign did not come to a result. */
export async function fuzz(options: FuzzOptions): Promise<Measurement> {
  return measurementOf(await fuzzJson(options, ['--no-corpus']));
}

/** What `fuzz --json` says. @throws Error when the campaign did not come to a result. */
export async function fuzzJson(
  { cpu, kernel, kvmModules, seed, budgetSeconds }: FuzzOptions,
  more: readonly string[],
): Promise<unknown> {
  await using out = await temporaryFolder('mutant');
  const cpuOption = cpu === undefined ? [] : ['--cpu', cpu];
  const kernelOption = kernel === undefined ? [] : ['--kernel', kernel];
  const options = [
    '--json',
    ...more,
    ...cpuOption,
    ...kernelOption,
    '--seed',
    seed,
    '--time',
    `${budgetSeconds}s`,
    '--out',
    out.path,
  ];
  const result = await execa(
    process.execPath,
    ['--import', 'tsx', 'src/cli.ts', 'fuzz', ...options, '--kvm-modules', kvmModules],
    { cwd: root, stdin: 'ignore', reject: false, timeout: budgetSeconds * 1000 + timeBesidesMs },
  );
  if (!result.stdout.trimStart().startsWith('{')) {
    throw new Error(result.stderr.trim().split('\n').at(-1) ?? result.shortMessage ?? 'no result');
  }
  return JSON.parse(result.stdout);
}
