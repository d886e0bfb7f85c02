/**
 * The rules by which KVM decides a call, in KVM's order; the first one that applies decides. Order is part of the
 * contract wherever two rules of different status meet (an empty sparse set hides a bad vector).
 */
import {
  HV_GENERIC_SET_ALL,
  HV_IPI_HIGH_VECTOR,
  HV_IPI_LOW_VECTOR,
  HVCALL_SEND_IPI,
  HVCALL_SEND_IPI_EX,
  hvStatus,
} from '../src/abi/hypercall.ts';
import type { Contract } from './contract.ts';
import { type Call, xmmBankCount } from './decode.ts';

/** Whom a deciding rule delivers to: nobody, the VPs that the set names, or every VP. */
export type Reach = 'nobody' | 'named' | 'all';

export interface Rule {
  /** Part of the signature of findings, so it does not change. */
  readonly name: string;
  /** Where TLFS says it (section) and where KVM does it (function). */
  readonly source: string;
  /** Status in bits 15:0 of the result when this rule decides. */
  readonly status: number;
  readonly reach: Reach;
  applies(call: Call, contract: Contract): boolean;
}

const invalidInput = { status: hvStatus.HV_STATUS_INVALID_HYPERCALL_INPUT, reach: 'nobody' } as const;
const success = { status: hvStatus.HV_STATUS_SUCCESS } as const;

const isIpi = (call: Call): boolean => call.code === HVCALL_SEND_IPI;
const isIpiEx = (call: Call): boolean => call.code === HVCALL_SEND_IPI_EX;
const isAll = (call: Call): boolean =>
  isIpiEx(call) && call.format.low === Number(HV_GENERIC_SET_ALL) && call.format.high === 0;

export const kvmRules: readonly Rule[] = [
  {
    name: 'reserved-control-bits',
    source: 'TLFS "Hypercall Inputs"; kvm_hv_hypercall, HV_HYPERCALL_RSVD_MASK',
    ...invalidInput,
    applies: ({ reserved }) => (reserved.low | reserved.high) !== 0,
  },
  {
    name: 'unknown-call-code',
    source: 'TLFS "Common Hypercall Status Codes"; kvm_hv_hypercall, default case',
    status: hvStatus.HV_STATUS_INVALID_HYPERCALL_CODE,
    reach: 'nobody',
    applies: (call) => !isIpi(call) && !isIpiEx(call),
  },
  {
    name: 'variable-header-on-fixed-call',
    source: 'TLFS "Variable Sized Hypercall Input Headers"; kvm_hv_hypercall, case HVCALL_SEND_IPI, 40421f38f637',
    ...invalidInput,
    applies: (call) => isIpi(call) && call.variableHeader !== 0,
  },
  {
    name: 'rep-on-simple-call',
    source: 'TLFS "Hypercall Inputs"; kvm_hv_hypercall, case HVCALL_SEND_IPI(_EX), hc.rep',
    ...invalidInput,
    applies: (call) => (call.repCount | call.repStart) !== 0,
  },
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
    applies: (call) => isIpiEx(call) && call.variableHeader !== call.maskCount,
  },
  {
    name: 'empty-sparse-set',
    source: 'TLFS HV_VP_SET; kvm_hv_send_ipi, !hc->var_cnt before the vector is looked at',
    ...success,
    reach: 'nobody',
    applies: (call) => isIpiEx(call) && !isAll(call) && call.variableHeader === 0,
  },
  {
    name: 'too-many-fast-banks',
    source: 'TLFS "XMM Fast Hypercall Input", 112 bytes; kvm_hv_get_hc_data, 7321f47eada5',
    ...invalidInput,
    applies: (call) => isIpiEx(call) && !isAll(call) && call.isFast && call.variableHeader > xmmBankCount,
  },
  {
    name: 'banks-unreadable',
    source: 'TLFS "Common Hypercall Status Codes" (memory intercept); kvm_get_sparse_vp_set, 79661c3766f8',
    ...invalidInput,
    applies: (call) => isIpiEx(call) && !isAll(call) && !call.banksAreReadable,
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
    applies: isAll,
  },
  {
    name: 'deliver',
    source: 'TLFS HvCallSendSyntheticClusterIpi(Ex); kvm_hv_send_ipi_to_many, hv_is_vp_in_sparse_set',
    ...success,
    reach: 'named',
    applies: () => true,
  },
];

/** The rule that decides a call. */
export function decide(rules: readonly Rule[], call: Call, contract: Contract): Rule {
  for (const rule of rules) if (rule.applies(call, contract)) return rule;
  throw new Error(`no rule decides call code 0x${call.code.toString(16)}: the last rule must always apply`);
}
