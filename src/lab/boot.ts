/**
 * Starts the machine, from a saved state if it can, and loads the modules of the KVM under test. Opening is not
 * testing: whatever goes wrong here is no finding.
 */
import { InfrastructureError, KernelFailure, SkippedError } from '../errors.ts';
import { HandRefusal } from '../hand/hand.ts';
import type { Say } from '../system/say.ts';
import { Channel } from './channel.ts';
import type { Initramfs } from './initramfs/initramfs.ts';
import type { Kernel } from './kernel/kernels.ts';
import type { Emulator } from './emulator/emulator.ts';
import { Machine, type Origin, type StateFiles } from './emulator/machine.ts';
import type { Module } from './kernel/modules.ts';
import { dropState, makeState, stateFiles, stateFolder, useState } from './emulator/saved-state.ts';

export interface BootOptions {
  readonly emulator: Emulator;
  readonly kernel: Kernel;
  readonly cpus: 1 | 2;
  readonly initramfs: Initramfs;
  /** Modules of the KVM under test, and what they need; and their parameters, by their files. */
  readonly modules: readonly Module[];
  /** Whether these are the kernel's own, as it loads them: then its saved state has them. */
  readonly isOwnKvm: boolean;
  readonly parameters: ReadonlyMap<string, string>;
  /** What its hand must say it is. */
  readonly handVersion: string;
  /** See `Channel`. */
  readonly silenceMs: number;
  readonly say: Say;
  readonly signal?: AbortSignal | undefined;
}

export interface Booted {
  readonly machine: Machine;
  readonly channel: Channel;
  /** Why a module of KVM could not be loaded, or null. */
  readonly complaint: string | null;
  /** The parameters that the modules were given. */
  readonly parameters: string;
}

/**
 * A kernel with all of KASAN, KCOV and lockdep takes 20 s. Time in which the emulator waited for a CPU does not count: Bochs needs
 * some 15 s of one, which are minutes on a computer that others use.
 */
const bootSecondsMax = 90;
const bootTickMs = 500;

/**
 * Resolves when the modules are loaded.
 *
 * @throws InfrastructureError in one line that names the kernel, its last words and where the console's log is.
 */
export async function bootLab(options: BootOptions): Promise<Booted> {
  return (await bootFromState(options)) ?? (await bootFrom(options, boot(options, null)));
}

/** The origin of a machine that boots. */
function boot({ initramfs }: BootOptions, memory: string | null): Origin {
  return { kind: 'boot', writeInitramfs: initramfs.write, memory };
}

/** Null when there is no state to start from, and none can be made. */
async function bootFromState(options: BootOptions): Promise<Booted | null> {
  const { emulator, kernel, cpus, initramfs, modules, isOwnKvm, say, signal } = options;
  const loaded = isOwnKvm ? modules : [];
  const folder = stateFolder({ emulator, bzImage: kernel.bzImage, cpus, initramfsKey: initramfs.key, modules: loaded });
  const isThere = await useState(folder);
  try {
    if (!isThere) await makeState(folder, (files) => saveBooted(options, files));
    return await bootFrom(options, { kind: 'state', files: stateFiles(folder) });
  } catch (error) {
    if (!(error instanceof StateError) || signal?.aborted === true) throw error;
    say(`the saved state of the lab cannot be ${isThere ? 'loaded' : 'used'}, so it boots: ${error.message}`);
    await dropState(folder);
    return null;
  }
}

/** Not the kernel but the saving or loading of its state failed. */
class StateError extends Error {}

/** Boots until the hand is up, loads the kernel's own KVM if that is what is asked for, and saves that. */
async function saveBooted(options: BootOptions, files: StateFiles): Promise<void> {
  const { machine } = await start(options, boot(options, files.memory), async (started) => {
    await started.channel.hello;
    if (!options.isOwnKvm) return;
    const { complaint } = await loadModules(started, options);
    if (complaint !== null) throw new StateError(complaint);
  });
  try {
    await machine.save(files).catch(throwStateError);
  } finally {
    await machine[Symbol.asyncDispose]();
  }
}

/** Starts, and loads the modules that are not there yet. */
async function bootFrom(options: BootOptions, origin: Origin): Promise<Booted> {
  const { machine, channel, result, warning } = await start(options, origin, async (started) => {
    if (origin.kind === 'boot') refuseOther(await started.channel.hello, options.handVersion);
    else await started.machine.load().catch(throwStateError);
    const hasKvm = origin.kind === 'state' && options.isOwnKvm;
    return hasKvm ? { complaint: null, parameters: '' } : loadModules(started, options);
  });
  if (warning !== null) options.say(`${options.kernel.spec} warned while it booted: ${warning.fingerprint}`);
  return { machine, channel, ...result };
}

/** Loads the modules of the KVM under test. One that fails is told when there is no /dev/kvm then. */
async function loadModules(
  { channel, machine }: Opened,
  { modules, parameters }: BootOptions,
): Promise<Pick<Booted, 'complaint' | 'parameters'>> {
  const given = new Set<string>();
  let complaint: string | null = null;
  for (const { file, name, bytes } of modules) {
    const own = parameters.get(file) ?? '';
    for (const parameter of own.split(' ')) given.add(parameter);
    try {
      await channel.request('module', Buffer.concat([Buffer.from(`${own}\0`), bytes]));
    } catch (error) {
      if (!(error instanceof HandRefusal)) throw error;
      const words = machine.console.lastLines(shownLines).findLast((line) => line.includes(`${name}: `));
      complaint ??= `${file}: ${error.reason}${words === undefined ? '' : ` (${words})`}`;
    }
  }
  return { complaint, parameters: [...given].join(' ').trim() };
}

const shownLines = 100;

function refuseOther(version: string, wanted: string): void {
  if (version === wanted) return;
  throw new InfrastructureError(`the lab's hand is version ${version}, this is ${wanted}: delete the cache`);
}

function throwStateError(error: Error): never {
  throw new StateError(error.message);
}

interface Opened {
  readonly machine: Machine;
  readonly channel: Channel;
}

/** Starts a machine and waits for it in the given way; what fails is told with the machine's last words. */
async function start<T>(
  options: BootOptions,
  origin: Origin,
  wait: (opened: Opened) => Promise<T>,
): Promise<Opened & { readonly result: T; readonly warning: KernelFailure | null }> {
  const { emulator, kernel, cpus, silenceMs, signal } = options;
  signal?.throwIfAborted();
  const channel = new Channel(silenceMs);
  const machine = await Machine.start({ emulator, bzImage: kernel.bzImage, cpus, origin, listener: channel });
  channel.attach(machine);
  const startedAt = performance.now();
  const timer = setInterval(() => {
    if (performance.now() - startedAt - machine.starvedMs() > bootSecondsMax * 1000) channel.close(new BootTimeout());
  }, bootTickMs);
  const onAbort = (): void => channel.close(new InfrastructureError('the boot was interrupted'));
  signal?.addEventListener('abort', onAbort);
  try {
    const result = await wait({ machine, channel });
    await machine.dropInitramfs();
    return { machine, channel, result, warning: channel.takeBootWarning() };
  } catch (error) {
    if (error instanceof SkippedError || error instanceof StateError || signal?.aborted) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
    machine.console.finish();
    const words = lastWords(error as Error, machine);
    const log = await machine.keepLog();
    await machine[Symbol.asyncDispose]();
    throw new InfrastructureError(`${nameOf(kernel)} ${words}; console log: ${log}`);
  } finally {
    clearInterval(timer);
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
