/**
 * Who makes a call and how it arrives at KVM: processor mode and CPL, the way through the hypercall page, and what the
 * vCPU and its VM are allowed. Source: TLFS "Legal Hypercall Environments"; kvm_emulate_hypercall, kvm_hv_hypercall.
 */
import { xenHypervBit } from '../../src/abi/hypercall.ts';
import type { VcpuSetup } from '../../src/case/case.ts';
import { type Environment, plainEnvironment, isRealMode } from '../../src/case/steps/environment.ts';
import type { Program, ProgramCall } from '../../src/program/program.ts';
import { callRegisterBytes, registerOffset } from '../../src/program/program.ts';
import type { Contract } from '../contract.ts';
import type { ModelMemory } from '../state/memory.ts';

/** What the rules may know of the caller besides the call itself. */
export interface Caller {
  /** EFER.LMA and CS.L: parameters are 64-bit registers (is_64_bit_hypercall). */
  readonly is64Bit: boolean;
  /** CR0.PE (is_protmode). */
  readonly isProtected: boolean;
  readonly cpl: number;
  /** Whether the instruction is the one of the other vendor. */
  readonly isOtherOpcode: boolean;
  /** Address of the hypercall page through which the call goes; null for a bare instruction. */
  readonly page: bigint | null;
  /** Hyper-V in the caller's CPUID, or a KVM that does not ask for it. */
  readonly hasHypervCpuid: boolean;
  /** HV_X64_MSR_GUEST_OS_ID is not 0. */
  readonly hasGuestOsId: boolean;
  /** Xen hypercalls are intercepted (kvm_xen_hypercall_enabled). */
  readonly isXen: boolean;
  /** The VM has LAPICs in the kernel (lapic_in_kernel). */
  readonly hasLapic: boolean;
  /** KVM_CAP_HYPERV_ENFORCE_CPUID. */
  readonly isEnforced: boolean;
  /** Features that are missing in the caller's CPUID. */
  readonly lacks: VcpuSetup['lacks'];
}

/** A caller at its plainest: 64-bit, CPL 0, everything there. */
export const plainCaller: Caller = {
  is64Bit: true,
  isProtected: true,
  cpl: 0,
  isOtherOpcode: false,
  page: null,
  hasHypervCpuid: true,
  hasGuestOsId: true,
  isXen: false,
  hasLapic: true,
  isEnforced: false,
  lacks: [],
};

/** The caller of a call by a vCPU of the program, when GUEST_OS_ID has that value. */
export function callerOf(
  program: Program,
  sender: number,
  { mode, cpl, page, opcode }: Environment,
  guestOsId: bigint,
  contract: Contract,
): Caller {
  const { lacks, enforced } = program.vcpus[sender]!;
  const { irqchip, xen } = program.machine;
  return {
    is64Bit: mode === 'long',
    isProtected: !isRealMode(mode),
    cpl,
    isOtherOpcode: opcode === 'other',
    page,
    hasHypervCpuid: !contract.asksCpuid || !lacks.includes('hyperv'),
    hasGuestOsId: guestOsId !== 0n,
    isXen: xen && contract.interceptsXen,
    hasLapic: irqchip !== 'none',
    isEnforced: enforced && contract.enforcesCpuid,
    lacks,
  };
}

/** Whether KVM takes the call for a Hyper-V one (kvm_hv_hypercall_enabled). */
export function isHyperv({ hasHypervCpuid, hasGuestOsId }: Caller): boolean {
  return hasHypervCpuid && hasGuestOsId;
}

/** `or eax, 0x80000000`: KVM's page begins with it where Xen hypercalls are intercepted (kvm_hv_set_msr_pw). */
const orEax31 = Buffer.of(0x0d, 0x00, 0x00, 0x00, 0x80);
const RET = 0xc3;

/** What KVM writes into the hypercall page: VMCALL or VMMCALL and RET (kvm_hv_set_msr_pw, patch_hypercall). */
export function pageCode(contract: Contract, isXen: boolean): Buffer {
  const call = Buffer.of(...contract.nativeOpcode, RET);
  return isXen ? Buffer.concat([orEax31, call]) : call;
}

/** A call as it is when its instruction executes. */
export interface CallAtInstruction {
  /** Laid out as those of a 64-bit caller: `callRegisterBytes` bytes. */
  readonly registers: Buffer;
  /** RAX after `or eax, 0x80000000`, which also changed flags; null where there was none. */
  readonly orResult: bigint | null;
}

/** The call at its instruction; null when the page through which it goes holds none. */
export function atInstruction(
  { environment, registers }: ProgramCall,
  memory: ModelMemory,
  contract: Contract,
): CallAtInstruction | null {
  if (environment === plainEnvironment) return { registers, orResult: null };
  const { mode, page } = environment;
  let orResult: bigint | null = null;
  if (page !== null) {
    if (startsWith(memory, page, pageCode(contract, true))) {
      orResult = BigInt((registers.readUInt32LE(registerOffset.rax) | xenHypervBit) >>> 0);
    } else if (!startsWith(memory, page, pageCode(contract, false))) return null;
  }
  return { registers: asLong(registers, orResult !== null, mode === 'long'), orResult };
}

function startsWith(memory: ModelMemory, page: bigint, code: Buffer): boolean {
  const head = memory.read(page, code.length);
  return head !== null && code.equals(head.bytes.subarray(head.offset, head.offset + code.length));
}

/** Registers of any caller as a 64-bit one would have them: the input value is EDX:EAX, then EBX:ECX and EDI:ESI. */
function asLong(registers: Buffer, isOred: boolean, is64Bit: boolean): Buffer {
  const long = Buffer.allocUnsafe(callRegisterBytes);
  registers.copy(long, 0, 0, callRegisterBytes);
  if (isOred) long.writeInt32LE(long.readInt32LE(registerOffset.rax) | xenHypervBit, registerOffset.rax);
  if (isOred || !is64Bit) long.writeUInt32LE(0, registerOffset.rax + 4);
  if (is64Bit) return long;
  putPair(long, 'rcx', long, 'rdx', 'rax');
  putPair(long, 'rdx', registers, 'rbx', 'rcx');
  putPair(long, 'r8', registers, 'rdi', 'rsi');
  return long;
}

type Register = keyof typeof registerOffset;

/** Puts the low halves of two registers together. */
function putPair(long: Buffer, to: Register, from: Buffer, high: Register, low: Register): void {
  const offset = registerOffset[to];
  long.writeUInt32LE(from.readUInt32LE(registerOffset[low]), offset);
  long.writeUInt32LE(from.readUInt32LE(registerOffset[high]), offset + 4);
}
