/**
 * A small configuration of ours for a tree that was never built: KVM as modules, and what the lab needs. It starts from
 * tinyconfig, so that what is not named here is off; names that a release does not know are passed over.
 */

/** What the lab cannot do without; the value is the one that the configuration must have. */
export const neededOptions: Readonly<Record<string, 'y' | 'm'>> = {
  '64BIT': 'y',
  // The initramfs, its programs and what they see.
  BLK_DEV_INITRD: 'y',
  BINFMT_ELF: 'y',
  BINFMT_SCRIPT: 'y',
  DEVTMPFS: 'y',
  PROC_FS: 'y',
  SYSFS: 'y',
  TMPFS: 'y',
  // Console and channel.
  PRINTK: 'y',
  TTY: 'y',
  SERIAL_8250: 'y',
  SERIAL_8250_CONSOLE: 'y',
  PCI: 'y',
  VIRTIO_PCI: 'y',
  VIRTIO_CONSOLE: 'y',
  // What is tested.
  MODULES: 'y',
  KVM: 'm',
  KVM_AMD: 'm',
};

/** What makes it like a distribution's kernel, and failures visible. */
const wishedOptions: Readonly<Record<string, 'y' | 'm'>> = {
  SMP: 'y',
  MULTIUSER: 'y',
  FUTEX: 'y',
  EPOLL: 'y',
  EVENTFD: 'y',
  SIGNALFD: 'y',
  TIMERFD: 'y',
  POSIX_TIMERS: 'y',
  ADVISE_SYSCALLS: 'y',
  MEMBARRIER: 'y',
  FILE_LOCKING: 'y',
  SHMEM: 'y',
  UNIX98_PTYS: 'y',
  PROC_SYSCTL: 'y',
  HIGH_RES_TIMERS: 'y',
  // Its PM timer is what the TSC is measured with on a busy computer; with an unknown TSC, KVM enters no guest.
  ACPI: 'y',
  X86_X2APIC: 'y',
  X86_MSR: 'y',
  CPU_SUP_AMD: 'y',
  CPU_SUP_INTEL: 'y',
  PROCESSOR_SELECT: 'y',
  VIRTIO_MENU: 'y',
  VIRTUALIZATION: 'y',
  HIGHMEM64G: 'y',
  KVM_INTEL: 'm',
  KVM_HYPERV: 'y',
  KVM_XEN: 'y',
  KVM_SMM: 'y',
  KVM_IOAPIC: 'y',
  MODULE_UNLOAD: 'y',
  IKCONFIG: 'y',
  IKCONFIG_PROC: 'y',
  KALLSYMS: 'y',
  BUG: 'y',
  DEBUG_BUGVERBOSE: 'y',
  UNWINDER_ORC: 'y',
  MAGIC_SYSRQ: 'y',
  DEBUG_KERNEL: 'y',
  DETECT_HUNG_TASK: 'y',
  SOFTLOCKUP_DETECTOR: 'y',
  EXPERT: 'y',
  CC_OPTIMIZE_FOR_PERFORMANCE: 'y',
  CPU_MITIGATIONS: 'y',
  FTRACE: 'y',
  FUNCTION_TRACER: 'y',
};

/** tinyconfig says so, or they would be on by default; here they would only cost time. */
const unwantedOptions = [
  'CC_OPTIMIZE_FOR_SIZE',
  'KERNEL_XZ',
  'SLUB_TINY',
  'WERROR',
  'LOCALVERSION_AUTO',
  'NET',
  'VT',
  'INPUT',
];

/** Arguments of the tree's own `scripts/config`. */
export function configArguments(): string[] {
  const all = Object.entries({ ...wishedOptions, ...neededOptions });
  return [
    ...unwantedOptions.flatMap((name) => ['-d', name]),
    ...all.flatMap(([name, value]) => [value === 'm' ? '-m' : '-e', name]),
    // Uncompressed, it takes longest to load.
    '-e',
    'KERNEL_GZIP',
  ];
}

/** Needed options that a configuration has otherwise. */
export function lackingOptions(config: string): string[] {
  return Object.entries(neededOptions)
    .filter(([name, value]) => !new RegExp(`^CONFIG_${name}=${value}$`, 'm').test(config))
    .map(([name, value]) => `CONFIG_${name}=${value}`);
}
