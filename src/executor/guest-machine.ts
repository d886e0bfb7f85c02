/**
 * A VM that runs the guest program: made once for a number of vCPUs, set up anew for every program. It knows how to
 * issue calls, how to let a vCPU take interrupts, and how to tell what changed.
 */
import { hypervisorLeafRange, HV_X64_MSR_GUEST_OS_ID, HV_X64_MSR_VP_INDEX } from '../abi/hyperv.ts';
import * as lapic from '../abi/lapic.ts';
import type { VcpuSetup } from '../case/case.ts';
import { ramEnd } from '../case/memory.ts';
import type { GuestException, LapicChanges, RegisterChange } from '../case/observation.ts';
import { callRegisterBytes, type MemoryWrite, type ProgramCall } from '../case/program.ts';
import { setSpecialRegisters, writeImage } from '../guest/image.ts';
import * as map from '../guest/memory-map.ts';
import { area } from '../guest/memory-map.ts';
import { eoiMsr, type GuestCode } from '../guest/program.ts';
import type { Kvm, Vcpu, Vm } from '../kvm/kvm.ts';
import * as uapi from '../kvm/uapi.ts';
import { MemoryWatch } from './memory-watch.ts';
import { registerChanges } from './register-changes.ts';

/** Any non-zero value turns on the Hyper-V interface (kvm_hv_hypercall_enabled); this one says Linux. */
const guestOsId = 0x8100_0000_0000_0000n;

/** What one call did to its sender. */
export interface CallResult {
  readonly result: bigint;
  readonly exception: GuestException | null;
  readonly registers: readonly RegisterChange[];
}

/** The guest made an exit that its program does not make; the machine must not be used any more. */
export class UnexpectedExit extends Error {
  override name = 'UnexpectedExit';
  /** Results of the calls that completed before. */
  readonly completed: readonly CallResult[];

  constructor(description: string, completed: readonly CallResult[] = []) {
    super(description);
    this.completed = completed;
  }
}

/** A LAPIC page as bytes and as 32-bit words of the same memory. */
interface LapicPage {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
}

const noChanges: LapicChanges = new Map();

interface VcpuState {
  readonly vcpu: Vcpu;
  readonly base: number;
  /** LAPIC page of each APIC state, made when it is first asked for. */
  readonly pages: Map<VcpuSetup['apic'], LapicPage>;
  apic: VcpuSetup['apic'];
  page: LapicPage;
  /** Last value written to HV_X64_MSR_VP_INDEX, and what reading it gives. */
  vpIndexWritten: number;
  vpIndex: number;
}

/** CPUID for a vCPU: what KVM supports, with KVM's own hypervisor leaves replaced by the Hyper-V ones. */
export function hypervCpuid(kvm: Kvm): Buffer[] {
  const { first, last } = hypervisorLeafRange;
  const isHypervisorLeaf = (entry: Buffer) => entry.readUInt32LE(0) >= first && entry.readUInt32LE(0) <= last;
  const own = kvm.supportedCpuid(uapi.KVM_GET_SUPPORTED_CPUID).filter((entry) => !isHypervisorLeaf(entry));
  return [...own, ...kvm.supportedCpuid(uapi.KVM_GET_SUPPORTED_HV_CPUID)];
}

export class GuestMachine implements Disposable {
  readonly #vm: Vm;
  readonly #memory: Buffer;
  /** The same memory as 64-bit words: several times as fast to read as a Buffer. */
  readonly #words: BigUint64Array;
  readonly #watch: MemoryWatch;
  readonly #code: GuestCode;
  readonly #vcpus: VcpuState[] = [];
  readonly #scratchPage = Buffer.alloc(lapic.lapicPageBytes);
  readonly #scratchWords = wordsOf(this.#scratchPage);
  #isUsable = true;
  #isGivenUp = false;

  constructor(kvm: Kvm, code: GuestCode, cpuid: readonly Buffer[], vcpuCount: number) {
    this.#code = code;
    this.#vm = kvm.createVm();
    try {
      this.#vm.createIrqchip();
      this.#memory = this.#vm.addMemory(0, 0n, Number(ramEnd));
      this.#words = new BigUint64Array(this.#memory.buffer, this.#memory.byteOffset, this.#memory.length / 8);
      writeImage(this.#memory, code);
      for (let position = 0; position < vcpuCount; position++) this.#vcpus.push(this.#createVcpu(position, cpuid));
      this.#vcpus[0]!.vcpu.setMsr(HV_X64_MSR_GUEST_OS_ID, guestOsId);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    this.#watch = new MemoryWatch(this.#memory, map.quietRanges);
  }

  /** False after an unexpected exit, or when a vCPU was given up. */
  get isUsable(): boolean {
    return this.#isUsable;
  }

  /** Brings every vCPU and the arena into the state in which programs start; the result is the VP indexes. */
  setUp(setups: readonly VcpuSetup[]): number[] {
    this.#watch.undoWrites();
    return setups.map((setup, position) => {
      const state = this.#vcpus[position]!;
      this.#setVpIndex(state, position, setup.vpIndex);
      this.#setApic(state, position, setup.apic);
      this.#put(state, area.eoiMsr, BigInt(eoiMsr(setup.eoi, setup.apic === 'x2apic')));
      this.#put(state, area.logLength, 0n);
      return state.vpIndex;
    });
  }

  /** Puts input blocks into memory. */
  write(writes: readonly MemoryWrite[]): void {
    for (const { gpa, bytes } of writes) this.#watch.write(Number(gpa), bytes);
  }

  /**
   * Issues calls, at most `map.ringEntries`, by one vCPU; one KVM_RUN.
   *
   * @throws UnexpectedExit
   */
  call(sender: number, calls: readonly ProgramCall[]): CallResult[] {
    const state = this.#vcpus[sender]!;
    const input = state.base + area.input;
    for (let index = 0; index < calls.length; index++) {
      this.#memory.set(calls[index]!.registers, input + index * callRegisterBytes);
    }
    this.#put(state, area.cursor, BigInt(input));
    this.#put(state, area.end, BigInt(input + calls.length * callRegisterBytes));
    this.#command(state, map.commands.calls);
    state.vcpu.run();
    const done = Number(this.#get(state, area.cursor) - BigInt(input)) / callRegisterBytes;
    const results = this.#readResults(state, Math.max(0, Math.min(calls.length, Math.floor(done))));
    const exit = this.describeUnexpectedExit(sender);
    if (exit !== null) throw new UnexpectedExit(exit, results);
    return results;
  }

  /** Lets a vCPU take what is pending. */
  openWindow(position: number): void {
    const state = this.#vcpus[position]!;
    this.#command(state, map.commands.window);
    state.vcpu.run();
    const exit = this.describeUnexpectedExit(position);
    if (exit !== null) throw new UnexpectedExit(exit);
  }

  /** Starts a vCPU on a thread of its own, where it halts with interrupts on; the promise ends with its next exit. */
  halt(position: number): Promise<void> {
    const state = this.#vcpus[position]!;
    this.#put(state, area.stop, 0n);
    this.#put(state, area.halting, 0n);
    this.#command(state, map.commands.halt);
    return state.vcpu.runOnThread();
  }

  /** Whether a vCPU that was started with `halt` has come to its `sti; hlt`. */
  isHalting(position: number): boolean {
    return this.#get(this.#vcpus[position]!, area.halting) !== 0n;
  }

  /** Sends the NMI that makes a halted vCPU take what is pending and exit. */
  nmi(position: number): void {
    this.#vm.signalNmi(position);
  }

  /** Vectors whose handlers ran on a vCPU since the last call of this, in order. */
  takeLog(position: number): number[] {
    const state = this.#vcpus[position]!;
    const length = Math.min(this.#memory.readUInt32LE(state.base + area.logLength), map.logBytesMax);
    if (length === 0) return [];
    this.#put(state, area.logLength, 0n);
    return [...this.#memory.subarray(state.base + area.log, state.base + area.log + length)];
  }

  /** Words of a vCPU's LAPIC page that differ from its set-up. */
  lapicChanges(position: number): LapicChanges {
    const state = this.#vcpus[position]!;
    state.vcpu.getLapic(this.#scratchPage);
    if (this.#scratchPage.equals(state.page.bytes)) return noChanges;
    const changes = new Map<number, number>();
    for (let index = 0; index < this.#scratchWords.length; index++) {
      const value = this.#scratchWords[index]!;
      if (value !== state.page.words[index]) changes.set(4 * index, value);
    }
    return changes;
  }

  /** Changes of memory that nobody may write, which is then restored. */
  get memory(): MemoryWatch {
    return this.#watch;
  }

  /** Describes the last exit of a vCPU if the guest program does not make it, and spoils the machine. */
  describeUnexpectedExit(position: number): string | null {
    const { vcpu } = this.#vcpus[position]!;
    const { reason, port } = vcpu.exit;
    if (reason === uapi.KVM_EXIT_IO && port === map.ports.idle) return null;
    this.#isUsable = false;
    if (reason === uapi.KVM_EXIT_IO && port === map.ports.logFull) return `vCPU ${position}: interrupts without end`;
    const rip = vcpu.getRegs().readBigUInt64LE(uapi.regs.rip);
    const name = uapi.exitReasonNames[reason] ?? `exit ${reason}`;
    return `vCPU ${position}: ${name} at hypercall instruction ${signed(Number(rip) - this.#code.hypercall)}`;
  }

  /** Gives the machine up: one of its vCPUs does not come back from KVM_RUN. */
  giveUp(): void {
    this.#isUsable = false;
    this.#isGivenUp = true;
  }

  /** A machine that was given up stays as it is: a thread is still inside of it. */
  [Symbol.dispose](): void {
    if (this.#isGivenUp) return;
    for (const { vcpu } of this.#vcpus.toReversed()) vcpu[Symbol.dispose]();
    this.#vm[Symbol.dispose]();
  }

  #createVcpu(position: number, cpuid: readonly Buffer[]): VcpuState {
    const vcpu = this.#vm.createVcpu(position);
    try {
      vcpu.setCpuid(cpuid);
      const special = vcpu.getSregs();
      setSpecialRegisters(special, position);
      vcpu.setSregs(special);
      const general = vcpu.getRegs();
      general.writeBigUInt64LE(BigInt(this.#code.entry), uapi.regs.rip);
      general.writeBigUInt64LE(2n, uapi.regs.rflags);
      vcpu.setRegs(general);
      vcpu.makeRunnable();
      const vpIndex = Number(vcpu.getMsr(HV_X64_MSR_VP_INDEX));
      const bytes = Buffer.alloc(lapic.lapicPageBytes);
      const page = { bytes, words: wordsOf(bytes) };
      const base = map.vcpuArea(position);
      return { vcpu, base, pages: new Map(), apic: 'xapic', page, vpIndexWritten: vpIndex, vpIndex };
    } catch (error) {
      vcpu[Symbol.dispose]();
      throw error;
    }
  }

  #setVpIndex(state: VcpuState, position: number, requested: number): void {
    if (state.vpIndexWritten === requested) return;
    // KVM may refuse the value; the index is then that of a fresh vCPU, its position.
    const isTaken = state.vcpu.trySetMsr(HV_X64_MSR_VP_INDEX, BigInt(requested));
    if (!isTaken) state.vcpu.setMsr(HV_X64_MSR_VP_INDEX, BigInt(position));
    state.vpIndexWritten = requested;
    state.vpIndex = Number(state.vcpu.getMsr(HV_X64_MSR_VP_INDEX));
  }

  #setApic(state: VcpuState, position: number, apic: VcpuSetup['apic']): void {
    let page = state.pages.get(apic);
    if (state.apic !== apic || page === undefined) {
      state.vcpu.setMsr(lapic.MSR_IA32_APICBASE, apicBase(position, apic));
      state.apic = apic;
    }
    if (page === undefined) {
      page = setUpLapicPage(state.vcpu, position, apic);
      state.pages.set(apic, page);
    }
    state.vcpu.setLapic(page.bytes);
    state.page = page;
  }

  #command(state: VcpuState, command: bigint): void {
    this.#put(state, area.command, command);
  }

  #put(state: VcpuState, offset: number, value: bigint): void {
    this.#words[(state.base + offset) >>> 3] = value;
  }

  #get(state: VcpuState, offset: number): bigint {
    return this.#words[(state.base + offset) >>> 3]!;
  }

  #readResults(state: VcpuState, count: number): CallResult[] {
    const changes = registerChanges(this.#memory, state.base, count);
    const results: CallResult[] = [];
    for (let index = 0; index < count; index++) {
      const entry = (state.base + area.results + index * callRegisterBytes) >>> 3;
      const exception = Number(this.#words[entry + map.resultEntry.exception / 8]!);
      const rip = Number(this.#words[entry + map.resultEntry.exceptionRip / 8]!);
      results.push({
        result: this.#words[entry + map.resultEntry.rax / 8]!,
        exception: exception === 0 ? null : { vector: exception - 1, ripOffset: rip - this.#code.hypercall },
        registers: changes?.get(index) ?? [],
      });
    }
    return results;
  }
}

function apicBase(position: number, apic: VcpuSetup['apic']): bigint {
  const enable = apic === 'hardware-disabled' ? 0n : lapic.MSR_IA32_APICBASE_ENABLE;
  const x2apic = apic === 'x2apic' ? lapic.X2APIC_ENABLE : 0n;
  const bsp = position === 0 ? lapic.MSR_IA32_APICBASE_BSP : 0n;
  return lapic.APIC_DEFAULT_PHYS_BASE | enable | x2apic | bsp;
}

/**
 * Sets a LAPIC to the state in which programs start and reads it back. TMR is all ones, so that accepting a vector,
 * which clears its bit (__apic_accept_irq), shows even after the vector has been handled.
 */
function setUpLapicPage(vcpu: Vcpu, position: number, apic: VcpuSetup['apic']): LapicPage {
  const page = Buffer.alloc(lapic.lapicPageBytes);
  vcpu.getLapic(page);
  // Both modes have the ID in the top byte here. It must be written: KVM keeps the register's bits over a change from
  // x2APIC to xAPIC (kvm_lapic_set_base), where they mean another ID.
  page.writeUInt32LE(position << 24, lapic.APIC_ID);
  const enabled = apic === 'software-disabled' ? 0 : lapic.APIC_SPIV_APIC_ENABLED;
  page.writeUInt32LE(0xff | enabled, lapic.APIC_SPIV);
  page.writeUInt32LE(0, lapic.APIC_TASKPRI);
  for (let word = 0; word < 8; word++) {
    page.writeUInt32LE(0, lapic.APIC_IRR + 0x10 * word);
    page.writeUInt32LE(0, lapic.APIC_ISR + 0x10 * word);
    page.writeUInt32LE(0xffff_ffff, lapic.APIC_TMR + 0x10 * word);
  }
  vcpu.setLapic(page);
  vcpu.getLapic(page);
  return { bytes: page, words: wordsOf(page) };
}

function wordsOf(bytes: Buffer): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

function signed(offset: number): string {
  return offset < 0 ? `-0x${(-offset).toString(16)}` : `+0x${offset.toString(16)}`;
}
