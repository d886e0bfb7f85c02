/** Names of what a KVM offers, for texts: capabilities and MSRs that have to do with interrupts and Hyper-V. */

/** Source: include/uapi/linux/kvm.h. */
const capabilityNames: Readonly<Record<number, string>> = {
  0: 'KVM_CAP_IRQCHIP',
  9: 'KVM_CAP_NR_VCPUS',
  38: 'KVM_CAP_XEN_HVM',
  44: 'KVM_CAP_HYPERV',
  45: 'KVM_CAP_HYPERV_VAPIC',
  46: 'KVM_CAP_HYPERV_SPIN',
  66: 'KVM_CAP_MAX_VCPUS',
  72: 'KVM_CAP_TSC_DEADLINE_TIMER',
  77: 'KVM_CAP_SIGNAL_MSI',
  96: 'KVM_CAP_HYPERV_TIME',
  116: 'KVM_CAP_DISABLE_QUIRKS',
  121: 'KVM_CAP_SPLIT_IRQCHIP',
  123: 'KVM_CAP_HYPERV_SYNIC',
  128: 'KVM_CAP_MAX_VCPU_ID',
  129: 'KVM_CAP_X2APIC_API',
  143: 'KVM_CAP_X86_DISABLE_EXITS',
  148: 'KVM_CAP_HYPERV_SYNIC2',
  149: 'KVM_CAP_HYPERV_VP_INDEX',
  154: 'KVM_CAP_HYPERV_EVENTFD',
  155: 'KVM_CAP_HYPERV_TLBFLUSH',
  157: 'KVM_CAP_NESTED_STATE',
  161: 'KVM_CAP_HYPERV_SEND_IPI',
  163: 'KVM_CAP_HYPERV_ENLIGHTENED_VMCS',
  167: 'KVM_CAP_HYPERV_CPUID',
  175: 'KVM_CAP_HYPERV_DIRECT_TLBFLUSH',
  199: 'KVM_CAP_HYPERV_ENFORCE_CPUID',
  213: 'KVM_CAP_DISABLE_QUIRKS2',
  237: 'KVM_CAP_X86_APIC_BUS_CYCLES_NS',
};

/** `KVM_CAP_HYPERV_SEND_IPI (161)`. */
export function capabilityName(number: number): string {
  const name = capabilityNames[number];
  return name === undefined ? `capability ${number}` : `${name} (${number})`;
}

/** Source: TLFS, MSR tables; Intel SDM volume 4; AMD APM volume 2, appendix A. */
const msrNames: Readonly<Record<number, string>> = {
  0x1b: 'IA32_APIC_BASE',
  0x3a: 'IA32_FEATURE_CONTROL',
  0x8b: 'IA32_BIOS_SIGN_ID',
  0xce: 'MSR_PLATFORM_INFO',
  0x10a: 'IA32_ARCH_CAPABILITIES',
  0x345: 'IA32_PERF_CAPABILITIES',
  0x4000_0000: 'HV_X64_MSR_GUEST_OS_ID',
  0x4000_0001: 'HV_X64_MSR_HYPERCALL',
  0x4000_0002: 'HV_X64_MSR_VP_INDEX',
  0x4000_0021: 'HV_X64_MSR_REFERENCE_TSC',
  0x4000_0022: 'HV_X64_MSR_TSC_FREQUENCY',
  0x4000_0023: 'HV_X64_MSR_APIC_FREQUENCY',
  0x4000_0073: 'HV_X64_MSR_VP_ASSIST_PAGE',
  0x4000_0080: 'HV_X64_MSR_SCONTROL',
  0x4000_0081: 'HV_X64_MSR_SVERSION',
  0x4000_0082: 'HV_X64_MSR_SIEFP',
  0x4000_0083: 'HV_X64_MSR_SIMP',
  0xc001_0015: 'MSR_K7_HWCR',
};

/** `HV_X64_MSR_SVERSION (0x40000081)`. */
export function msrName(number: number): string {
  const hex = `0x${number.toString(16)}`;
  const name = msrNames[number];
  return name === undefined ? `MSR ${hex}` : `${name} (${hex})`;
}
