/**
 * The rules by which KVM decides a call, in KVM's order; the first one that applies decides. Order is part of the
 * contract wherever two rules of different status meet (an empty sparse set hides a bad vector).
 */
import { HV_IPI_HIGH_VECTOR, HV_IPI_LOW_VECTOR, hvStatus, xenHypervBit } from '../../src/abi/hypercall.ts';
import { type Caller, isHyperv } from './caller.ts';
import type { Contract } from '../contract.ts';
import { type Call, isIpi, isIpiEx, namesAll, xmmBankCount } from './decode.ts';

/** Whom a deciding rule delivers to: nobody, the VPs that the set names, or every VP. */
export type Reach = 'nobody' | 'named' | 'all';

/**
 * What a deciding rule answers: a status in the result register, an exception at the instruction, a value of KVM's own
 * hypercall interface in RAX, or an exit in which the VMM answers.
 */
export type Answer =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'fault'; readonly vector: number }
  | { readonly kind: 'native'; readonly value: bigint }
  | { readonly kind: 'exit'; readonly exit: 'xen' | 'hyperv' };

export interface Rule {
  /** Part of the signature of findings, so it does not change. */
  readonly name: string;
  /** Where TLFS says it (section) and where KVM does it (function). */
  readonly source: string;
  readonly answer: Answer;
  readonly reach: Reach;
  /** Whether a KVM of that contract can come to the rule; absent where every KVM can. */
  isReachable?(contract: Contract): boolean;
  applies(call: Call, contract: Contract): boolean;
}

const status = (code: number) => ({ answer: { kind: 'status', status: code } }) as const;
const invalidInput = { ...status(hvStatus.HV_STATUS_INVALID_HYPERCALL_INPUT), reach: 'nobody' } as const;
const success = status(hvStatus.HV_STATUS_SUCCESS);
const fault = (vector: number) => ({ answer: { kind: 'fault', vector }, reach: 'nobody' }) as const;
const native = (value: bigint) => ({ answer: { kind: 'native', value }, reach: 'nobody' }) as const;
const exit = (name: 'xen' | 'hyperv') => ({ answer: { kind: 'exit', exit: name }, reach: 'nobody' }) as const;

/** Exception vectors (Intel SDM volume 3, table 6-1). */
const UD_VECTOR = 6;
const GP_VECTOR = 13;
/** KVM's own hypercalls (uapi/linux/kvm_para.h): one that does nothing here, and its errors. */
const KVM_HC_SCHED_YIELD = 11;
const KVM_ENOSYS = 1000n;
const KVM_EPERM = 1n;
/** HV_EXT_CALL_QUERY_CAPABILITIES to HV_EXT_CALL_MAX. */
export const isExtended = ({ code }: Call): boolean => code >= 0x8001 && code <= 0x8041;
const isVmcallNative = ({ nativeOpcode }: Contract): boolean => nativeOpcode[2] === 0xc1;
/** Whether CPUID is enforced and a feature is missing (hv_check_hypercall_access). */
const isDenied = ({ caller }: Call, feature: Caller['lacks'][number]): boolean =>
  caller.isEnforced && caller.lacks.includes(feature);

/** Before KVM knows whose hypercall it is. */
const entryRules: readonly Rule[] = [
  {
    name: 'other-opcode-privileged',
    source: 'TLFS "Legal Hypercall Environments"; kvm: group7_rm0 in emulate.c, VMCALL is Priv where it is emulated',
    ...fault(GP_VECTOR),
    isReachable: (contract) => !isVmcallNative(contract),
    applies: ({ caller }, contract) => caller.isOtherOpcode && !isVmcallNative(contract) && caller.cpl !== 0,
  },
  {
    name: 'other-opcode-real-mode',
    source: 'TLFS "Legal Hypercall Environments"; kvm: group7_rm3 in emulate.c, VMMCALL is Prot where it is emulated',
    ...fault(UD_VECTOR),
    isReachable: isVmcallNative,
    applies: ({ caller }, contract) => caller.isOtherOpcode && isVmcallNative(contract) && !caller.isProtected,
  },
  {
    name: 'xen-hypercall',
    source: 'TLFS says nothing of Xen; kvm_xen_hypercall, (input & 0x80000000) && kvm_hv_hypercall_enabled',
    ...exit('xen'),
    isReachable: ({ interceptsXen }) => interceptsXen,
    applies: ({ caller, rax }) => caller.isXen && !((rax.low & xenHypervBit) !== 0 && isHyperv(caller)),
  },
  {
    name: 'native-privilege',
    source: 'TLFS "Establishing the Hypercall Interface" (GUEST_OS_ID); kvm_emulate_hypercall, cpl != 0',
    ...native(-KVM_EPERM),
    applies: ({ caller }) => !isHyperv(caller) && caller.cpl !== 0,
  },
  {
    name: 'native-sched-yield',
    source: 'TLFS "Establishing the Hypercall Interface" (GUEST_OS_ID); kvm_emulate_hypercall, KVM_HC_SCHED_YIELD',
    ...native(0n),
    applies: ({ caller, rax }) => !isHyperv(caller) && rax.high === 0 && rax.low === KVM_HC_SCHED_YIELD,
  },
  {
    name: 'native-unknown',
    source: 'TLFS "Establishing the Hypercall Interface" (GUEST_OS_ID); kvm_emulate_hypercall, -KVM_ENOSYS',
    ...native(-KVM_ENOSYS),
    applies: ({ caller }) => !isHyperv(caller),
  },
];

const dispatchRules: readonly Rule[] = [
  {
    name: 'illegal-environment',
    source: 'TLFS "Legal Hypercall Environments"; kvm_hv_hypercall, get_cpl and is_protmode',
    ...fault(UD_VECTOR),
    applies: ({ caller }) => caller.cpl !== 0 || !caller.isProtected,
  },
  {
    name: 'access-denied',
    source: 'TLFS "Common Hypercall Status Codes"; hv_check_hypercall_access, d264eb3c14d0, 445caed0213a',
    ...status(hvStatus.HV_STATUS_ACCESS_DENIED),
    reach: 'nobody',
    isReachable: ({ enforcesCpuid }) => enforcesCpuid,
    applies: (call) =>
      ((isIpi(call) || isIpiEx(call)) && isDenied(call, 'cluster-ipi')) ||
      (isIpiEx(call) && isDenied(call, 'ex-masks')),
  },
  {
    name: 'reserved-control-bits',
    source: 'TLFS "Hypercall Inputs"; kvm_hv_hypercall, HV_HYPERCALL_RSVD_MASK',
    ...invalidInput,
    isReachable: ({ refusesReservedBits }) => refusesReservedBits,
    applies: ({ reserved }, { refusesReservedBits }) => refusesReservedBits && (reserved.low | reserved.high) !== 0,
  },
  {
    name: 'xmm-input-denied',
    source: 'TLFS "XMM Fast Hypercall Input"; kvm_hv_hypercall, HV_X64_HYPERCALL_XMM_INPUT_AVAILABLE, 4e62aa96d6e5',
    ...fault(UD_VECTOR),
    isReachable: ({ enforcesCpuid }) => enforcesCpuid,
    applies: (call) => isIpiEx(call) && call.isFast && isDenied(call, 'xmm-input'),
  },
  {
    name: 'extended-call-fast',
    source: 'TLFS HvExtCallQueryCapabilities; kvm_hv_hypercall, HV_EXT_CALL_QUERY_CAPABILITIES',
    ...status(hvStatus.HV_STATUS_INVALID_PARAMETER),
    reach: 'nobody',
    isReachable: ({ hasExtendedCalls }) => hasExtendedCalls,
    applies: (call, { hasExtendedCalls }) => hasExtendedCalls && isExtended(call) && call.isFast,
  },
  {
    name: 'extended-call',
    source: 'TLFS HvExtCallQueryCapabilities; kvm_hv_hypercall, hypercall_userspace_exit',
    ...exit('hyperv'),
    isReachable: ({ hasExtendedCalls }) => hasExtendedCalls,
    applies: (call, { hasExtendedCalls }) => hasExtendedCalls && isExtended(call),
  },
  {
    name: 'unknown-call-code',
    source: 'TLFS "Common Hypercall Status Codes"; kvm_hv_hypercall, default case',
    ...status(hvStatus.HV_STATUS_INVALID_HYPERCALL_CODE),
    reach: 'nobody',
    applies: (call) => !isIpi(call) && !isIpiEx(call),
  },
  {
    name: 'variable-header-on-fixed-call',
    source: 'TLFS "Variable Sized Hypercall Input Headers"; kvm_hv_hypercall, case HVCALL_SEND_IPI, 40421f38f637',
    ...invalidInput,
    isReachable: ({ readsVariableHeader }) => readsVariableHeader,
    applies: (call, { readsVariableHeader }) => readsVariableHeader && isIpi(call) && call.variableHeader !== 0,
  },
  {
    name: 'fast-ex-unknown',
    source:
      'TLFS "XMM Fast Hypercall Input"; kvm_hv_hypercall, case HVCALL_SEND_IPI_EX, fast || rep until 47d3e5cdfe60',
    ...invalidInput,
    isReachable: ({ takesFastEx }) => !takesFastEx,
    applies: (call, { takesFastEx }) => !takesFastEx && isIpiEx(call) && call.isFast,
  },
  {
    name: 'rep-on-simple-call',
    source: 'TLFS "Hypercall Inputs"; kvm_hv_hypercall, case HVCALL_SEND_IPI(_EX), hc.rep',
    ...invalidInput,
    applies: (call) => (call.repCount | call.repStart) !== 0,
  },
  {
    name: 'no-lapic',
    source: 'TLFS says nothing of it; kvm_hv_send_ipi, !lapic_in_kernel, a8de7f100bb5',
    ...invalidInput,
    isReachable: ({ refusesWithoutLapic }) => refusesWithoutLapic,
    applies: ({ caller }, { refusesWithoutLapic }) => refusesWithoutLapic && !caller.hasLapic,
  },
];

const sendRules: readonly Rule[] = [
  {
    name: 'input-unreadable',
    source:
      'TLFS "Common Hypercall Status Codes" (memory intercept); kvm_hv_send_ipi, kvm_read_guest of the fixed part',
    ...invalidInput,
    applies: (call) => !call.headIsReadable,
  },
  {
    name: 'fast-reserved-bits',
    source: 'TLFS HvCallSendSyntheticClusterIpi, TargetVtl; kvm_hv_send_ipi, hc->ingpa >> 32',
    ...invalidInput,
    applies: (call) => isIpi(call) && call.isFast && call.afterVector !== 0,
  },
  {
    name: 'bank-count-mismatch',
    source: 'TLFS HV_VP_SET; kvm_hv_send_ipi, hc->var_cnt != hweight64(valid_bank_mask), bd1ba5732bb9',
    ...invalidInput,
    isReachable: ({ readsVariableHeader }) => readsVariableHeader,
    applies: (call, { readsVariableHeader }) =>
      readsVariableHeader && isIpiEx(call) && call.variableHeader !== call.maskCount,
  },
  {
    name: 'empty-sparse-set',
    source: 'TLFS HV_VP_SET; kvm_hv_send_ipi, !hc->var_cnt before the vector is looked at',
    ...success,
    reach: 'nobody',
    applies: (call, { readsVariableHeader }) =>
      isIpiEx(call) && !namesAll(call) && (readsVariableHeader ? call.variableHeader : call.maskCount) === 0,
  },
  {
    name: 'too-many-fast-banks',
    source: 'TLFS "XMM Fast Hypercall Input", 112 bytes; kvm_hv_get_hc_data, 7321f47eada5',
    ...invalidInput,
    isReachable: ({ takesFastEx }) => takesFastEx,
    applies: (call) => isIpiEx(call) && !namesAll(call) && call.isFast && call.variableHeader > xmmBankCount,
  },
  {
    name: 'banks-unreadable',
    source: 'TLFS "Common Hypercall Status Codes" (memory intercept); kvm_get_sparse_vp_set, 79661c3766f8',
    ...invalidInput,
    applies: (call) => isIpiEx(call) && !namesAll(call) && !call.banksAreReadable,
  },
  {
    name: 'bad-vector',
    source:
      'TLFS HvCallSendSyntheticClusterIpi(Ex), 0x10..0xff; kvm_hv_send_ipi, HV_IPI_LOW_VECTOR, HV_IPI_HIGH_VECTOR',
    ...invalidInput,
    applies: ({ vector }) => vector < HV_IPI_LOW_VECTOR || vector > HV_IPI_HIGH_VECTOR,
  },
  {
    name: 'deliver-to-all',
    source: 'TLFS HV_GENERIC_SET_ALL; kvm_hv_send_ipi, all_cpus, 3244867af8c0',
    ...success,
    reach: 'all',
    applies: namesAll,
  },
  {
    name: 'deliver',
    source: 'TLFS HvCallSendSyntheticClusterIpi(Ex); kvm_hv_send_ipi_to_many, hv_is_vp_in_sparse_set',
    ...success,
    reach: 'named',
    applies: () => true,
  },
];

/** All rules in KVM's order. */
export const kvmRules: readonly Rule[] = [...entryRules, ...dispatchRules, ...sendRules];

/** The rule that decides a call. */
export function decide(rules: readonly Rule[], call: Call, contract: Contract): Rule {
  for (const rule of rules) if (rule.applies(call, contract)) return rule;
  throw new Error(`no rule decides call code 0x${call.code.toString(16)}: the last rule must always apply`);
}
