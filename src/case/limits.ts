/** What a case may hold, and the words of a vCPU's set-up. Apart from the schema because the lab's agent needs them. */
import { bankCountMax, vpsPerBank } from '../abi/hypercall.ts';

export const caseLimits = { vcpus: 8, steps: 64, vpIndex: 2 ** 32 - 1, vpNumber: bankCountMax * vpsPerBank } as const;

/**
 * Control word bits of the call code that a case may set in addition: one of them makes either code one that KVM does
 * not know (kvm_hv_hypercall), while others lead to hypercalls that do something else.
 */
export const strayCodeBits = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14] as const;

/** How a vCPU's local APIC is set up. A disabled one is an xAPIC. */
export const apicStates = ['x2apic', 'xapic', 'software-disabled', 'hardware-disabled'] as const;
/** How a vCPU's handlers acknowledge: HV_X64_MSR_EOI, or the APIC's own register. */
export const eoiKinds = ['hv-msr', 'apic'] as const;
/**
 * What a vCPU does while it is no sender. `parked`: outside of KVM_RUN, takes interrupts only in a `run` step.
 * `halted`: on a thread of its own in `sti; hlt`, takes each interrupt at once.
 */
export const idleKinds = ['parked', 'halted'] as const;
