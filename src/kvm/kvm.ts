/**
 * Handles that own what they open: `Kvm` (/dev/kvm), `Vm`, `Vcpu`. Each is disposed in the reverse order of opening.
 * A failing ioctl throws `KvmError`; nothing is retried except a KVM_RUN that a signal interrupted.
 */
import { APIC_DEFAULT_PHYS_BASE, lapicPageBytes } from '../abi/lapic.ts';
import { closeFile, EAGAIN, EINTR, ioctl, ioctlOnThread, KvmError, Mapping, openFile, tryIoctl } from './libc.ts';
import { isEndless } from './ticks.ts';
import { type SleepingCall, SYS_ioctl } from './threads.ts';
import * as uapi from './uapi.ts';

/** The system descriptor. */
export class Kvm implements Disposable {
  readonly #fd: number;

  /** @throws KvmError when the device is absent or may not be opened. */
  constructor(path = '/dev/kvm') {
    this.#fd = openFile(path);
  }

  /** Value of a capability; 0 where it is unknown. */
  check(capability: number): number {
    return Math.max(0, tryIoctl(this.#fd, uapi.KVM_CHECK_EXTENSION, capability));
  }

  /** CPUID entries of one of the two "supported" ioctls: `struct kvm_cpuid_entry2`, one buffer each. */
  supportedCpuid(request: typeof uapi.KVM_GET_SUPPORTED_CPUID): Buffer[] {
    const entriesMax = 256;
    const buffer = Buffer.alloc(uapi.sizes.kvm_cpuid2 + entriesMax * uapi.sizes.kvm_cpuid_entry2);
    buffer.writeUInt32LE(entriesMax, 0);
    ioctl(this.#fd, request, buffer, 'KVM_GET_SUPPORTED_CPUID');
    const entry = (index: number) => uapi.sizes.kvm_cpuid2 + index * uapi.sizes.kvm_cpuid_entry2;
    return Array.from({ length: buffer.readUInt32LE(0) }, (_, i) => buffer.subarray(entry(i), entry(i + 1)));
  }

  createVm(): Vm {
    const runBytes = ioctl(this.#fd, uapi.KVM_GET_VCPU_MMAP_SIZE, 0, 'KVM_GET_VCPU_MMAP_SIZE');
    return new Vm(ioctl(this.#fd, uapi.KVM_CREATE_VM, 0, 'KVM_CREATE_VM'), runBytes);
  }

  [Symbol.dispose](): void {
    closeFile(this.#fd);
  }
}

/** A VM and its guest memory. */
export class Vm implements Disposable {
  readonly #fd: number;
  readonly #runBytes: number;
  readonly #mappings: Mapping[] = [];

  constructor(fd: number, runBytes: number) {
    this.#fd = fd;
    this.#runBytes = runBytes;
  }

  /** Interrupt controller in the kernel: PIC, IOAPIC and a LAPIC in every vCPU created from now on. */
  createIrqchip(): void {
    // VMX keeps a TSS in guest memory for real mode; SVM ignores the address.
    ioctl(this.#fd, uapi.KVM_SET_TSS_ADDR, 0xfffb_d000, 'KVM_SET_TSS_ADDR');
    ioctl(this.#fd, uapi.KVM_CREATE_IRQCHIP, 0, 'KVM_CREATE_IRQCHIP');
  }

  /** LAPICs in the kernel, PIC and IOAPIC in the VMM, which here means nowhere. */
  splitIrqchip(): void {
    ioctl(this.#fd, uapi.KVM_SET_TSS_ADDR, 0xfffb_d000, 'KVM_SET_TSS_ADDR');
    enableCap(this.#fd, uapi.KVM_CAP.SPLIT_IRQCHIP, ioapicPins);
  }

  /** Xen hypercalls go to the VMM; `msr` is the MSR by which a guest would ask for a Xen page. */
  interceptXenHypercalls(msr: number): void {
    const config = Buffer.alloc(uapi.sizes.kvm_xen_hvm_config);
    config.writeUInt32LE(uapi.KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL, 0);
    config.writeUInt32LE(msr, 4);
    ioctl(this.#fd, uapi.KVM_XEN_HVM_CONFIG, config, 'KVM_XEN_HVM_CONFIG');
  }

  /** Adds memslots that lie in one zeroed mapping, the last one at its end; the result is that memory. */
  addMemory(slots: readonly { gpa: bigint; bytes: number; readOnly: boolean; offset: number }[]): Buffer {
    const last = slots.at(-1)!;
    const mapping = new Mapping(last.offset + last.bytes, null);
    this.#mappings.push(mapping);
    for (const [slot, { gpa, bytes, readOnly, offset }] of slots.entries()) {
      const region = Buffer.alloc(uapi.sizes.kvm_userspace_memory_region);
      region.writeUInt32LE(slot, 0);
      region.writeUInt32LE(readOnly ? uapi.KVM_MEM_READONLY : 0, 4);
      region.writeBigUInt64LE(gpa, 8);
      region.writeBigUInt64LE(BigInt(bytes), 16);
      region.writeBigUInt64LE(mapping.address + BigInt(offset), 24);
      ioctl(this.#fd, uapi.KVM_SET_USER_MEMORY_REGION, region, 'KVM_SET_USER_MEMORY_REGION');
    }
    return mapping.bytes;
  }

  /** MSIs and LAPIC pages have APIC IDs in full, and ID 255 is no broadcast to x2APICs; only before the first vCPU. */
  useWideApicIds(): void {
    enableCap(
      this.#fd,
      uapi.KVM_CAP.X2APIC_API,
      uapi.KVM_X2APIC_API_USE_32BIT_IDS | uapi.KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
    );
  }

  /**
   * Sends NMI or INIT to the vCPU with that APIC ID, as an MSI: unlike KVM_NMI that does not wait for a running KVM_RUN
   * to end. A hardware-disabled APIC does not get it. IDs above 255 need `useWideApicIds`.
   */
  signalMsi(apicId: number, deliveryMode: number): void {
    const msi = Buffer.alloc(uapi.sizes.kvm_msi);
    msi.writeUInt32LE(Number(APIC_DEFAULT_PHYS_BASE) + ((apicId & 0xff) << 12), 0);
    msi.writeUInt32LE(apicId & ~0xff, 4);
    msi.writeUInt32LE(deliveryMode, 8);
    ioctl(this.#fd, uapi.KVM_SIGNAL_MSI, msi, 'KVM_SIGNAL_MSI');
  }

  createVcpu(id: number): Vcpu {
    return new Vcpu(ioctl(this.#fd, uapi.KVM_CREATE_VCPU, id, 'KVM_CREATE_VCPU'), this.#runBytes);
  }

  [Symbol.dispose](): void {
    closeFile(this.#fd);
    // The kernel drops the memslots with the last descriptor; vCPUs are disposed before their VM.
    for (const mapping of this.#mappings) mapping[Symbol.dispose]();
  }
}

/** A vCPU and its `kvm_run` page. */
export class Vcpu implements Disposable {
  /** General registers (struct kvm_regs) as they were at the last exit. */
  readonly regs: Buffer;
  /** Special registers (struct kvm_sregs) for `setAllRegs`. */
  readonly sregs: Buffer;
  readonly #fd: number;
  readonly #run: Mapping;
  readonly #msr = Buffer.alloc(uapi.sizes.kvm_msrs + uapi.sizes.kvm_msr_entry);

  constructor(fd: number, runBytes: number) {
    this.#fd = fd;
    try {
      this.#run = new Mapping(runBytes, fd);
    } catch (error) {
      closeFile(fd);
      throw error;
    }
    // KVM_CAP_SYNC_REGS, which every x86 KVM with these hypercalls has (Linux 4.17).
    const { bytes } = this.#run;
    this.regs = bytes.subarray(uapi.kvmRun.regs, uapi.kvmRun.regs + uapi.sizes.kvm_regs);
    this.sregs = bytes.subarray(uapi.kvmRun.sregs, uapi.kvmRun.sregs + uapi.sizes.kvm_sregs);
    bytes[uapi.kvmRun.validRegs] = uapi.KVM_SYNC_X86_REGS;
  }

  /**
   * The next `run` begins with what is in `regs` and `sregs` then (KVM_SYNC_X86_REGS and _SREGS): three ioctls less than
   * to set and get them.
   */
  setAllRegs(): void {
    this.#run.bytes[uapi.kvmRun.dirtyRegs] = uapi.KVM_SYNC_X86_REGS | uapi.KVM_SYNC_X86_SREGS;
  }

  setCpuid(entries: readonly Buffer[]): void {
    let table = cpuidTables.get(entries);
    if (table === undefined) {
      const head = Buffer.alloc(uapi.sizes.kvm_cpuid2);
      head.writeUInt32LE(entries.length, 0);
      table = Buffer.concat([head, ...entries]);
      cpuidTables.set(entries, table);
    }
    ioctl(this.#fd, uapi.KVM_SET_CPUID2, table, 'KVM_SET_CPUID2');
  }

  /** From now on KVM refuses what the vCPU's CPUID does not offer. */
  enforceHypervCpuid(): void {
    enableCap(this.#fd, uapi.KVM_CAP.HYPERV_ENFORCE_CPUID, 1);
  }

  /** Turns the synthetic interrupt controller on; its pages are the host's business (KVM_CAP_HYPERV_SYNIC2). */
  enableSynic(): void {
    enableCap(this.#fd, uapi.KVM_CAP.HYPERV_SYNIC2, 0);
  }

  /** Puts the vCPU into an interrupt shadow (KVM_X86_SHADOW_INT_*). */
  setInterruptShadow(shadow: number): void {
    const events = Buffer.alloc(uapi.sizes.kvm_vcpu_events);
    ioctl(this.#fd, uapi.KVM_GET_VCPU_EVENTS, events, 'KVM_GET_VCPU_EVENTS');
    events.writeUInt8(shadow, uapi.vcpuEvents.interruptShadow);
    events.writeUInt32LE(uapi.KVM_VCPUEVENT_VALID_SHADOW, uapi.vcpuEvents.flags);
    ioctl(this.#fd, uapi.KVM_SET_VCPU_EVENTS, events, 'KVM_SET_VCPU_EVENTS');
  }

  /** Reads the special registers into `sregs`. */
  getSregs(): void {
    ioctl(this.#fd, uapi.KVM_GET_SREGS, this.sregs, 'KVM_GET_SREGS');
  }

  /** Writes an MSR as the host; false when KVM refuses the value (KVM_SET_MSRS did 0 entries). */
  trySetMsr(index: number, value: bigint): boolean {
    this.#msr.writeUInt32LE(1, 0);
    this.#msr.writeUInt32LE(index, 8);
    this.#msr.writeBigUInt64LE(value, 16);
    return ioctl(this.#fd, uapi.KVM_SET_MSRS, this.#msr, 'KVM_SET_MSRS') === 1;
  }

  setMsr(index: number, value: bigint): void {
    if (!this.trySetMsr(index, value))
      throw new Error(`KVM refuses MSR 0x${index.toString(16)} = 0x${value.toString(16)}`);
  }

  getMsr(index: number): bigint {
    this.#msr.writeUInt32LE(1, 0);
    this.#msr.writeUInt32LE(index, 8);
    if (ioctl(this.#fd, uapi.KVM_GET_MSRS, this.#msr, 'KVM_GET_MSRS') !== 1) {
      throw new Error(`KVM does not give MSR 0x${index.toString(16)}`);
    }
    return this.#msr.readBigUInt64LE(16);
  }

  /** Reads the LAPIC page (`lapicPageBytes` bytes) into `page`. */
  getLapic(page: Buffer): void {
    if (page.length !== lapicPageBytes) throw new RangeError(`a LAPIC page has ${lapicPageBytes} bytes`);
    ioctl(this.#fd, uapi.KVM_GET_LAPIC, page, 'KVM_GET_LAPIC');
  }

  /** Replaces the LAPIC page; never while the vCPU runs. */
  setLapic(page: Buffer): void {
    if (page.length !== lapicPageBytes) throw new RangeError(`a LAPIC page has ${lapicPageBytes} bytes`);
    ioctl(this.#fd, uapi.KVM_SET_LAPIC, page, 'KVM_SET_LAPIC');
  }

  /** Sets KVM_MP_STATE_*; with an in-kernel LAPIC all vCPUs but the first wait for INIT and SIPI until they get one. */
  setMpState(mpState: number): void {
    const state = Buffer.alloc(uapi.sizes.kvm_mp_state);
    state.writeUInt32LE(mpState, 0);
    ioctl(this.#fd, uapi.KVM_SET_MP_STATE, state, 'KVM_SET_MP_STATE');
  }

  /** Reads KVM_MP_STATE_*; KVM acts on a pending INIT before it answers (kvm_arch_vcpu_ioctl_get_mpstate). */
  getMpState(): number {
    const state = Buffer.alloc(uapi.sizes.kvm_mp_state);
    ioctl(this.#fd, uapi.KVM_GET_MP_STATE, state, 'KVM_GET_MP_STATE');
    return state.readUInt32LE(0);
  }

  getXsave(area: Buffer): void {
    ioctl(this.#fd, uapi.KVM_GET_XSAVE, area, 'KVM_GET_XSAVE');
  }

  setXsave(area: Buffer): void {
    ioctl(this.#fd, uapi.KVM_SET_XSAVE, area, 'KVM_SET_XSAVE');
  }

  /** Runs until the next exit to us, which `reason` then tells: KVM_EXIT_INTR where there is none (`isEndless`). */
  run(): void {
    for (let interruptions = 0; ;) {
      const result = tryIoctl(this.#fd, uapi.KVM_RUN, 0);
      if (result >= 0) return;
      Vcpu.#retryable(-result);
      if (-result === EINTR && isEndless(++interruptions)) return;
    }
  }

  /**
   * The same on a thread of libuv's pool, until `askToExit`; whether there was an exit to us. When there was none, the guest stands where it was
   * when it was asked: KVM looks for signals before it enters the guest (vcpu_run).
   */
  async runInterruptibly(): Promise<boolean> {
    for (;;) {
      const result = await ioctlOnThread(this.#fd, uapi.KVM_RUN, 0);
      const wasAsked = this.#run.bytes[uapi.kvmRun.immediateExit] === 1;
      this.#run.bytes[uapi.kvmRun.immediateExit] = 0;
      if (result >= 0) return true;
      if (wasAsked && -result === EINTR) return false;
      Vcpu.#retryable(-result);
    }
  }

  /** Makes `runInterruptibly` return; a thread that is in KVM_RUN already must be signalled besides. */
  askToExit(): void {
    this.#run.bytes[uapi.kvmRun.immediateExit] = 1;
  }

  /** Whether a thread that sleeps in this system call does so in this vCPU's KVM_RUN. */
  isRun({ number, first, second }: SleepingCall): boolean {
    return number === SYS_ioctl && first === this.#fd && second === uapi.KVM_RUN;
  }

  /** Reason of the last exit (KVM_EXIT_*). */
  get reason(): number {
    return this.#run.bytes.readUInt32LE(uapi.kvmRun.exitReason);
  }

  /** Port of the last exit, if that is KVM_EXIT_IO. */
  get port(): number {
    return this.#run.bytes.readUInt16LE(uapi.kvmRun.ioPort);
  }

  /** Answers a hypercall that the last exit handed to us; KVM puts it into RAX when the vCPU runs again. */
  answerHypercall(place: typeof uapi.kvmRun.xenResult | typeof uapi.kvmRun.hypervResult, result: bigint): void {
    this.#run.bytes.writeBigUInt64LE(result, place);
  }

  [Symbol.dispose](): void {
    this.#run[Symbol.dispose]();
    closeFile(this.#fd);
  }

  static #retryable(errno: number): void {
    if (errno !== EINTR && errno !== EAGAIN) throw new KvmError('KVM_RUN', errno);
  }
}

/** `struct kvm_cpuid2` of lists that many vCPUs have. */
const cpuidTables = new WeakMap<readonly Buffer[], Buffer>();

/** Pins of an IOAPIC (KVM_IOAPIC_NUM_PINS), which KVM_CAP_SPLIT_IRQCHIP wants to know. */
const ioapicPins = 24;

function enableCap(fd: number, capability: number, argument: number): void {
  const cap = Buffer.alloc(uapi.sizes.kvm_enable_cap);
  cap.writeUInt32LE(capability, 0);
  cap.writeBigUInt64LE(BigInt(argument), 8);
  ioctl(fd, uapi.KVM_ENABLE_CAP, cap, `KVM_ENABLE_CAP ${capability}`);
}
