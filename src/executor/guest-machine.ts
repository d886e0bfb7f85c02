/**
 * A VM that runs the guest program: made once for a platform, set up anew for every program. It knows how to issue
 * calls, how to change the machine between them, how to let a vCPU take interrupts, and how to tell what changed.
 */
import { HV_X64_MSR_GUEST_OS_ID, HV_X64_MSR_HYPERCALL } from '../abi/hyperv.ts';
import { APIC_DM_INIT, APIC_DM_NMI } from '../abi/lapic.ts';
import type { VcpuSetup } from '../case/case.ts';
import type { LapicChanges, RegisterChange } from '../program/observation.ts';
import type {
  CallEnvironment,
  MemoryWrite,
  Program,
  ProgramAct,
  ProgramSetApic,
  ProgramCall,
  ProgramInit,
  ProgramWriteMsr,
} from '../program/program.ts';
import { hasWideIds } from '../case/vcpu-id.ts';
import { writeImage } from '../guest/image.ts';
import * as map from '../guest/memory-map.ts';
import { area } from '../guest/memory-map.ts';
import type { GuestCode } from '../guest/program.ts';
import type { Kvm, Vm } from '../kvm/kvm.ts';
import * as uapi from '../kvm/uapi.ts';
import { answerExit } from './call-exit.ts';
import { type CallResult, UnexpectedExit } from './call-result.ts';
import { CallRing } from './call-ring.ts';
import { EntryCaller } from './entry-caller.ts';
import { GuestVcpu } from './guest-vcpu.ts';
import { MemoryWatch } from './memory-watch.ts';
import { type HypervCpuid, setUpVm } from './platform.ts';
import { LostWakeUp, Receiver } from './receiver.ts';
import { VcpuArea } from './vcpu-area.ts';
import { VectorRegisters } from './vector-registers.ts';

const noLog = { vectors: [], priorities: [] } as const;

/** A vCPU and what belongs to it. */
interface Member {
  readonly guest: GuestVcpu;
  readonly receiver: Receiver;
  /** Made with its first call: most of many vCPUs make none. */
  ring: CallRing | null;
  readonly area: VcpuArea;
}

export class GuestMachine implements Disposable {
  readonly #vm: Vm;
  readonly #memory: Buffer;
  readonly #watch: MemoryWatch;
  readonly #code: GuestCode;
  readonly #members: Member[] = [];
  /** What all vCPUs share: addresses are those of memory. */
  readonly #shared: VcpuArea;
  readonly #entries: EntryCaller;
  readonly #vectors: VectorRegisters;
  /** Last value of HV_X64_MSR_GUEST_OS_ID; null when a step has changed it. */
  #guestOsId: bigint | null = 0n;
  /** The program for which all vCPUs are set up, as long as none of them has run. */
  #isSetUpFor: Program | null = null;
  #isUsable = true;
  #isGivenUp = false;

  /** A VM for programs that have the platform of this one (`platformKey`). */
  constructor(kvm: Kvm, code: GuestCode, cpuid: HypervCpuid, program: Program) {
    const { machine, vcpus } = program;
    this.#code = code;
    this.#vectors = new VectorRegisters(cpuid.hasAvx);
    this.#vm = kvm.createVm();
    try {
      setUpVm(kvm, this.#vm, program);
      this.#memory = this.#vm.addMemory(map.memslotsOf(vcpus.length));
      this.#shared = new VcpuArea(this.#memory, 0);
      writeImage(this.#memory, code, vcpus.length);
      const hasLapic = machine.irqchip !== 'none';
      const parts = { cpuid, hasLapic, hasWideIds: hasWideIds(vcpus), home: code.entry };
      for (const [position, setup] of vcpus.entries()) {
        const guest = new GuestVcpu(this.#vm, position, setup, parts);
        this.#members.push(this.#memberOf(guest, map.vcpuArea(position)));
        this.#vectors.setUp(guest.vcpu);
        // Here, because it takes the longer the more vCPUs there are (`setUpLapicPage`).
        guest.setUp(setup);
      }
      this.#isSetUpFor = program;
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    this.#watch = new MemoryWatch(this.#memory.subarray(0, map.watchedBytes), map.quietRanges);
    this.#entries = new EntryCaller(this.#memory, code.instruction, this.#vectors);
  }

  get vcpuCount(): number {
    return this.#members.length;
  }

  /** False after an unexpected exit, or when a vCPU was given up. */
  get isUsable(): boolean {
    return this.#isUsable;
  }

  /** Brings the VM and every vCPU into the state in which a program starts; the result is the VP indexes. */
  setUp(program: Program): number[] {
    const { machine, vcpus } = program;
    const isSetUp = this.#isSetUpFor === program;
    this.#isSetUpFor = null;
    this.#watch.undoWrites();
    if (this.#guestOsId !== machine.guestOsId) {
      // A vCPU gets its Hyper-V context by this write (kvm_hv_vcpu_init): one that is to have none is left alone.
      const owner = vcpus.findIndex(({ lacks }) => !lacks.includes('hyperv'));
      this.#members[Math.max(0, owner)]!.guest.vcpu.setMsr(HV_X64_MSR_GUEST_OS_ID, machine.guestOsId);
      this.#guestOsId = machine.guestOsId;
    }
    return vcpus.map((setup, position) => {
      const member = this.#members[position]!;
      member.receiver.setUp(setup);
      if (!isSetUp) member.guest.setUp(setup);
      return member.guest.vpIndex;
    });
  }

  /** Writes an MSR as the host; whether KVM took the value. */
  writeMsr({ vcpu, msr, value }: ProgramWriteMsr): boolean {
    const { guest } = this.#members[vcpu]!;
    if (msr === 'vp-index') return guest.writeVpIndex(value);
    if (msr === 'guest-os-id') this.#guestOsId = null;
    return guest.vcpu.trySetMsr(msr === 'guest-os-id' ? HV_X64_MSR_GUEST_OS_ID : HV_X64_MSR_HYPERCALL, value);
  }

  changeApic({ vcpu, apic }: ProgramSetApic, setup: VcpuSetup): void {
    this.#members[vcpu]!.guest.changeApic(apic, setup);
  }

  /** Sends INIT to a vCPU and lets KVM act on it. */
  init({ vcpu }: ProgramInit): void {
    const { guest } = this.#members[vcpu]!;
    this.#vm.signalMsi(guest.id, APIC_DM_INIT);
    guest.takeInit();
  }

  /** Puts input blocks into memory. */
  write(writes: readonly MemoryWrite[]): void {
    for (const { gpa, bytes } of writes) this.#watch.write(gpa, bytes);
  }

  /**
   * Issues calls, at most `map.ringEntries`, by one vCPU; one KVM_RUN, and one more for each call that leaves the guest.
   *
   * @throws UnexpectedExit
   */
  call(sender: number, calls: readonly ProgramCall[]): CallResult[] {
    const member = this.#members[sender]!;
    this.putCalls(sender, calls);
    member.area.put(area.command, map.commands.calls);
    const { vcpu } = member.guest;
    vcpu.run();
    for (let exit = answerExit(vcpu); exit !== null; exit = answerExit(vcpu)) {
      if (!this.#ringOf(member).noteExit(exit)) break;
      vcpu.run();
    }
    const results = this.resultsOf(sender, calls.length);
    const exit = this.describeUnexpectedExit(sender);
    if (exit !== null) throw new UnexpectedExit(exit, results);
    return results;
  }

  /** Puts calls into a vCPU's ring. */
  putCalls(sender: number, calls: readonly ProgramCall[]): void {
    const member = this.#members[sender]!;
    member.receiver.forget();
    member.guest.goHome();
    this.#ringOf(member).put(calls);
  }

  /** What came of the calls in a vCPU's ring, of which there were `count`; fewer when it was stopped. */
  resultsOf(sender: number, count: number): CallResult[] {
    return this.#ringOf(this.#members[sender]!).results(count);
  }

  /**
   * Starts a vCPU on a thread of its own with a command and words of its area; whether its next exit is one to us, or
   * it was asked to exit.
   */
  start(
    position: number,
    command: keyof typeof map.commands,
    words: readonly (readonly [offset: number, value: number])[],
  ): Promise<boolean> {
    const member = this.#members[position]!;
    member.guest.goHome();
    for (const [offset, value] of words) member.area.put(offset, value);
    member.area.put(area.command, map.commands[command]);
    return member.guest.vcpu.runInterruptibly();
  }

  /** How many rounds a vCPU goes before each call of its ring; they stay until they are set anew. */
  putSpins(sender: number, spins: readonly number[]): void {
    this.#ringOf(this.#members[sender]!).putSpins(spins);
  }

  /** Sets a word that all vCPUs share. */
  share(address: number, value: number): void {
    this.#shared.put(address, value);
  }

  guestAt(position: number): GuestVcpu {
    return this.#members[position]!.guest;
  }

  /**
   * Makes one call in its own way.
   *
   * @throws UnexpectedExit
   */
  enter(sender: number, entry: CallEnvironment, registers: Buffer): CallResult {
    const { guest, receiver } = this.#members[sender]!;
    receiver.forget();
    guest.leaveHome();
    const result = this.#entries.call(guest.vcpu, entry, registers);
    if (typeof result !== 'string') return result;
    this.#isUsable = false;
    throw new UnexpectedExit(`vCPU ${sender}: ${result}`);
  }

  /** What calls through the ring of a vCPU changed of the registers that the ring does not have. */
  upperHalfChanges(position: number): readonly RegisterChange[] {
    const changes = this.#vectors.upperChanges(this.#members[position]!.guest.vcpu);
    if (changes.length > 0) this.spoil();
    return changes;
  }

  /** Lets a vCPU take what is pending. */
  openWindow(position: number): void {
    this.#members[position]!.receiver.openWindow();
    this.#refuseUnexpectedExit(position);
  }

  /** Lets a vCPU go on from where it waits, or take what is pending. */
  goOn(position: number): Promise<void> {
    return this.#receive(position, (receiver) => receiver.goOn());
  }

  /** Has a vCPU do something as a receiver. */
  act(step: ProgramAct): Promise<void> {
    return this.#receive(step.vcpu, (receiver) => receiver.act(step));
  }

  /** Starts a vCPU as `start` does, where it halts with interrupts on: nobody has asked it to stop, and it is on its way. */
  halt(position: number): Promise<boolean> {
    return this.start(position, 'halt', [
      [area.stop, 0],
      [area.halting, 0],
    ]);
  }

  /** Whether a vCPU that was started with `halt` has come to its `sti; hlt`. */
  isHalting(position: number): boolean {
    return this.#members[position]!.area.get(area.halting) !== 0;
  }

  /** Sends the NMI that makes a halted vCPU take what is pending and exit. */
  nmi(position: number): void {
    this.#vm.signalMsi(this.#members[position]!.guest.id, APIC_DM_NMI);
  }

  /** Vectors whose handlers ran on a vCPU since the last call of this, in order; and PPR at their beginning if logged. */
  takeLog(position: number, { logsPpr }: VcpuSetup): { vectors: readonly number[]; priorities: readonly number[] } {
    const member = this.#members[position]!;
    const length = Math.min(member.area.get(area.logLength), map.logBytesMax);
    if (length === 0) return noLog;
    member.area.put(area.logLength, 0);
    const { base } = member.area;
    const bytesAt = (offset: number) => [...this.#memory.subarray(base + offset, base + offset + length)];
    return { vectors: bytesAt(area.log), priorities: logsPpr ? bytesAt(area.priorities) : [] };
  }

  /** Words of a vCPU's LAPIC page that differ from its set-up. */
  lapicChanges(position: number): LapicChanges {
    return this.#members[position]!.guest.lapicChanges();
  }

  /** Changes of memory that nobody may write, which is then restored. */
  get memory(): MemoryWatch {
    return this.#watch;
  }

  /** Describes the last exit of a vCPU if the guest program does not make it, and spoils the machine. */
  describeUnexpectedExit(position: number): string | null {
    const { vcpu } = this.#members[position]!.guest;
    const { reason, port } = vcpu;
    if (reason === uapi.KVM_EXIT_IO && port === map.ports.idle) return null;
    this.#isUsable = false;
    if (reason === uapi.KVM_EXIT_IO && port === map.ports.logFull) return `vCPU ${position}: interrupts without end`;
    const rip = vcpu.regs.readBigUInt64LE(uapi.regs.rip);
    const name = uapi.exitReasonNames[reason] ?? `exit ${reason}`;
    return `vCPU ${position}: ${name} at hypercall instruction ${signed(Number(rip) - this.#code.hypercall)}`;
  }

  /** The machine is in a state that no program starts from. */
  spoil(): void {
    this.#isUsable = false;
  }

  /** Gives the machine up: one of its vCPUs does not come back from KVM_RUN. */
  giveUp(): void {
    this.#isUsable = false;
    this.#isGivenUp = true;
  }

  /** A machine that was given up stays as it is: a thread is still inside of it. */
  [Symbol.dispose](): void {
    if (this.#isGivenUp) return;
    for (const { guest } of this.#members.toReversed()) guest[Symbol.dispose]();
    this.#vm[Symbol.dispose]();
  }

  #memberOf(guest: GuestVcpu, base: number): Member {
    const own = new VcpuArea(this.#memory, base);
    return { guest, ring: null, area: own, receiver: new Receiver(guest, own, this.#code) };
  }

  #ringOf(member: Member): CallRing {
    return (member.ring ??= new CallRing(this.#memory, member.area.base, this.#code));
  }

  async #receive(position: number, action: (receiver: Receiver) => Promise<boolean>): Promise<void> {
    let ran = false;
    try {
      ran = await action(this.#members[position]!.receiver);
    } catch (error) {
      if (!(error instanceof LostWakeUp)) throw error;
      this.giveUp();
      throw new UnexpectedExit(`vCPU ${position} does not wake up from hlt`);
    }
    if (ran) this.#refuseUnexpectedExit(position);
  }

  #refuseUnexpectedExit(position: number): void {
    const exit = this.describeUnexpectedExit(position);
    if (exit !== null) throw new UnexpectedExit(exit);
  }
}

function signed(offset: number): string {
  return offset < 0 ? `-0x${(-offset).toString(16)}` : `+0x${offset.toString(16)}`;
}
