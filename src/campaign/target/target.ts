/**
 * Where cases run: reads `--target lab|host|ssh:[USER@]HOST|model[:MUTANT]` into a way to open an executor. Opening
 * again gives a fresh one; that is how a crashed lab is replaced. Executors are imported only when opened, because the
 * model needs neither a hand nor QEMU.
 */
import type { Executor } from '../../executor/executor.ts';
import { mutants } from '../../model/mutants.ts';
import { UsageError } from '../../errors.ts';
import { labArguments } from '../../lab/lab-arguments.ts';
import type { LabOptions } from '../../lab/lab.ts';
import { parseDestination } from '../../remote/destination.ts';

/** What of a lab's options the command line gives. */
type LabPart = 'cpu' | 'bochs' | 'kernel' | 'kvmModules' | 'kvmOptions' | 'install' | 'readsOffer' | 'say';

/** The options of the command line that say where cases run. */
export interface TargetOptions extends Pick<LabOptions, LabPart> {
  readonly target: string;
}

export interface Target {
  readonly name: string;
  /** Arguments of the command line that lead to the same target. */
  readonly replayArguments: readonly string[];
  /** The signal ends the opening; an executor that is open is ended by disposing it. */
  open(signal: AbortSignal): Promise<Executor>;
}

/**
 * Reads `--target`; opens nothing.
 *
 * @throws UsageError when there is no such target or mutant.
 */
export function parseTarget(options: TargetOptions): Target {
  const [kind, mutant] = splitOnce(options.target);
  if (kind === 'model') return modelTarget(mutant);
  if (kind === 'ssh') return sshTarget(mutant);
  if (mutant !== undefined) throw new UsageError(`--target ${options.target}: only model takes a mutant`);
  if (kind === 'lab') return labTarget(options);
  if (kind === 'host') return hostTarget();
  throw new UsageError(`--target ${options.target}: there are lab, host, ssh:HOST, model and model:MUTANT`);
}

/** The target with `jobs` executors that share the work. What is found does not depend on how many there are. */
export function withJobs(target: Target, jobs: number): Target {
  if (jobs === 1) return target;
  const open = async (signal: AbortSignal): Promise<Executor> => {
    const { ExecutorPool } = await import('../../executor/executor-pool.ts');
    return ExecutorPool.open(jobs, () => target.open(signal));
  };
  return { ...target, open };
}

function modelTarget(mutant: string | undefined): Target {
  if (mutant !== undefined && !mutants.some(({ name }) => name === mutant)) {
    const names = mutants.map(({ name }) => name).join(', ');
    throw new UsageError(`--target model:${mutant}: no such mutant; there are ${names}`);
  }
  const name = mutant === undefined ? 'model' : `model:${mutant}`;
  const open = async (): Promise<Executor> => {
    const { openModelExecutor } = await import('../../model/model-executor.ts');
    return openModelExecutor(mutant);
  };
  return { name, replayArguments: ['--target', name], open };
}

function labTarget(options: TargetOptions): Target {
  const open = async (signal: AbortSignal): Promise<Executor> => {
    const { openTwoLabs } = await import('../../lab/two-labs.ts');
    return openTwoLabs({ ...options, signal });
  };
  return { name: 'lab', replayArguments: labArguments(options), open };
}

function hostTarget(): Target {
  const open = async (): Promise<Executor> => {
    const { openHost } = await import('../../executor/host.ts');
    return openHost();
  };
  return { name: 'host', replayArguments: ['--target', 'host'], open };
}

function sshTarget(text: string | undefined): Target {
  const destination = parseDestination(text);
  const name = `ssh:${destination}`;
  const open = async (): Promise<Executor> => {
    const { openSsh } = await import('../../remote/open-ssh.ts');
    return openSsh(destination);
  };
  return { name, replayArguments: ['--target', name], open };
}

function splitOnce(text: string): [string, string | undefined] {
  const colon = text.indexOf(':');
  return colon === -1 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
}
