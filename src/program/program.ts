/**
 * A program: a case encoded into what the hardware sees. Registers are kept as the bytes that the guest loads, so that
 * they go from here through the channel into guest memory without another conversion. The oracle reads programs,
 * never cases.
 */
import type { ActStep, CallStep, Machine, VcpuSetup } from '../case/case.ts';
import type { apicChanges, caseMsrs } from '../case/limits.ts';

/**
 * Bytes of a call's registers: RCX at 0, RDX at 8, R8 at 16, RAX at 24, XMM0..XMM5 from 32. The guest's input ring has
 * the same entries.
 */
export const callRegisterBytes = 128;
/** Bytes of the registers of a call that is given its entry: RBX, RSI and RDI follow. */
export const entryRegisterBytes = 152;
export const registerOffset = { rcx: 0, rdx: 8, r8: 16, rax: 24, xmm: 32, rbx: 128, rsi: 136, rdi: 144 } as const;

/** Bytes that are put into guest memory before a call. */
export interface MemoryWrite {
  readonly gpa: bigint;
  readonly bytes: Buffer;
}

/** How a call is made where it is not a bare native instruction in 64-bit mode at CPL 0. */
export type CallEntry = Readonly<Pick<CallStep, 'mode' | 'cpl' | 'page' | 'opcode'>>;
export const plainEntry: CallEntry = { mode: 'long', cpl: 0, page: null, opcode: 'native' };

/** One hypercall by one vCPU. */
export interface ProgramCall {
  readonly kind: 'call';
  readonly sender: number;
  /** Null for the plain entry of a call whose answer does not leave the guest. */
  readonly entry: CallEntry | null;
  /** `callRegisterBytes` bytes, or `entryRegisterBytes` with an entry. */
  readonly registers: Buffer;
  /** The writes stay in memory for later steps. */
  readonly writes: readonly MemoryWrite[];
}

/** Parked vCPUs take what is pending, one vCPU after the other in order. */
export interface ProgramRun {
  readonly kind: 'run';
}

/** A parked vCPU does something as a receiver. */
export interface ProgramAct extends Readonly<Omit<ActStep, 'do' | 'note'>> {
  readonly kind: 'act';
}

/** The host writes an MSR (KVM_SET_MSRS). */
export interface ProgramMsr {
  readonly kind: 'msr';
  readonly vcpu: number;
  readonly msr: (typeof caseMsrs)[number];
  readonly value: bigint;
}

/** The host changes whether a local APIC is enabled (IA32_APIC_BASE, SPIV). */
export interface ProgramApic {
  readonly kind: 'apic';
  readonly vcpu: number;
  readonly apic: (typeof apicChanges)[number];
}

/** A vCPU gets INIT, sent as an MSI. */
export interface ProgramInit {
  readonly kind: 'init';
  readonly vcpu: number;
}

export type ProgramStep = ProgramCall | ProgramRun | ProgramAct | ProgramMsr | ProgramApic | ProgramInit;

export interface Program {
  readonly machine: Omit<Machine, 'vcpus'>;
  readonly vcpus: readonly VcpuSetup[];
  readonly steps: readonly ProgramStep[];
}

/** RAX that the harness, as the VMM, answers a call with that leaves the guest (KVM_EXIT_XEN, KVM_EXIT_HYPERV). */
export const vmmResult = 0x5a;

/**
 * RFLAGS before a call that is given its entry: CF, PF, ZF, SF and OF set, IOPL 3 so that `out` works at every CPL,
 * interrupts off. AF is clear because the SDM leaves open what `or` does to it.
 */
export const entryFlags = 0x38c7n;
