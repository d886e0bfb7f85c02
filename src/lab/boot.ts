/** Starts the machine and waits for its agent. Opening is not testing: whatever goes wrong here is no finding. */
import { InfrastructureError, KernelFailure, SkippedError, type TargetFacts } from '../executor/executor.ts';
import type { Say } from './apt.ts';
import type { Channel } from './channel.ts';
import type { Kernel } from './kernels.ts';
import { Machine } from './machine.ts';

export interface BootOptions {
  readonly qemu: string;
  readonly kernel: Kernel;
  readonly accel: 'tcg' | 'kvm';
  readonly writeInitramfs: (path: string) => Promise<void>;
  readonly channel: Channel;
  readonly say: Say;
  readonly signal?: AbortSignal | undefined;
}

export interface Booted {
  readonly machine: Machine;
  readonly facts: TargetFacts;
  readonly bootSeconds: number;
}

/** A kernel with all of KASAN, KCOV and lockdep takes 20 s on a busy computer. */
const bootSecondsMax = 90;

/**
 * Boots; resolves when the agent is ready.
 *
 * @throws InfrastructureError in one line that names the kernel, its last words and where the console's log is;
 * SkippedError when the agent found that the kernel lacks what is to be tested.
 */
export async function bootMachine(options: BootOptions): Promise<Booted> {
  const { qemu, kernel, accel, writeInitramfs, channel, signal } = options;
  signal?.throwIfAborted();
  const machine = await Machine.start({ qemu, bzImage: kernel.bzImage, accel, writeInitramfs, listener: channel });
  channel.attach(machine);
  const timer = setTimeout(() => channel.close(new BootTimeout()), bootSecondsMax * 1000);
  const onAbort = (): void => channel.close(new InfrastructureError('the boot was interrupted'));
  signal?.addEventListener('abort', onAbort);
  try {
    const facts = await channel.ready;
    const bootSeconds = (performance.now() - machine.startedAt) / 1000;
    await machine.dropInitramfs();
    const warning = channel.takeBootWarning();
    if (warning !== null) options.say(`${kernel.spec} warned while it booted: ${warning.fingerprint}`);
    return { machine, facts, bootSeconds };
  } catch (error) {
    if (error instanceof SkippedError || signal?.aborted) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
    machine.console.finish();
    const words = lastWords(error as Error, machine);
    const log = await machine.keepLog();
    await machine[Symbol.asyncDispose]();
    throw new InfrastructureError(`${nameOf(kernel)} ${words}; console log: ${log}`);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

class BootTimeout extends Error {}

function nameOf({ spec, release }: Kernel): string {
  return release === null || release === '' ? spec : `${spec} (${release})`;
}

/** What to tell about a boot that failed. */
function lastWords(error: Error, machine: Machine): string {
  const lines = machine.console.lastLines(1000);
  const panic = lines.findLast((line) => line.startsWith('Kernel panic'));
  if (error instanceof KernelFailure || panic !== undefined) {
    return `did not boot: ${panic ?? error.message}`;
  }
  if (!(error instanceof BootTimeout))
    return lines.length === 0 ? `printed nothing: ${error.message}` : `failed: ${error.message}`;
  const said = lines.at(-1);
  const suffix = said === undefined ? 'and printed nothing' : `; its last line: ${said}`;
  return `was not up after ${bootSecondsMax} s ${suffix}`.replace(' ;', ';');
}
