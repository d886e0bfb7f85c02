/**
 * The `kvm` contract: named points in which one KVM differs from another although calls flow the same way. Each point
 * has its source. Rules read the point and never ask for a release.
 */
import { bankCountMax, vpsPerBank } from '../src/abi/hypercall.ts';
import type { TargetFacts } from '../src/executor/facts.ts';

/** What the rules may know of the KVM under test. */
export interface Contract {
  /** The host may write VP indexes below this. */
  readonly vpIndexLimit: number;
  /** Banks of a slow call that are read at most; more cannot hold a legal VP index. */
  readonly bankReadMax: number;
  /** Whether a vCPU needs Hyper-V in its CPUID for its calls to be Hyper-V's; else GUEST_OS_ID alone decides. */
  readonly asksCpuid: boolean;
  /** Whether the VMM can have KVM keep a guest to the features in its CPUID. */
  readonly enforcesCpuid: boolean;
  /** Whether reserved bits of the control word are refused. */
  readonly refusesReservedBits: boolean;
  /** Whether the variable header says how many banks there are, and is refused on calls that have none; else the mask says so. */
  readonly readsVariableHeader: boolean;
  /** Whether 0x0015 can be made fast. */
  readonly takesFastEx: boolean;
  /** Whether calls are refused in a VM without LAPICs in the kernel; else KVM goes on without them. */
  readonly refusesWithoutLapic: boolean;
  /** Whether call codes 0x8001 to 0x8041 are extended hypercalls, which the VMM answers. */
  readonly hasExtendedCalls: boolean;
  /** Whether a VM can have Xen hypercalls intercepted at all. */
  readonly interceptsXen: boolean;
  /** Whether KVM_SET_LAPIC computes PPR before it has counted what is in service. */
  readonly restoresPprEarly: boolean;
  /** Bytes of the CPU vendor's hypercall instruction. */
  readonly nativeOpcode: readonly number[];
  /** Whether a guest writes TPR without an exit, so that PPR in KVM's page may be of a while ago. */
  readonly hasLazyPpr: boolean;
}

/** One point in which KVMs differ, with the value for the KVM under test. */
export interface ContractPoint<Name extends keyof Contract = keyof Contract> {
  readonly name: Name;
  readonly source: string;
  valueFor(facts: TargetFacts): Contract[Name];
}

/** TLFS "Hypervisor Feature Discovery", privilege bit 52: bit 20 of EBX. */
const HV_ENABLE_EXTENDED_HYPERCALLS = 1 << 20;

/** `0f 01 c1` and `0f 01 d9`. */
const VMCALL = [0x0f, 0x01, 0xc1] as const;
const VMMCALL = [0x0f, 0x01, 0xd9] as const;

export const contractPoints: { readonly [Name in keyof Contract]: ContractPoint<Name> } = {
  vpIndexLimit: {
    name: 'vpIndexLimit',
    source:
      'KVM_MAX_VCPUS: 1024 in 6.1, CONFIG_KVM_MAX_NR_VCPUS since 6.6 (4096 in Debian); kvm_hv_set_msr, 9170200ec0eb',
    valueFor: (facts) => facts.kvmMaxVcpus,
  },
  bankReadMax: {
    name: 'bankReadMax',
    source:
      'KVM_HV_MAX_SPARSE_VCPU_SET_BITS: 16 in 6.1, 64 with 4096 vCPUs; kvm_get_sparse_vp_set, since 5.17 (79661c3766f8), before that all',
    valueFor: ({ kvmMaxVcpus, kernelRelease }) =>
      isAtLeast(kernelRelease, 5, 17) ? Math.min(bankCountMax, Math.ceil(kvmMaxVcpus / vpsPerBank)) : bankCountMax,
  },
  asksCpuid: {
    name: 'asksCpuid',
    source: 'kvm_hv_hypercall_enabled, hyperv_enabled, since 5.12 (8f014550dfb1)',
    valueFor: ({ kernelRelease }) => isAtLeast(kernelRelease, 5, 12),
  },
  enforcesCpuid: {
    name: 'enforcesCpuid',
    source: 'KVM_CAP_HYPERV_ENFORCE_CPUID, kvm_hv_set_enforce_cpuid, since 5.14 (644f706719f0)',
    valueFor: ({ enforcesCpuid, kernelRelease }) => enforcesCpuid ?? isAtLeast(kernelRelease, 5, 14),
  },
  refusesReservedBits: {
    name: 'refusesReservedBits',
    source: 'kvm_hv_hypercall, HV_HYPERCALL_RSVD_MASK, since 5.17 (413af6601f76)',
    valueFor: ({ kernelRelease }) => isAtLeast(kernelRelease, 5, 17),
  },
  readsVariableHeader: {
    name: 'readsVariableHeader',
    source: 'kvm_hv_hypercall and kvm_hv_send_ipi, hc->var_cnt, since 5.17 (bd1ba5732bb9, 40421f38f637)',
    valueFor: ({ kernelRelease }) => isAtLeast(kernelRelease, 5, 17),
  },
  takesFastEx: {
    name: 'takesFastEx',
    source: 'kvm_hv_hypercall, is_xmm_fast_hypercall, since 5.18 (47d3e5cdfe60)',
    valueFor: ({ kernelRelease }) => isAtLeast(kernelRelease, 5, 18),
  },
  refusesWithoutLapic: {
    name: 'refusesWithoutLapic',
    source:
      'kvm_hv_send_ipi, !lapic_in_kernel, since 6.14 (a8de7f100bb5) and by stable in 6.1.129 and 6.12.16; not in 5.10 of Debian',
    valueFor: ({ kernelRelease }) => isAtLeast(kernelRelease, 5, 11),
  },
  hasExtendedCalls: {
    name: 'hasExtendedCalls',
    source: 'HV_ENABLE_EXTENDED_HYPERCALLS in kvm_get_hv_cpuid and kvm_hv_hypercall, since 6.3 (1a9df3262a63)',
    // A KVM that was built for a stock kernel may have it, or lack it, whatever `uname -r` says.
    valueFor: ({ hypervPrivileges, kernelRelease }) =>
      hypervPrivileges === undefined
        ? isAtLeast(kernelRelease, 6, 3)
        : (hypervPrivileges & HV_ENABLE_EXTENDED_HYPERCALLS) !== 0,
  },
  interceptsXen: {
    name: 'interceptsXen',
    source: 'CONFIG_KVM_XEN: off in Debian 6.1, on in 6.12; kvm_xen_hypercall_enabled is false without it',
    valueFor: ({ xen }) => xen,
  },
  restoresPprEarly: {
    name: 'restoresPprEarly',
    source:
      'kvm_apic_set_state: apic_update_ppr stands before kvm_apic_update_apicv, which sets isr_count; 7.3 at least',
    valueFor: ({ restoresPpr }) => restoresPpr !== true,
  },
  nativeOpcode: {
    name: 'nativeOpcode',
    source: 'svm_patch_hypercall and vmx_patch_hypercall',
    valueFor: ({ cpu }) => (cpu === 'GenuineIntel' ? VMCALL : VMMCALL),
  },
  hasLazyPpr: {
    name: 'hasLazyPpr',
    source:
      'TPR shadow: vmx_update_msr_bitmap_x2apic lets a guest write TPR by MSR, and CR8 does not exit (vmx.c). Without virtual-interrupt ' +
      'delivery the CPU leaves PPR alone (SDM volume 3, "PPR Virtualization"); KVM computes it when it looks for an interrupt ' +
      '(kvm_apic_has_interrupt) and when it is read (kvm_lapic_reg_read). On SVM such a write exits, or TPR is written ' +
      'back after the next exit (sync_cr8_to_lapic), and apic_set_tpr computes PPR',
    valueFor: ({ cpu }) => cpu === 'GenuineIntel',
  },
};

/** The contract of the KVM that the facts describe. */
export function contractFor(facts: TargetFacts): Contract {
  let contract = contracts.get(facts);
  if (contract === undefined) {
    const points = Object.values(contractPoints).map((point) => [point.name, point.valueFor(facts)] as const);
    contract = Object.fromEntries(points) as unknown as Contract;
    contracts.set(facts, contract);
  }
  return contract;
}

/** One for each target: every prediction asks. */
const contracts = new WeakMap<TargetFacts, Contract>();

/** Whether `uname -r` names that release or a later one; a text without numbers counts as the latest. */
function isAtLeast(kernelRelease: string, major: number, minor: number): boolean {
  const match = /^(\d+)\.(\d+)/.exec(kernelRelease);
  if (match === null) return true;
  const [, first, second] = match.map(Number);
  return first! > major || (first === major && second! >= minor);
}
