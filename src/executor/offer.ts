/** What a KVM offers before anything has run: facts that a VMM or a guest can read, as a plain value. */

/** A leaf of CPUID as KVM would give it to a guest. */
export interface CpuidLeaf {
  readonly leaf: number;
  readonly subleaf: number;
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

export interface KvmOffer {
  /** What KVM_CHECK_EXTENSION answers, by the capability's number. */
  readonly capabilities: Readonly<Record<number, number>>;
  /** KVM_GET_SUPPORTED_CPUID. */
  readonly cpuid: readonly CpuidLeaf[];
  /** KVM_GET_SUPPORTED_HV_CPUID. */
  readonly hypervCpuid: readonly CpuidLeaf[];
  /** KVM_GET_LAPIC of a vCPU that has not run, in hexadecimals, by irqchip and mode: `split x2apic`. */
  readonly lapic: Readonly<Record<string, string>>;
  /** What the host reads of a vCPU that has not run, in hexadecimals, by the MSR's number: `0x40000002`. */
  readonly msrs: Readonly<Record<string, string>>;
}
