/** Numbers and layouts of KVM's interface (include/uapi/linux/kvm.h, arch/x86/include/uapi/asm/kvm.h). */

const KVMIO = 0xae;
const bare = (number: number) => (KVMIO << 8) | number;
const sized = (direction: 1 | 2 | 3, number: number, bytes: number) =>
  ((direction << 30) | (bytes << 16) | bare(number)) >>> 0;
const write = 1;
const read = 2;
const readWrite = 3;

/** Bytes of each structure. */
export const sizes = {
  kvm_userspace_memory_region: 32,
  kvm_regs: 144,
  kvm_sregs: 312,
  kvm_lapic_state: 1024,
  kvm_msr_list: 4,
  kvm_msrs: 8,
  kvm_msr_entry: 16,
  kvm_cpuid2: 8,
  kvm_cpuid_entry2: 40,
  kvm_mp_state: 4,
  kvm_vcpu_events: 64,
  kvm_msi: 32,
  kvm_enable_cap: 104,
  kvm_xen_hvm_config: 56,
  kvm_xsave: 4096,
  kvm_debugregs: 128,
} as const;

/** ioctl numbers by descriptor: system, VM, vCPU. */
export const KVM_CREATE_VM = bare(0x01);
export const KVM_GET_MSR_INDEX_LIST = sized(readWrite, 0x02, sizes.kvm_msr_list);
export const KVM_CHECK_EXTENSION = bare(0x03);
export const KVM_GET_VCPU_MMAP_SIZE = bare(0x04);
export const KVM_GET_SUPPORTED_CPUID = sized(readWrite, 0x05, sizes.kvm_cpuid2);
export const KVM_GET_SUPPORTED_HV_CPUID = sized(readWrite, 0xc1, sizes.kvm_cpuid2);
export const KVM_XEN_HVM_CONFIG = sized(write, 0x7a, sizes.kvm_xen_hvm_config);
export const KVM_CREATE_VCPU = bare(0x41);
export const KVM_SET_USER_MEMORY_REGION = sized(write, 0x46, sizes.kvm_userspace_memory_region);
export const KVM_SET_TSS_ADDR = bare(0x47);
export const KVM_CREATE_IRQCHIP = bare(0x60);
export const KVM_GET_REGS = sized(read, 0x81, sizes.kvm_regs);
export const KVM_SET_REGS = sized(write, 0x82, sizes.kvm_regs);
export const KVM_GET_SREGS = sized(read, 0x83, sizes.kvm_sregs);
export const KVM_SET_SREGS = sized(write, 0x84, sizes.kvm_sregs);
export const KVM_GET_MSRS = sized(readWrite, 0x88, sizes.kvm_msrs);
export const KVM_SET_MSRS = sized(write, 0x89, sizes.kvm_msrs);
export const KVM_GET_LAPIC = sized(read, 0x8e, sizes.kvm_lapic_state);
export const KVM_SET_LAPIC = sized(write, 0x8f, sizes.kvm_lapic_state);
export const KVM_SET_CPUID2 = sized(write, 0x90, sizes.kvm_cpuid2);
export const KVM_GET_MP_STATE = sized(read, 0x98, sizes.kvm_mp_state);
export const KVM_SET_MP_STATE = sized(write, 0x99, sizes.kvm_mp_state);
export const KVM_GET_VCPU_EVENTS = sized(read, 0x9f, sizes.kvm_vcpu_events);
export const KVM_SET_VCPU_EVENTS = sized(write, 0xa0, sizes.kvm_vcpu_events);
export const KVM_GET_DEBUGREGS = sized(read, 0xa1, sizes.kvm_debugregs);
export const KVM_SET_DEBUGREGS = sized(write, 0xa2, sizes.kvm_debugregs);
export const KVM_ENABLE_CAP = sized(write, 0xa3, sizes.kvm_enable_cap);
export const KVM_GET_XSAVE = sized(read, 0xa4, sizes.kvm_xsave);
export const KVM_SET_XSAVE = sized(write, 0xa5, sizes.kvm_xsave);
export const KVM_SIGNAL_MSI = sized(write, 0xa5, sizes.kvm_msi);

/** kvm_mp_state.mp_state. */
export const KVM_MP_STATE_RUNNABLE = 0;
export const KVM_MP_STATE_UNINITIALIZED = 1;
export const KVM_MP_STATE_INIT_RECEIVED = 2;

/** kvm_vcpu_events: byte offsets; a bit of flags and the values of interrupt.shadow. */
export const vcpuEvents = { interruptShadow: 11, flags: 20 } as const;
export const KVM_VCPUEVENT_VALID_SHADOW = 4;
export const KVM_X86_SHADOW_INT_MOV_SS = 1;
export const KVM_X86_SHADOW_INT_STI = 2;

/** kvm_userspace_memory_region.flags. */
export const KVM_MEM_LOG_DIRTY_PAGES = 1;
export const KVM_MEM_READONLY = 2;
/** kvm_xen_hvm_config.flags. */
export const KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL = 2;

/** Capabilities. */
export const KVM_CAP = {
  XEN_HVM: 38,
  HYPERV: 44,
  MAX_VCPUS: 66,
  READONLY_MEM: 81,
  SPLIT_IRQCHIP: 121,
  MAX_VCPU_ID: 128,
  X2APIC_API: 129,
  HYPERV_SYNIC2: 148,
  HYPERV_VP_INDEX: 149,
  HYPERV_SEND_IPI: 161,
  HYPERV_CPUID: 167,
  SYS_HYPERV_CPUID: 191,
  HYPERV_ENFORCE_CPUID: 199,
} as const;

/** Argument of KVM_CAP_X2APIC_API. */
export const KVM_X2APIC_API_USE_32BIT_IDS = 1;
export const KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK = 2;

/** kvm_run.kvm_valid_regs: what KVM gives after each exit. */
export const KVM_SYNC_X86_REGS = 1;
/** kvm_run.exit_reason. */
export const KVM_EXIT_IO = 2;
/** What a signal leaves behind; only where a vCPU made no exit and was given up. */
export const KVM_EXIT_INTR = 10;
export const KVM_EXIT_XEN = 34;
export const exitReasonNames: Readonly<Record<number, string>> = {
  0: 'KVM_EXIT_UNKNOWN',
  1: 'KVM_EXIT_EXCEPTION',
  2: 'KVM_EXIT_IO',
  3: 'KVM_EXIT_HYPERCALL',
  5: 'KVM_EXIT_HLT',
  6: 'KVM_EXIT_MMIO',
  8: 'KVM_EXIT_SHUTDOWN',
  9: 'KVM_EXIT_FAIL_ENTRY',
  // What a signal leaves behind; those are only given up on where a guest makes no other exit (vcpu-run.c, watch).
  10: 'no exit from KVM_RUN',
  17: 'KVM_EXIT_INTERNAL_ERROR',
  27: 'KVM_EXIT_HYPERV',
  34: 'KVM_EXIT_XEN',
};

/** kvm_sregs: byte offsets of the segments (struct kvm_segment, 24 bytes), tables and control registers. */
export const sregs = {
  cs: 0,
  ds: 24,
  es: 48,
  fs: 72,
  gs: 96,
  ss: 120,
  tr: 144,
  ldt: 168,
  gdt: 192,
  idt: 208,
  cr0: 224,
  cr3: 240,
  cr4: 248,
  efer: 264,
  apicBase: 272,
} as const;

/** kvm_segment: byte offset of the selector. */
export const segmentSelector = 12;

/** kvm_regs: byte offsets of all registers. */
export const regs = {
  rax: 0,
  rbx: 8,
  rcx: 16,
  rdx: 24,
  rsi: 32,
  rdi: 40,
  rsp: 48,
  rbp: 56,
  r8: 64,
  r9: 72,
  r10: 80,
  r11: 88,
  r12: 96,
  r13: 104,
  r14: 112,
  r15: 120,
  rip: 128,
  rflags: 136,
} as const;

/** kvm_xsave in the standard format: byte offsets (Intel SDM volume 1, "XSAVE Area"). */
export const xsave = { mxcsr: 24, xmm: 160, header: 512, ymmHigh: 576 } as const;
/** Bits of the header's XSTATE_BV: x87, SSE, and the upper halves of YMM. */
export const xstate = { x87: 1n, sse: 2n, avx: 4n } as const;

/**
 * The ioctls that a script may ask for. None of their structures holds a pointer that KVM writes through; of struct
 * kvm_xen_hvm_config the hand keeps flags and MSR alone.
 */
export const scriptRequests = {
  KVM_GET_MSR_INDEX_LIST,
  KVM_CHECK_EXTENSION,
  KVM_GET_SUPPORTED_CPUID,
  KVM_GET_SUPPORTED_HV_CPUID,
  KVM_XEN_HVM_CONFIG,
  KVM_SET_TSS_ADDR,
  KVM_CREATE_IRQCHIP,
  KVM_ENABLE_CAP,
  KVM_SIGNAL_MSI,
  KVM_GET_REGS,
  KVM_SET_REGS,
  KVM_GET_SREGS,
  KVM_SET_SREGS,
  KVM_GET_DEBUGREGS,
  KVM_SET_DEBUGREGS,
  KVM_GET_MSRS,
  KVM_SET_MSRS,
  KVM_GET_LAPIC,
  KVM_SET_LAPIC,
  KVM_SET_CPUID2,
  KVM_GET_MP_STATE,
  KVM_SET_MP_STATE,
  KVM_GET_VCPU_EVENTS,
  KVM_SET_VCPU_EVENTS,
  KVM_GET_XSAVE,
  KVM_SET_XSAVE,
} as const;

/** The capabilities that a script may enable (KVM_ENABLE_CAP). Some others have an address among their arguments. */
export const scriptCapabilities = [
  KVM_CAP.SPLIT_IRQCHIP,
  KVM_CAP.X2APIC_API,
  KVM_CAP.HYPERV_SYNIC2,
  KVM_CAP.HYPERV_ENFORCE_CPUID,
] as const;

const requestNames: ReadonlyMap<number, string> = new Map(
  Object.entries({
    ...scriptRequests,
    KVM_CREATE_VM,
    KVM_CREATE_VCPU,
    KVM_SET_USER_MEMORY_REGION,
    KVM_GET_VCPU_MMAP_SIZE,
  }).map(([name, request]) => [request, name]),
);

/** The name of an ioctl, or its number. KVM_SET_XSAVE and KVM_SIGNAL_MSI differ in the size of their structures. */
export function requestName(request: number): string {
  return requestNames.get(request) ?? `ioctl 0x${request.toString(16)}`;
}
