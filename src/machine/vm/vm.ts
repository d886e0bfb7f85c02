/**
 * A VM that runs the guest program: made once for a platform, set up anew for every program. It knows how calls are issued,
 * how the machine is changed between them, and how handlers' logs are read; what programs make of that is told elsewhere.
 */
import { HV_X64_MSR_GUEST_OS_ID } from '../../abi/hyperv.ts';
import { APIC_DM_NMI } from '../../abi/lapic.ts';
import type { VcpuSetup } from '../../case/case.ts';
import { isSint, sintOf } from '../../case/limits.ts';
import { hasWideIds } from '../../case/vcpus/vcpu-id.ts';
import * as map from '../../guest/memory-map.ts';
import { area } from '../../guest/memory-map.ts';
import type { GuestCode } from '../../guest/program.ts';
import { objectKinds } from '../../hand/operations.ts';
import type { Script } from '../../hand/script.ts';
import * as uapi from '../../hand/uapi.ts';
import type { RegisterChange } from '../../program/observation.ts';
import { type ProgramOf, isRingEnvironment, type Program, type ProgramCall } from '../../program/program.ts';
import { takesInterrupts } from '../../program/tier.ts';
import { CallRing } from '../calls/call-ring.ts';
import { disablesApic } from '../vcpu/catch-up.ts';
import { msrIndexOf } from '../vcpu/msr-index.ts';
import { addMsrs, tryMsr } from '../vcpu/msrs.ts';
import { GuestMemory } from './guest-memory.ts';
import { HostEnteredCalls } from '../calls/host-entered-call.ts';
import type { ObjectNumbers, VmNumbers } from './object-numbers.ts';
import { addPlatform, type HypervCpuid } from './platform.ts';
import { Receiver } from '../receiver.ts';
import type { Slots } from './slots.ts';
import { Memslots } from './memslots.ts';
import { msiTo } from './msi.ts';
import { forgetPage, msrOwnerOf, SpareVm } from './spare-vm.ts';
import { type CallResult, describeExit, expectExit, lostAfterMs, orLost, UnexpectedExit } from '../stop.ts';
import { Vcpu } from '../vcpu/vcpu.ts';
import type { VectorRegisters } from '../calls/vector-registers.ts';
import type { Read } from '../writer.ts';

/** What all VMs of a hand have in common. */
export interface VmParts {
  readonly slots: Slots;
  readonly numbers: ObjectNumbers;
  readonly code: GuestCode;
  readonly cpuid: HypervCpuid;
  readonly vectors: VectorRegisters;
  readonly kvmMaxVcpus: number;
  readonly canInterceptXen: boolean;
  readonly canEnforceCpuid: boolean;
}

/** What the handlers of a vCPU logged: vectors in their order, and PPR when each began where that is logged. */
export interface Log {
  readonly vectors: readonly number[];
  readonly priorities: readonly number[];
}

/** A vCPU and what belongs to it. */
interface Member {
  readonly vcpu: Vcpu;
  readonly receiver: Receiver;
  /** Made with its first call: most of many vCPUs make none. */
  ring: CallRing | null;
}

const noneDisables: readonly boolean[] = [];
const noLog: Log = { vectors: [], priorities: [] };

export class Vm {
  readonly number: number;
  readonly memory: GuestMemory;
  readonly #numbers: VmNumbers;
  readonly #parts: VmParts;
  readonly #members: readonly Member[];
  readonly #calls: HostEnteredCalls;
  readonly memslots: Memslots;
  /** Last value of HV_X64_MSR_GUEST_OS_ID; null when a step has changed it. */
  #guestOsId: bigint | null = 0n;
  /** Whether a step may have given HV_X64_MSR_HYPERCALL a value since the VM was set up, and since it was made. */
  #hasHypercallMsr = false;
  #everHadHypercallMsr = false;
  /** What calls that leave the guest are answered with. */
  #vmmAnswer = 0n;
  /** What its state is moved to next. */
  #spare: SpareVm | null = null;
  /** Whether the program disables an APIC, so that a used vCPU must be as a fresh one is. */
  #disablesApics = false;

  /** @param program whose platform it has (`platformKey`). */
  constructor(parts: VmParts, { machine, vcpus }: Program) {
    this.#numbers = parts.numbers.take(vcpus.length);
    const { vm: number, firstVcpu } = this.#numbers;
    this.number = number;
    this.#parts = parts;
    this.memory = new GuestMemory(number);
    this.memslots = new Memslots(number, vcpus.length);
    this.#calls = new HostEnteredCalls(number, parts.code, parts.slots, parts.vectors);
    const vcpuParts = {
      ...parts,
      hasLapic: machine.irqchip !== 'none',
      hasWideIds: hasWideIds(vcpus),
    };
    this.#members = vcpus.map((setup, position) => {
      const vcpu = new Vcpu(firstVcpu + position, position, setup, vcpuParts);
      return { vcpu, receiver: new Receiver(number, vcpu, parts.code), ring: null };
    });
  }

  /** vCPUs that the hand has for it. */
  get vcpuCount(): number {
    return this.#members.length * (this.#spare === null ? 1 : 2);
  }

  /** Makes it with its vCPUs, in the state in which a program starts. */
  create(script: Script, program: Program): Read<void> {
    const vm = this.number;
    const { vcpus } = program;
    script.add('createVm', { vm, memoryBytes: map.memoryBytesOf(vcpus.length) });
    addPlatform(script, vm, this.#onThisKvm(program).machine, vcpus);
    this.memory.create(script, this.#parts.slots, this.#parts.code, vcpus.length);
    const reads = vcpus.flatMap((setup, position) => {
      const { vcpu } = this.#members[position]!;
      // Set up here, because it takes the longer the more vCPUs there are (`addBasePage`).
      return [vcpu.create(script, vm, setup), vcpu.setUp(script, setup, false)];
    });
    return (record) => {
      for (const read of reads) read(record);
    };
  }

  /** @param later whether what comes next need not wait for it. */
  drop(script: Script, later: boolean): void {
    this.#dropSpare(script, later);
    script.add('dropVm', { vm: this.number, later: Number(later) });
    for (const { vcpu } of this.#members) vcpu.lapic.releaseSlots();
    this.#parts.numbers.giveBack(this.#numbers);
  }

  /**
   * Moves the state of the VM into another one, as a VMM does for a live migration; that one has its numbers from then on. The
   * memory is the same, as where a VMM hands it over to its successor.
   *
   * @param isFresh whether the other one is made for this; else it may be the one that the state was moved from before.
   */
  migrate(script: Script, program: Program, isFresh: boolean): Read<void> {
    const vcpus = this.#members.map(({ vcpu }) => vcpu);
    const onThisKvm = this.#onThisKvm(program);
    this.#spare ??= new SpareVm(script, this.#parts.numbers, this.#numbers, vcpus, onThisKvm);
    const readCaughtUp = this.#disablesApics ? this.#spare.catchUp(script, vcpus) : () => undefined;
    this.#spare.takeOver(script, this.#numbers, vcpus, onThisKvm, this.#everHadHypercallMsr);
    if (isFresh) this.#dropSpare(script, false);
    return readCaughtUp;
  }

  #dropSpare(script: Script, later: boolean): void {
    this.#spare?.drop(script, later);
    this.#spare = null;
  }

  /** The program with a platform that this KVM has. */
  #onThisKvm(program: Program): Program {
    const { machine } = program;
    return { ...program, machine: { ...machine, xen: this.#parts.canInterceptXen && machine.xen } };
  }

  /** Brings the VM and every vCPU into the state in which a program starts; the result is the VP indexes. */
  setUp(script: Script, { machine, vcpus, steps }: Program): Read<number[]> {
    this.memory.undoWrites(script);
    this.memslots.setUp(script);
    this.#vmmAnswer = machine.vmmAnswer;
    // On VMX alone something lags.
    const disables = this.#parts.code.isVmx
      ? vcpus.map((setup, position) => disablesApic(setup, steps, position))
      : noneDisables;
    this.#disablesApics = disables.includes(true);
    const owner = this.vcpuAt(msrOwnerOf(vcpus));
    if (this.#hasHypercallMsr) {
      forgetPage(script, owner.object);
      this.#guestOsId = null;
      this.#hasHypercallMsr = false;
    }
    if (this.#guestOsId !== machine.guestOsId) {
      addMsrs(script, owner.object, [{ index: HV_X64_MSR_GUEST_OS_ID, value: machine.guestOsId }]);
      this.#guestOsId = machine.guestOsId;
    }
    const reads = vcpus.map((setup, position) => {
      const { vcpu, receiver } = this.#members[position]!;
      receiver.setUp(script, setup);
      return vcpu.setUp(script, setup, disables[position] ?? false);
    });
    return (record) => reads.map((read) => read(record));
  }

  vcpuAt(position: number): Vcpu {
    return this.#members[position]!.vcpu;
  }

  receiverAt(position: number): Receiver {
    return this.#members[position]!.receiver;
  }

  /** Writes an MSR as the host; whether KVM took the value. */
  writeMsr(script: Script, { vcpu: position, msr, value }: ProgramOf<'write-msr'>): Read<boolean> {
    const { vcpu } = this.#members[position]!;
    if (msr === 'vp-index') return vcpu.msrs.writeVpIndex(script, value);
    if (isSint(msr)) return vcpu.msrs.writeSint(script, sintOf(msr), value);
    if (msr === 'guest-os-id') this.#guestOsId = null;
    else this.#hasHypercallMsr = this.#everHadHypercallMsr = true;
    return tryMsr(script, vcpu.object, msrIndexOf(msr), value);
  }

  /** Sends what is no interrupt of a vector to a vCPU, as an MSI. */
  signal(script: Script, position: number, data: number): void {
    const { object, id } = this.vcpuAt(position);
    // What its last exit has left to do would be done where it starts.
    script.add('completeExit', { vcpu: object });
    const request = uapi.KVM_SIGNAL_MSI;
    const argument = msiTo(id, data);
    script.add('ioctl', { kind: objectKinds.vm, object: this.number, request, record: 0, argument });
  }

  /** Makes calls of one sender: through its ring, or one call by the host's entering the guest. */
  call(script: Script, sender: number, calls: readonly ProgramCall[]): Read<CallResult[]> {
    const { vcpu, receiver } = this.#members[sender]!;
    for (const { writes } of calls) this.memory.write(script, writes);
    receiver.forget();
    if (!isRingEnvironment(calls[0]!.environment)) {
      const read = this.#calls.call(script, vcpu, calls[0]!, this.#vmmAnswer);
      return (record) => [read(record)];
    }
    if (takesInterrupts(calls[0]!)) receiver.noteHandlers();
    vcpu.goHome(script);
    const ring = this.ringOf(sender);
    const readPlaces = ring.put(script, calls, map.commands.calls);
    script.add('run', {
      vcpu: vcpu.object,
      thread: vcpu.thread,
      port: map.ports.idle,
      otherPort: map.ports.idle,
      answer: this.#vmmAnswer,
      watch: ring.cursorAt,
      // What came of the calls before it is to be seen.
      lenient: 1,
    });
    const resultsAfter = ring.results(script);
    script.add('settle', {});
    return (record) => {
      readPlaces(record);
      const exit = record.exit();
      const results = resultsAfter(exit)(record);
      const description = describeExit(sender, exit, this.#parts.code);
      if (description !== null) throw new UnexpectedExit(description, results);
      return results;
    };
  }

  ringOf(position: number): CallRing {
    const member = this.#members[position]!;
    return (member.ring ??= new CallRing(this.number, map.vcpuArea(position), this.#parts.code, this.#parts.slots));
  }

  /** What calls through the ring of a vCPU changed of the registers that the ring does not have. */
  upperHalfChanges(script: Script, position: number): Read<readonly RegisterChange[]> {
    return this.#parts.vectors.upperChanges(script, this.#parts.slots, this.vcpuAt(position).object);
  }

  /** Starts a vCPU on its thread, where it halts with interrupts on. */
  startHalting(script: Script, position: number): void {
    const { vcpu, receiver } = this.#members[position]!;
    receiver.prepare(script, map.commands.halt, [
      [area.stop, 0],
      [area.halting, 0],
    ]);
    script.add('start', { thread: vcpu.thread, vcpu: vcpu.object });
  }

  /** Waits until a vCPU that was started so has come to its `sti; hlt`. */
  waitForHalt(script: Script, position: number): Read<void> {
    const offset = map.vcpuArea(position) + area.halting;
    script.add('waitForWord', { vm: this.number, offset, milliseconds: lostAfterMs });
    return (record) => void orLost(() => record.u8(), `vCPU ${position} does not come to hlt`);
  }

  /**
   * Makes a halted vCPU take what is pending and come back, by an NMI that is sent as an MSI. One NMI too many is taken in a
   * window behind it: in a call that the host enters nothing would return from it, and NMIs would stay blocked.
   */
  fetch(script: Script, position: number): Read<void> {
    const { vcpu, receiver } = this.#members[position]!;
    script.add('fetch', {
      thread: vcpu.thread,
      vm: this.number,
      request: uapi.KVM_SIGNAL_MSI,
      milliseconds: lostAfterMs,
      argument: msiTo(vcpu.id, APIC_DM_NMI),
    });
    const { idle } = map.ports;
    script.add('exit', { vcpu: vcpu.object, port: idle, lenient: 0 });
    const readWindow = receiver.openWindow(script);
    return (record) => {
      orLost(() => record.u8(), `vCPU ${position} does not wake up from hlt`);
      expectExit(position, record.exit(), this.#parts.code);
      readWindow(record);
    };
  }

  /** Vectors whose handlers ran on a vCPU since the last call of this, in order; and PPR at their beginning if logged. */
  takeLog(script: Script, position: number, { logsPpr }: VcpuSetup): Read<Log> {
    if (!this.receiverAt(position).takeMayHaveLogged()) return () => noLog;
    const base = map.vcpuArea(position);
    script.add('takeLog', {
      vm: this.number,
      lengthAt: base + area.logLength,
      most: map.logBytesMax,
      first: base + area.log,
      second: logsPpr ? base + area.priorities : 0,
    });
    return (record) => {
      const length = record.u16();
      if (length === 0) return noLog;
      const vectors = [...record.bytes(length)];
      return { vectors, priorities: logsPpr ? [...record.bytes(length)] : [] };
    };
  }
}
