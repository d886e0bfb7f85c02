/**
 * An observation: everything that an executor saw while it ran a program. It holds facts and no judgement. Quiet
 * things are left out by saying what *changed*, so that an observation is small and still complete.
 */

const generalRegisters = 'rcx rdx r8 rbx rsi rdi rbp r9 r10 r11 r12 r13 r14 r15 rsp rflags'.split(' ');
/** Registers that are compared although no call changes them, by the names of a disassembly. */
export const registerNames: readonly string[] = [
  ...generalRegisters,
  ...Array.from({ length: 16 }, (_, xmm) => [`xmm${xmm}.lo`, `xmm${xmm}.hi`]).flat(),
];

/** A general register or XMM half that the call changed although it is not the result register. */
export interface RegisterChange {
  /** One of `registerNames`. */
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

export interface StepObservation {
  /** RAX after a call; null for a `run` step. */
  readonly result: bigint | null;
  readonly exception: GuestException | null;
  readonly registers: readonly RegisterChange[];
  readonly arrivals: Arrivals;
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
  /** In a batch that is not run exactly, changes by any of its programs show at every one. */
  readonly memory: readonly MemoryChange[];
  /** Why the program ended early (an exit that the guest program does not make), or null. */
  readonly stopped: string | null;
}
