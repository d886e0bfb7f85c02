/**
 * The MSRs that change who may call and who is meant, written by the host (KVM_SET_MSRS). Ordered rules, as for calls:
 * the first one that applies to a write decides. Source: TLFS "Establishing the Hypercall Interface", "Virtual
 * Processor Indices"; kvm_hv_set_msr_pw, kvm_hv_set_msr.
 */
import { HV_X64_MSR_HYPERCALL_ENABLE } from '../src/abi/hyperv.ts';
import { isSint } from '../src/case/limits.ts';
import { ramEnd } from '../src/case/memory.ts';
import type { ProgramOf } from '../src/program/program.ts';
import type { Contract } from './contract.ts';

/** What a write may depend on. */
export interface MsrState {
  readonly guestOsId: bigint;
  /** Of each vCPU, whether it has a SynIC. */
  readonly synic: readonly boolean[];
  readonly contract: Contract;
}

/** What a write does: nothing (`none`), and otherwise what the name says. */
export type MsrEffect = 'none' | 'guest-os-id' | 'page' | 'no-page' | 'vp-index' | 'sint';

export interface MsrRule {
  readonly name: string;
  readonly source: string;
  /** Whether KVM takes the value: KVM_SET_MSRS says 1, else 0. */
  readonly taken: boolean;
  readonly effect: MsrEffect;
  applies(write: ProgramOf<'write-msr'>, state: MsrState): boolean;
}

/** Address of the page that a value of HV_X64_MSR_HYPERCALL names. */
export function pageAddress(value: bigint): bigint {
  return value & ~0xfffn & 0xffff_ffff_ffff_ffffn;
}

const isEnable = (value: bigint): boolean => (value & HV_X64_MSR_HYPERCALL_ENABLE) !== 0n;

export const msrRules: readonly MsrRule[] = [
  {
    name: 'guest-os-id-written',
    source: 'TLFS "Reporting the Guest OS Identity"; kvm_hv_set_msr_pw, HV_X64_MSR_GUEST_OS_ID; VM-wide',
    taken: true,
    effect: 'guest-os-id',
    applies: ({ msr }) => msr === 'guest-os-id',
  },
  {
    name: 'page-without-guest-os-id',
    source:
      'TLFS "Establishing the Hypercall Interface": stays off while GUEST_OS_ID is 0; kvm_hv_set_msr_pw, HYPERCALL',
    taken: true,
    effect: 'none',
    applies: ({ msr }, { guestOsId }) => msr === 'hypercall' && guestOsId === 0n,
  },
  {
    name: 'page-disabled',
    source: 'TLFS "Establishing the Hypercall Interface"; kvm_hv_set_msr_pw: the code stays in memory',
    taken: true,
    effect: 'no-page',
    applies: ({ msr, value }) => msr === 'hypercall' && !isEnable(value),
  },
  {
    name: 'page-not-writable',
    source:
      'TLFS "Establishing the Hypercall Interface", #GP outside of the GPA space; kvm_hv_set_msr_pw, kvm_vcpu_write_guest fails',
    taken: false,
    effect: 'none',
    applies: ({ msr, value }) => msr === 'hypercall' && pageAddress(value) >= ramEnd,
  },
  {
    name: 'page-written',
    source: 'TLFS "Establishing the Hypercall Interface"; kvm_hv_set_msr_pw writes the instruction into guest memory',
    taken: true,
    effect: 'page',
    applies: ({ msr }) => msr === 'hypercall',
  },
  {
    name: 'sint-refused',
    source: 'TLFS "SINT Registers"; kvm_hv_set_msr, synic_set_msr: without a SynIC the host writes 0 alone',
    taken: false,
    effect: 'none',
    applies: ({ msr, value, vcpu }, { synic }) => isSint(msr) && value !== 0n && !synic[vcpu]!,
  },
  {
    name: 'sint-written',
    source: 'TLFS "SINT Registers"; kvm_hv_set_msr, synic_set_sint: from the host any vector is taken',
    taken: true,
    effect: 'sint',
    applies: ({ msr }) => isSint(msr),
  },
  {
    name: 'vp-index-refused',
    source: 'TLFS "Virtual Processor Indices"; kvm_hv_set_msr, new_vp_index >= KVM_MAX_VCPUS, 9170200ec0eb',
    taken: false,
    effect: 'none',
    applies: ({ value }, { contract }) => vpIndexOf(value) >= contract.vpIndexLimit,
  },
  {
    name: 'vp-index-written',
    source: 'TLFS "Virtual Processor Indices"; kvm_hv_set_msr, (u32)data',
    taken: true,
    effect: 'vp-index',
    applies: () => true,
  },
];

/** The rule that decides a write. */
export function decideMsr(write: ProgramOf<'write-msr'>, state: MsrState): MsrRule {
  return msrRules.find((rule) => rule.applies(write, state))!;
}

/** The VP index that a written value means: 32 bits of it. */
export function vpIndexOf(value: bigint): number {
  return Number(value & 0xffff_ffffn);
}
