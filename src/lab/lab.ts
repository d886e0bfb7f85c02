/**
 * The lab: an emulated computer that boots the kernel under test and starts our hand, as an executor. Requests wait in a queue
 * that the hand answers in order; what the console reports fails them.
 */
import type { Observation } from '../program/observation.ts';
import type { Program } from '../program/program.ts';
import type { Executor, RunOptions } from '../executor/executor.ts';
import type { TargetFacts } from '../executor/facts.ts';
import { KvmExecutor } from '../executor/kvm-executor.ts';
import { InfrastructureError, SkippedError } from '../errors.ts';
import { bootLab } from './boot.ts';
import type { Channel } from './channel.ts';
import { prepareInitramfs } from './initramfs/initramfs.ts';
import { emulatorFacts, entersInStiShadow } from './emulator/faults.ts';
import type { Machine } from './emulator/machine.ts';
import { otherModule } from './lab-cpu.ts';
import { parametersOf, parseKvmOptions } from './kernel/kvm-options.ts';
import { labPartsOf, type LabPartsOptions } from './lab-parts.ts';
import { bringCpusOnline, LabHand, readFile, readPiece } from './lab-hand.ts';

/** `signal` ends the boot; a lab that is up is ended by disposing it. */
export interface LabOptions extends LabPartsOptions {
  /** Parameters of KVM's modules, like `halt_poll_ns=0 npt=0`. */
  readonly kvmOptions?: string | null | undefined;
  /** Emulated CPUs; default 1. With two, vCPUs on threads of their own run at the same time. */
  readonly cpus?: 1 | 2 | undefined;
  /** Seconds without an answer after which the kernel counts as hung; default 20. */
  readonly silenceSeconds?: number | undefined;
  /** Whether what KVM offers before anything has run is read (`facts.offer`). */
  readonly readsOffer?: boolean | undefined;
  /** Whether programs besides the hand are to be run in it: then busybox is there. */
  readonly hasPrograms?: boolean | undefined;
}

/** How a program in the lab ended (128 + number for a signal, as shells have it), and what it wrote to stdout and stderr. */
export interface ExecResult {
  readonly exitCode: number;
  readonly output: Buffer;
}

const silenceSecondsDefault = 20;

/**
 * Boots a lab; its KVM is open when the promise resolves.
 *
 * @throws UsageError for a kernel or a module folder that cannot be used, SkippedError when the kernel's KVM lacks
 * what is to be tested, InfrastructureError when something else fails before.
 */
export async function openLab(options: LabOptions): Promise<Lab> {
  const { kernel, emulator, modules, busybox, hand } = await labPartsOf(options);
  const startedAt = performance.now();
  const { machine, channel, complaint, parameters } = await bootLab({
    emulator,
    kernel,
    cpus: options.cpus ?? 1,
    initramfs: await prepareInitramfs({
      hand: hand.path,
      busybox: options.hasPrograms === true ? busybox : null,
      modules: modules.channel,
    }),
    modules: modules.kvm.filter(({ name }) => name !== otherModule[options.cpu ?? 'amd']),
    isOwnKvm: (options.kvmModules ?? null) === null && (options.kvmOptions ?? '') === '',
    parameters: parametersOf(parseKvmOptions(options.kvmOptions ?? ''), modules.kvm),
    handVersion: hand.version,
    silenceMs: (options.silenceSeconds ?? silenceSecondsDefault) * 1000,
    say: options.say,
    signal: options.signal,
  });
  const labHand = new LabHand(channel);
  try {
    const executor = await KvmExecutor.open(labHand, 'lab', {
      parameters,
      emulator: emulatorFacts(emulator, { 'sti-before-vmrun': entersInStiShadow(modules.kvm) }),
      readsOffer: options.readsOffer,
      // QEMU's emulation does not get it right where two CPUs run code that is patched.
      holdsSpareVms: (options.cpus ?? 1) > 1,
    });
    await bringCpusOnline(channel);
    return new Lab(machine, channel, executor, (performance.now() - startedAt) / 1000);
  } catch (error) {
    channel.close(new InfrastructureError('the lab was closed'));
    const hasNoKvm = error instanceof SkippedError && error.message.startsWith('/dev/kvm: ');
    const log = hasNoKvm ? await machine.keepLog() : null;
    await machine[Symbol.asyncDispose]();
    if (log === null) throw error;
    const why = complaint ?? 'the kernel has no KVM for this CPU, and no module was given';
    throw new InfrastructureError(`${kernel.spec}: no /dev/kvm: ${why}; console log: ${log}`);
  }
}

export class Lab implements Executor {
  readonly facts: TargetFacts;
  /** From the start of the emulator until the hand was ready, the making of a saved state included. */
  readonly bootSeconds: number;
  readonly #machine: Machine;
  readonly #channel: Channel;
  readonly #executor: KvmExecutor;

  constructor(machine: Machine, channel: Channel, executor: KvmExecutor, bootSeconds: number) {
    this.#machine = machine;
    this.#channel = channel;
    this.#executor = executor;
    this.facts = executor.facts;
    this.bootSeconds = bootSeconds;
  }

  /**
   * Runs programs in the lab. Several calls may be under way; they are answered in order.
   *
   * @throws KernelFailure when the console reports one, or the hand falls silent; InfrastructureError when the emulator or
   * the hand fails; SkippedError when the kernel lacks what a program needs.
   */
  async run(programs: readonly Program[], options: RunOptions): Promise<Observation[]> {
    if (programs.length === 0) return [];
    return this.#executor.run(programs, options);
  }

  /**
   * Runs a program of a lab that has programs (`hasPrograms`: busybox), without input. It may take as long as it likes.
   *
   * @param onOutput gets the output as it comes.
   * @throws as `run` does.
   */
  async exec(argv: readonly string[], onOutput: (bytes: Buffer) => void = () => undefined): Promise<ExecResult> {
    const pieces: Buffer[] = [];
    const collect = (bytes: Buffer): void => {
      pieces.push(bytes);
      onOutput(bytes);
    };
    const words = Buffer.from(argv.map((word) => `${word}\0`).join(''));
    const end = await this.#channel.request('exec', words, { onOutput: collect });
    return { exitCode: end[0]!, output: Buffer.concat(pieces) };
  }

  /**
   * What a shell command prints.
   *
   * @throws Error with the output when it fails.
   */
  async shellOutput(command: string): Promise<string> {
    const { exitCode, output } = await this.exec(['sh', '-c', command]);
    if (exitCode !== 0) throw new Error(`"${command}" in the lab ended with ${exitCode}: ${output.toString()}`);
    return output.toString();
  }

  /** A piece of a file; shorter at the file's end, and empty where it cannot be read. */
  readPiece(path: string, offset: bigint, bytes: number): Promise<Buffer> {
    return readPiece(this.#channel, path, offset, bytes);
  }

  /** The text of a file in the lab, or null when it cannot be read. */
  readFile(path: string): Promise<string | null> {
    return readFile(this.#channel, path);
  }

  /** Writes an executable file in the lab, in a folder that exists. */
  async writeFile(path: string, bytes: Buffer): Promise<void> {
    await this.#channel.request('writeFile', Buffer.concat([Buffer.from(`${path}\0`), bytes]));
  }

  /** Seconds of CPU that the lab has had, all of the emulator's threads together. */
  get cpuSeconds(): number {
    return this.#machine.cpuMs() / 1000;
  }

  /** Pulls the plug and removes everything that the lab had on disk. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel.close(new InfrastructureError('the lab was closed'));
    await this.#machine[Symbol.asyncDispose]();
  }
}
