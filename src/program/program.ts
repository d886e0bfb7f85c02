/**
 * A program: a case encoded into what the hardware sees. Registers are the bytes that the guest loads, so nothing
 * converts them between here and guest memory. The oracle reads programs, never cases.
 */
import type { Machine, VcpuSetup } from '../case/case.ts';
import { type Environment, hasFlags, opens, plainEnvironment, traps } from '../case/steps/environment.ts';
import type { ChangeStep, StepOf } from '../case/steps/kinds.ts';

/**
 * Bytes of a call's registers: RCX at 0, RDX at 8, R8 at 16, RAX at 24, XMM0..XMM5 from 32. The guest's input ring has
 * the same entries.
 */
export const callRegisterBytes = 128;
/** Bytes of the registers of a call in any other environment: RBX, RSI and RDI follow. */
export const environmentRegisterBytes = 152;
export const registerOffset = { rcx: 0, rdx: 8, r8: 16, rax: 24, xmm: 32, rbx: 128, rsi: 136, rdi: 144 } as const;

/** Bytes that are put into guest memory before a call. */
export interface MemoryWrite {
  readonly gpa: bigint;
  readonly bytes: Buffer;
}

/** CF, PF, AF, ZF, SF and OF set, interrupts off. */
const plainRflags = 0x8d7n;
/**
 * CF, PF, ZF, SF and OF set, IOPL 3 so that `out` works at every CPL, interrupts off. AF is clear because the SDM leaves
 * open what `or` does to it.
 */
export const environmentRflags = 0x38c7n;
/** Flags that a caller may have besides (SDM volume 1, "EFLAGS Register"). */
const RFLAGS_TF = 0x100n;
export const RFLAGS_IF = 0x200n;

/** RFLAGS before a call. */
export function rflagsOf(environment: Environment): bigint {
  if (environment === plainEnvironment) return plainRflags;
  return environmentRflags | (opens(environment) ? RFLAGS_IF : 0n) | (traps(environment) ? RFLAGS_TF : 0n);
}

/** Bytes of the hypercall instruction. */
export const hypercallBytes = 3;

/**
 * Whether the guest program makes such a call itself, from its ring: in the modes to which `iretq` leads, with an instruction
 * that KVM leaves alone. It runs then even where the page through which the call is to go holds no instruction.
 */
export function isRingEnvironment(environment: Environment): boolean {
  return hasFlags(environment);
}

/** One hypercall by one vCPU. */
export interface ProgramCall {
  readonly kind: 'call';
  readonly sender: number;
  readonly environment: Environment;
  /** `callRegisterBytes` bytes in the plain environment, `environmentRegisterBytes` in others. */
  readonly registers: Buffer;
  /** The writes stay in memory for later steps. */
  readonly writes: readonly MemoryWrite[];
}

/** A step that is no call is done as the case says it. */
type ProgramChanges = {
  readonly [Kind in ChangeStep['do']]: Readonly<Omit<StepOf<Kind>, 'do' | 'note'>> & { readonly kind: Kind };
};
export type ProgramChange = ProgramChanges[keyof ProgramChanges];
export type ProgramStep = ProgramCall | ProgramChange;
export type ProgramOf<Kind extends ProgramStep['kind']> = Extract<ProgramStep, { readonly kind: Kind }>;

export interface Program {
  readonly machine: Omit<Machine, 'vcpus'>;
  readonly vcpus: readonly VcpuSetup[];
  readonly steps: readonly ProgramStep[];
}
