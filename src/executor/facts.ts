import type { KvmOffer } from './offer.ts';

/** What the model must know about the KVM under test, read from it. */
export interface TargetFacts {
  /** `lab`, `host`, `ssh:HOST` or `model`. */
  readonly target: string;
  /** `uname -r` of the kernel whose KVM runs the programs. */
  readonly kernelRelease: string;
  /** CPU vendor string of CPUID leaf 0. */
  readonly cpu: string;
  /** KVM_CAP_MAX_VCPUS: KVM_MAX_VCPUS of the kernel's configuration; VP indexes are below it. */
  readonly kvmMaxVcpus: number;
  /** KVM_CAP_MAX_VCPU_ID: ids of vCPUs are below it. Absent where no KVM was asked: then every id will do. */
  readonly vcpuIdLimit?: number;
  readonly irqchips: readonly string[];
  /** Whether Xen hypercalls can be intercepted (KVM_CAP_XEN_HVM with KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL). */
  readonly xen: boolean;
  /**
   * EBX of leaf 0x40000003 (features) in KVM_GET_SUPPORTED_HV_CPUID: which privileges KVM can grant a guest. Absent where
   * no KVM was asked; then the release has to tell.
   */
  readonly hypervPrivileges?: number;
  /** KVM_CAP_HYPERV_ENFORCE_CPUID; absent where no KVM was asked, as above. */
  readonly enforcesCpuid?: boolean;
  /** Whether KVM_SET_LAPIC gives a fresh vCPU the PPR that its ISR asks for. Absent where no KVM was asked. */
  readonly restoresPpr?: boolean;
  /** Parameters that KVM's modules were asked to have, as the kernel has them now: `halt_poll_ns=0 npt=N`. */
  readonly kvmOptions: string;
  /** What emulates the computer that the kernel under test runs on; null where it is a real one, or none at all. */
  readonly emulator: EmulatorFacts | null;
  /** What it offers before anything has run; absent where nobody has read it. */
  readonly offer?: KvmOffer;
}

export interface EmulatorFacts {
  /** `qemu`. */
  readonly name: string;
  /** `7.2.22`. */
  readonly version: string;
  /** What it does otherwise than a CPU where cases can meet it here: names of `src/lab/emulator/faults.ts`. */
  readonly faults: readonly string[];
}
