/**
 * The lab: an emulated computer that boots the kernel under test and runs our agent, as an executor. Requests wait in
 * a queue that the agent answers in order; what the console reports fails them.
 */
import type { Observation } from '../program/observation.ts';
import type { Program } from '../program/program.ts';
import { decodeObservations, encodeBatch } from '../case/wire.ts';
import type { Executor, RunOptions } from '../executor/executor.ts';
import type { TargetFacts } from '../executor/facts.ts';
import { InfrastructureError } from '../errors.ts';
import type { Say } from '../system/apt.ts';
import { bootLab } from './boot.ts';
import type { Channel } from './channel.ts';
import { prepareInitramfs } from './initramfs/initramfs.ts';
import { ensureTools } from './install.ts';
import { resolveKernel } from './kernel/kernels.ts';
import type { Machine } from './emulator/machine.ts';
import { parametersOf, parseKvmOptions } from './kernel/kvm-options.ts';
import { collectModules } from './kernel/modules.ts';
import type { ExecEnd } from './protocol.ts';

export interface LabOptions {
  /** See `kernelSpecHelp`. */
  readonly kernel: string;
  /** Folder of kvm*.ko that go before the kernel's own. */
  readonly kvmModules?: string | null | undefined;
  /** Parameters of KVM's modules, like `halt_poll_ns=0 npt=0`. */
  readonly kvmOptions?: string | null | undefined;
  /** Whether missing programs and kernels may be installed. */
  readonly install: 'auto' | 'refuse';
  /** Takes one line about what is being done. */
  readonly say: Say;
  /** Ends the boot; a lab that is up is ended by disposing it. */
  readonly signal?: AbortSignal | undefined;
  /** `kvm` only where the host offers nested virtualization; default `tcg`. */
  readonly accel?: 'tcg' | 'kvm' | undefined;
  /** Emulated CPUs; default 1. With two, vCPUs on threads of their own run at the same time. */
  readonly cpus?: 1 | 2 | undefined;
  /** Seconds without an answer after which the kernel counts as hung; default 20. */
  readonly silenceSeconds?: number | undefined;
}

/** How a program in the lab ended, and what it wrote to stdout and stderr. */
export interface ExecResult extends ExecEnd {
  readonly output: Buffer;
}

const silenceSecondsDefault = 20;
/** What `readFile` reads at a time. */
const blockBytes = 4096n;

/**
 * Boots a lab; its agent is ready when the promise resolves.
 *
 * @throws UsageError for a kernel or a module folder that cannot be used, SkippedError when the kernel's KVM lacks
 * what is to be tested, InfrastructureError when something else fails before the agent is ready.
 */
export async function openLab(options: LabOptions): Promise<Lab> {
  const tools = await ensureTools(options);
  const kernel = await resolveKernel(options.kernel, options);
  const { accel = 'tcg' } = options;
  const modules = await collectModules(kernel.moduleDir, options.kvmModules ?? null, tools.busybox);
  const { machine, channel, facts, bootSeconds } = await bootLab({
    qemu: tools['qemu-system-x86_64'],
    kernel,
    accel,
    cpus: options.cpus ?? 1,
    initramfs: await prepareInitramfs(tools.busybox, modules.channel),
    // QEMU emulates SVM and no VMX.
    modules: modules.kvm.filter(({ name }) => accel === 'kvm' || name !== 'kvm_intel'),
    parameters: parametersOf(parseKvmOptions(options.kvmOptions ?? ''), modules.kvm),
    silenceMs: (options.silenceSeconds ?? silenceSecondsDefault) * 1000,
    say: options.say,
    signal: options.signal,
  });
  return new Lab(machine, channel, facts, bootSeconds);
}

/**
 * KVM walks all vCPUs of a VM whenever one of them is made or a LAPIC is set. A VM of 1,024 takes some 8 s of an emulated
 * CPU to make, and 2 s to reset when all of them have got something; this is twice that.
 */
const patienceMsPerPair = 0.02;

/** Milliseconds that a batch may take longer than one of small machines. */
function patienceMsFor(programs: readonly Program[]): number {
  return programs.reduce((total, { vcpus }) => total + patienceMsPerPair * vcpus.length ** 2, 0);
}

export class Lab implements Executor {
  readonly facts: TargetFacts;
  /** From the start of QEMU until the agent was ready, the making of a saved state included. */
  readonly bootSeconds: number;
  readonly #machine: Machine;
  readonly #channel: Channel;

  constructor(machine: Machine, channel: Channel, facts: TargetFacts, bootSeconds: number) {
    this.#machine = machine;
    this.#channel = channel;
    this.facts = facts;
    this.bootSeconds = bootSeconds;
  }

  /**
   * Runs programs in the lab. Several calls may be under way; they are answered in order.
   *
   * @throws KernelFailure when the console reports one, or the agent falls silent; InfrastructureError when QEMU or the
   * agent fails; SkippedError when the kernel lacks what a program needs.
   */
  async run(programs: readonly Program[], options: RunOptions): Promise<Observation[]> {
    if (programs.length === 0) return [];
    const bytes = await this.#channel.request('run', encodeBatch(programs, options), {
      patienceMs: patienceMsFor(programs),
    });
    return decodeObservations(bytes, programs);
  }

  /**
   * Runs a program of the lab (busybox and Node are there), without input. It may take as long as it likes.
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
    const end = await this.#channel.request('exec', Buffer.from(JSON.stringify(argv)), { onOutput: collect });
    return { ...(JSON.parse(end.toString()) as ExecEnd), output: Buffer.concat(pieces) };
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
  async readFile(path: string, offset: bigint, bytes: number): Promise<Buffer> {
    const start = Number(offset % blockBytes);
    const blocks = Math.ceil((start + bytes) / Number(blockBytes));
    const dd = `dd if=${path} bs=${blockBytes} skip=${offset / blockBytes} count=${blocks} 2>/dev/null`;
    const { output } = await this.exec(['sh', '-c', dd]);
    return output.subarray(start, start + bytes);
  }

  /** Seconds of CPU that the lab has had, all of QEMU's threads together. */
  get cpuSeconds(): number {
    return this.#machine.cpuMs() / 1000;
  }

  /** Pulls the plug and removes everything that the lab had on disk. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel.close(new InfrastructureError('the lab was closed'));
    await this.#machine[Symbol.asyncDispose]();
  }
}
