/**
 * A program: a case encoded into what the hardware sees. Registers are kept as the bytes that the guest loads, so that
 * they go from here through the channel into guest memory without another conversion. The oracle reads programs,
 * never cases.
 */
import type { VcpuSetup } from './case.ts';

/**
 * Bytes of a call's registers: RCX at 0, RDX at 8, R8 at 16, zero at 24, XMM0..XMM5 from 32. The guest's input ring
 * has the same entries.
 */
export const callRegisterBytes = 128;
export const registerOffset = { rcx: 0, rdx: 8, r8: 16, xmm: 32 } as const;

/** Bytes that are put into guest memory before a call. */
export interface MemoryWrite {
  readonly gpa: bigint;
  readonly bytes: Buffer;
}

/** One hypercall by one vCPU. */
export interface ProgramCall {
  readonly kind: 'call';
  readonly sender: number;
  /** `callRegisterBytes` bytes. */
  readonly registers: Buffer;
  /** The writes stay in memory for later steps. */
  readonly writes: readonly MemoryWrite[];
}

/** Parked vCPUs take what is pending, one vCPU after the other in order. */
export interface ProgramRun {
  readonly kind: 'run';
}

export type ProgramStep = ProgramCall | ProgramRun;

export interface Program {
  readonly vcpus: readonly VcpuSetup[];
  readonly steps: readonly ProgramStep[];
}
