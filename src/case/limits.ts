/**
 * Limits of a case, and the words of its fields. They are apart from the schema, so that who needs a word need not
 * load zod.
 */
import { bankCountMax, vpsPerBank } from '../abi/hypercall.ts';

export const caseLimits = {
  vcpus: 1024,
  steps: 64,
  vpIndex: 2 ** 32 - 1,
  vpNumber: bankCountMax * vpsPerBank,
  /** KVM_MAX_VCPU_IDS - 1 where KVM_MAX_VCPUS is 1024, as it is at least. Ids of vCPUs are APIC IDs too. */
  vcpuId: 4095,
  /** vCPUs that have a thread of their own: those that halt or spin, and all of a concurrent case. */
  threads: 8,
  vector: 256,
} as const;

/**
 * Call codes that KVM knows besides the two IPI calls and answers itself (kvm_hv_hypercall): a case whose control bits
 * make one of them would test something else.
 */
export const foreignCallCodes = [0x02, 0x03, 0x08, 0x13, 0x14, 0x5c, 0x5d, 0x69, 0x6a, 0x6b] as const;

/** Who has the interrupt controllers: KVM, KVM and the VMM (KVM_CAP_SPLIT_IRQCHIP), or the VMM alone. */
export const irqchips = ['kernel', 'split', 'none'] as const;
/** How a vCPU's local APIC is set up. A disabled one is an xAPIC. */
export const apicStates = ['x2apic', 'xapic', 'software-disabled', 'hardware-disabled'] as const;
/**
 * How a vCPU's handlers acknowledge: HV_X64_MSR_EOI; the APIC's own register; the VP assist page, and HV_X64_MSR_EOI
 * where KVM did not offer that; not at all.
 */
export const eoiKinds = ['hv-msr', 'apic', 'assist', 'none'] as const;
/**
 * What a vCPU does while it is no sender. `parked`: outside of KVM_RUN, takes interrupts only in a `run` step.
 * `halted`: on a thread of its own in `sti; hlt`, takes each interrupt at once. `uninitialized` and `init-received`: it
 * waits for INIT or for SIPI (KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_INIT_RECEIVED) and never runs.
 * `spinning`, in a concurrent case: on a thread of its own it goes round with interrupts on until all senders are done.
 */
export const idleKinds = ['parked', 'halted', 'uninitialized', 'init-received', 'spinning'] as const;
/** Whether a vCPU, in a concurrent case, takes interrupts while others send. */
export function runsMeanwhile({ idle }: { readonly idle: (typeof idleKinds)[number] }): boolean {
  return idle === 'halted' || idle === 'spinning';
}

/** What a vCPU's CPUID can lack: Hyper-V as a whole, or one of the features that gate the calls. */
export const cpuidFeatures = ['hyperv', 'cluster-ipi', 'ex-masks', 'xmm-input'] as const;
/** MSRs that a `write-msr` step writes as the host. */
export const caseMsrs = ['guest-os-id', 'hypercall', 'vp-index', 'sint0', 'sint1', 'sint2', 'sint15'] as const;
/** MSRs that a `read-msr` step reads; IA32_APIC_BASE is written by `set-apic` steps. */
export const readableMsrs = [...caseMsrs, 'apic-base'] as const;
/** Who reads: the host, or the guest program of the vCPU. */
export const msrReaders = ['host', 'guest'] as const;
export function isSint(msr: (typeof readableMsrs)[number]): boolean {
  return msr.startsWith('sint');
}
/** Number of the synthetic interrupt source of an MSR for which `isSint` holds. */
export function sintOf(msr: (typeof readableMsrs)[number]): number {
  return Number(msr.slice('sint'.length));
}
/** Synthetic interrupt sources of a vCPU (HV_SYNIC_SINT_COUNT). */
export const sintCount = 16;
/** What a `set-apic` step makes of a local APIC; `enabled` is the mode that it was set up in, or xAPIC. */
export const apicChanges = ['enabled', 'software-disabled', 'hardware-disabled'] as const;
