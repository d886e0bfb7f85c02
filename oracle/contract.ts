/**
 * The `kvm` contract: the numbers in which one KVM differs from another although the flow of the calls is the same.
 * Each is a named entry with its source; rules and targets read the entry and never ask for a release. (The rest of
 * the contract: a 64-bit caller at CPL 0 with Hyper-V CPUID, GUEST_OS_ID set, CPUID not enforced, LAPIC in the kernel.)
 */
import { bankCountMax, vpsPerBank } from '../src/abi/hypercall.ts';
import type { TargetFacts } from '../src/executor/executor.ts';

/** What the rules may know of the KVM under test. */
export interface Contract {
  /** The host may write VP indexes below this. */
  readonly vpIndexLimit: number;
  /** Banks of a slow call that are read at most; more cannot hold a legal VP index. */
  readonly bankReadMax: number;
}

/** One point in which KVMs differ, with the value for the KVM under test. */
export interface ContractPoint {
  readonly name: keyof Contract;
  readonly source: string;
  valueFor(facts: TargetFacts): number;
}

export const contractPoints: readonly ContractPoint[] = [
  {
    name: 'vpIndexLimit',
    source:
      'KVM_MAX_VCPUS: 1024 in 6.1, CONFIG_KVM_MAX_NR_VCPUS since 6.6 (4096 in Debian); kvm_hv_set_msr, 9170200ec0eb',
    valueFor: (facts) => facts.kvmMaxVcpus,
  },
  {
    name: 'bankReadMax',
    source: 'KVM_HV_MAX_SPARSE_VCPU_SET_BITS: 16 in 6.1, 64 with 4096 vCPUs; kvm_get_sparse_vp_set, 79661c3766f8',
    valueFor: (facts) => Math.min(bankCountMax, Math.ceil(facts.kvmMaxVcpus / vpsPerBank)),
  },
];

/** The contract of the KVM that the facts describe. */
export function contractFor(facts: TargetFacts): Contract {
  const contract = { vpIndexLimit: 0, bankReadMax: 0 };
  for (const point of contractPoints) contract[point.name] = point.valueFor(facts);
  return contract;
}
