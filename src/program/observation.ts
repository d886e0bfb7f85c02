/**
 * An observation: everything that an executor saw while it ran a program. It holds facts and no judgement. Only what
 * changed is stored, so it is small and still complete.
 */

/** A register that the call changed and that is not the result register; RAX only where the call raised an exception. */
export interface RegisterChange {
  /**
   * Its name in a disassembly (rcx, rflags). `xmm0.lo` and `xmm0.hi` are the halves of XMM0, `ymm0.2` and `ymm0.3` the upper
   * quarters of YMM0; `code` is no register but the bytes of the hypercall instruction.
   */
  readonly register: string;
  readonly before: bigint;
  readonly after: bigint;
}

/** An exception that the call raised in the sender. */
export interface GuestException {
  readonly vector: number;
  /** The pushed RIP minus the address of the hypercall instruction. */
  readonly ripOffset: number;
}

/** Vectors in the order in which the handlers of a vCPU ran, for each vCPU. */
export type Arrivals = readonly (readonly number[])[];

/** A 32-bit word of the LAPIC page (byte offset) that differs from the machine's set-up, and its value. */
export type LapicChanges = ReadonlyMap<number, number>;

/**
 * How a call left the guest on its way: to the VMM as a Xen or a Hyper-V hypercall; `no-code`: it was not made, because
 * there is no hypercall instruction in the page through which it was to go.
 */
export const callExits = ['xen', 'hyperv', 'no-code'] as const;
export type CallExit = (typeof callExits)[number];

/** The state of a vCPU when a fence found something left. */
export interface VcpuState {
  /** KVM_MP_STATE_*. */
  readonly mpState: number;
  /** struct kvm_regs: 18 registers in its order. */
  readonly registers: readonly bigint[];
  readonly lapic: LapicChanges;
}

/** How a vCPU waited in a concurrent case; `stuck`: it did not come to the fence at all. */
export const waits = ['asleep', 'spinning', 'stuck'] as const;

/**
 * A vCPU that had something pending at a fence, before anybody did anything about it. All senders were done by then; it
 * was asleep in KVM_RUN without having been woken, or had gone round for long enough to be kicked out of the guest.
 */
export interface Leftover {
  readonly vcpu: number;
  readonly wait: (typeof waits)[number];
  readonly states: readonly VcpuState[];
}

export interface StepObservation {
  /**
   * RAX after a call, null after an exception; how many MSRs KVM took (0 or 1) for an MSR write; null for other steps.
   */
  readonly result: bigint | null;
  readonly exception: GuestException | null;
  readonly exit: CallExit | null;
  readonly registers: readonly RegisterChange[];
  readonly arrivals: Arrivals;
  /** PPR when each of these handlers began; empty for a vCPU that does not log it. */
  readonly priorities: Arrivals;
  /** Of the `run` step of a concurrent case, who had something pending; empty for other steps. */
  readonly leftovers: readonly Leftover[];
  /** LAPIC of each vCPU after the step; null where only the end of the program was looked at. */
  readonly lapics: readonly LapicChanges[] | null;
}

/** Guest memory outside of the rings that a program left different from what it was. */
export interface MemoryChange {
  readonly gpa: bigint;
  readonly before: Buffer;
  readonly after: Buffer;
}

export interface Observation {
  /** HV_X64_MSR_VP_INDEX read back from each vCPU after the machine was set up. */
  readonly vpIndexes: readonly number[];
  /** One for each step that ran; fewer than the program has when it was stopped. */
  readonly steps: readonly StepObservation[];
  /** LAPIC of each vCPU after the last step; empty when the program was stopped. */
  readonly lapics: readonly LapicChanges[];
  /** LAPIC of each vCPU of a second VM beside it, after the last step; null where there is none, or none any more. */
  readonly neighbour: readonly LapicChanges[] | null;
  /**
   * In a batch that is not run exactly, changes that nobody knows the author of show at every program. A program in
   * which KVM may write memory (hypercall page, instruction) has its own changes.
   */
  readonly memory: readonly MemoryChange[];
  /** Why the program ended early (an exit that the guest program does not make), or null. */
  readonly stopped: string | null;
}
