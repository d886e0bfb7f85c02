/** What runs programs. An executor reports facts; it never judges them. */
import type { Observation } from '../case/observation.ts';
import type { Program } from '../case/program.ts';

/** What the model must know about the KVM under test, read from it. */
export interface TargetFacts {
  /** `lab`, `host` or `model`. */
  readonly target: string;
  /** `uname -r` of the kernel whose KVM runs the programs. */
  readonly kernelRelease: string;
  /** CPU vendor string of CPUID leaf 0. */
  readonly cpu: string;
  /** KVM_CAP_MAX_VCPUS: KVM_MAX_VCPUS of the kernel's configuration; VP indexes are below it. */
  readonly kvmMaxVcpus: number;
  readonly irqchips: readonly string[];
  /** Whether Xen hypercalls can be intercepted (KVM_CAP_XEN_HVM with KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL). */
  readonly xen: boolean;
  /** Parameters that KVM's modules were asked to have, as the kernel has them now: `halt_poll_ns=0 npt=N`. */
  readonly kvmOptions: string;
}

export interface RunOptions {
  /**
   * True: a fresh VM for every program, LAPICs read after every step, memory compared after every program.
   * False: pooled VMs, LAPICs read after the last step, memory compared after the batch.
   */
  readonly exact: boolean;
}

export interface Executor extends AsyncDisposable {
  readonly facts: TargetFacts;
  /** Seconds that the kernel under test took to boot; absent where none was booted. */
  readonly bootSeconds?: number;
  /** How many batches it works on at the same time; 1 where absent. */
  readonly lanes?: number;
  /**
   * Runs programs in order; as many observations as programs, unless the last of them was stopped: what stops one program
   * is likely to stop the next one, and that takes seconds each time.
   */
  run(programs: readonly Program[], options: RunOptions): Promise<Observation[]>;
}

/** The kernel under test failed. */
export class KernelFailure extends Error {
  override name = 'KernelFailure';
  readonly kind: 'oops' | 'warning' | 'hang';
  /** Names the failure across boots: the first line and the top frames, without addresses. */
  readonly fingerprint: string;
  /** The part of the console that shows it. */
  readonly console: string;

  constructor(kind: KernelFailure['kind'], fingerprint: string, console: string) {
    super(`kernel ${kind}: ${fingerprint}`);
    this.kind = kind;
    this.fingerprint = fingerprint;
    this.console = console;
  }
}

/** Something that we need failed: QEMU, boot, the agent, the disk. Exit code 3. */
export class InfrastructureError extends Error {
  override name = 'InfrastructureError';
}

/** The environment lacks something that is named; nothing was tested. Exit code 4. */
export class SkippedError extends Error {
  override name = 'SkippedError';
}
