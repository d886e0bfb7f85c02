/** Hyper-V MSRs and CPUID leaves. Source: TLFS "Feature and Interface Discovery" and the MSR tables; hyperv-tlfs.h. */

export const HV_X64_MSR_GUEST_OS_ID = 0x4000_0000;
export const HV_X64_MSR_HYPERCALL = 0x4000_0001;
/** Bit 0 of HV_X64_MSR_HYPERCALL turns the page on; bits 63:12 are its page number. */
export const HV_X64_MSR_HYPERCALL_ENABLE = 1n;
export const HV_X64_MSR_VP_INDEX = 0x4000_0002;
export const HV_X64_MSR_EOI = 0x4000_0070;
export const HV_X64_MSR_TPR = 0x4000_0072;
/** Bit 0 turns the page on; bit 0 of its first word is the EOI assist field ("No EOI Required"). */
export const HV_X64_MSR_VP_ASSIST_PAGE = 0x4000_0073;
export const HV_X64_MSR_VP_ASSIST_PAGE_ENABLE = 1n;
/** Of the SynIC: control, event flags page, message page. */
export const HV_X64_MSR_SCONTROL = 0x4000_0080;
export const HV_X64_MSR_SIEFP = 0x4000_0082;
export const HV_X64_MSR_SIMP = 0x4000_0083;
/** SINT0; the others follow. Bits 7:0 are the vector, bit 16 masks it, bit 17 is auto-EOI. */
export const HV_X64_MSR_SINT0 = 0x4000_0090;
export const HV_SYNIC_SINT_MASKED = 1n << 16n;
export const HV_SYNIC_SINT_AUTO_EOI = 1n << 17n;

/** First and last leaf of the hypervisor range as KVM fills it. */
export const hypervisorLeafRange = { first: 0x4000_0000, last: 0x4000_ffff } as const;

/** CPUID bits that gate the IPI hypercalls when KVM_CAP_HYPERV_ENFORCE_CPUID is on. */
export const hypervCpuidBits = {
  /** 0x40000003.EDX: XMM registers for fast hypercall input. */
  HV_X64_HYPERCALL_XMM_INPUT_AVAILABLE: { leaf: 0x4000_0003, register: 'edx', bit: 4 },
  /** 0x40000004.EAX: HvCallSendSyntheticClusterIpi recommended. */
  HV_X64_CLUSTER_IPI_RECOMMENDED: { leaf: 0x4000_0004, register: 'eax', bit: 10 },
  /** 0x40000004.EAX: the Ex forms with VP sets recommended. */
  HV_X64_EX_PROCESSOR_MASKS_RECOMMENDED: { leaf: 0x4000_0004, register: 'eax', bit: 11 },
} as const;
