/**
 * One vCPU: how it gets back to where a program starts, and what steps change. Scripts are written before earlier ones
 * have run, so it remembers what scripts have asked for. A case that ends otherwise takes its VM along, so nothing is
 * remembered wrongly.
 */
import type { VcpuSetup } from '../../case/case.ts';
import { vcpuIdOf } from '../../case/vcpus/vcpu-id.ts';
import type { GuestCode } from '../../guest/program.ts';
import { encodePatches, noPatches, type Script } from '../../hand/script.ts';
import * as uapi from '../../hand/uapi.ts';
import type { LapicChanges, VcpuState } from '../../program/observation.ts';
import { RFLAGS_IF } from '../../program/program.ts';
import { HypervMsrs } from './hyperv-msrs.ts';
import { Lapic } from './lapic.ts';
import { readMsr } from './msrs.ts';
import { addCatchUp } from './catch-up.ts';
import { moveVcpu } from '../vm/migration.ts';
import { addEnableCap, type HypervCpuid } from '../vm/platform.ts';
import { Registers, RFLAGS_FIXED } from './registers.ts';
import { addMpState, readMpState, readStart } from './sipi.ts';
import type { Slots } from '../vm/slots.ts';
import type { VectorRegisters } from '../calls/vector-registers.ts';
import type { Read } from '../writer.ts';

const mpStates: Readonly<Record<VcpuSetup['idle'], number>> = {
  parked: uapi.KVM_MP_STATE_RUNNABLE,
  halted: uapi.KVM_MP_STATE_RUNNABLE,
  spinning: uapi.KVM_MP_STATE_RUNNABLE,
  uninitialized: uapi.KVM_MP_STATE_UNINITIALIZED,
  'init-received': uapi.KVM_MP_STATE_INIT_RECEIVED,
};

/** What all vCPUs of a VM have in common. */
export interface VcpuParts {
  readonly slots: Slots;
  readonly cpuid: HypervCpuid;
  readonly vectors: VectorRegisters;
  readonly hasLapic: boolean;
  readonly hasWideIds: boolean;
  /** VP indexes are below it. */
  readonly kvmMaxVcpus: number;
  readonly canEnforceCpuid: boolean;
  readonly code: GuestCode;
}

export class Vcpu {
  /** Number of the hand's object. */
  readonly object: number;
  /** Argument of KVM_CREATE_VCPU, and the APIC ID. */
  readonly id: number;
  readonly position: number;
  readonly lapic: Lapic;
  readonly msrs: HypervMsrs;
  /** Whether it may have run while APICv was not active for it (`addCatchUp`). */
  mayLag = false;
  /** Thread of the hand on which it runs; 0 is the one that executes scripts. KVM waits long when a vCPU changes its thread. */
  thread = 0;
  readonly #parts: VcpuParts;
  readonly #registers: Registers;
  /** Whether it got INIT since the program began. */
  #gotInit = false;
  #mpState: number | null = null;
  #isAtHome = false;
  readonly #hasSynic: boolean;

  constructor(object: number, position: number, setup: VcpuSetup, parts: VcpuParts) {
    this.object = object;
    this.position = position;
    this.id = vcpuIdOf(setup, position);
    this.#parts = parts;
    this.#registers = new Registers(parts.slots, position);
    this.#hasSynic = setup.autoEoi.length > 0;
    this.lapic = new Lapic(object, this.id, parts.hasWideIds, parts.slots);
    this.msrs = new HypervMsrs(object, position, this.#hasSynic, parts.kvmMaxVcpus);
  }

  /** Makes it, with what cannot change later. */
  create(script: Script, vm: number, setup: VcpuSetup): Read<void> {
    const { object } = this;
    const { slots, vectors } = this.#parts;
    this.createAs(script, vm, object, setup);
    vectors.give(script, slots, object, null);
    // A vCPU without Hyper-V gets a Hyper-V context when the host asks for its VP index (kvm_hv_get_msr_common), so it
    // is not asked.
    return setup.lacks.includes('hyperv') ? () => undefined : this.msrs.readVpIndex(script);
  }

  /** Makes a vCPU like it, as that object of that VM: to such a one its state can be moved. */
  createAs(script: Script, vm: number, object: number, setup: VcpuSetup): void {
    const { slots, cpuid } = this.#parts;
    script.add('createVcpu', { vcpu: object, vm, id: this.id, regs: uapi.KVM_SYNC_X86_REGS });
    // Whether KVM enforces CPUID is set before CPUID is.
    if (setup.enforced && this.#parts.canEnforceCpuid)
      addEnableCap(script, 'vcpu', object, uapi.KVM_CAP.HYPERV_ENFORCE_CPUID, 1);
    const table = slots.of(script, `cpuid ${setup.lacks.join(' ')}`, () => cpuid.tableWithout(setup.lacks));
    const request = uapi.KVM_SET_CPUID2;
    script.add('ioctlKept', { vcpu: object, request, slot: table, times: 1, unlessSame: 0, patches: noPatches });
    if (this.#hasSynic) addEnableCap(script, 'vcpu', object, uapi.KVM_CAP.HYPERV_SYNIC2, 0);
  }

  /** Moves its state to a vCPU that `createAs` made, or that was left so before. */
  moveTo(script: Script, object: number, setup: VcpuSetup, mayBeInServiceThere: boolean): void {
    moveVcpu(script, this.object, object, {
      hasLapic: this.#parts.hasLapic,
      hasHyperv: !setup.lacks.includes('hyperv') || !this.msrs.hasOwnVpIndex,
      hasSynic: this.#hasSynic,
      isOff: this.lapic.isOff,
      mayBeInServiceThere,
    });
  }

  /**
   * The state in which a program starts, memory excepted; the result is the VP index.
   *
   * @param disablesApic whether the program has its APIC disabled, at some time.
   */
  setUp(script: Script, setup: VcpuSetup, disablesApic: boolean): Read<number> {
    this.#gotInit = false;
    const readCaughtUp = disablesApic && this.mayLag ? this.#catchUp(script) : () => undefined;
    if (this.#parts.hasLapic) this.lapic.setUp(script, setup);
    const readIndex = this.msrs.setVpIndex(script, setup.vpIndex);
    const read: Read<number> = (record) => {
      readCaughtUp(record);
      return readIndex(record);
    };
    if (!this.#parts.hasLapic) return read;
    this.msrs.setAssistPage(script, setup);
    this.msrs.setSints(script, setup);
    const mpState = mpStates[setup.idle];
    if (this.#mpState !== mpState) this.#setMpState(script, mpState);
    return read;
  }

  #catchUp(script: Script): Read<void> {
    const read = this.catchUpAs(script, this.object);
    this.#mpState = uapi.KVM_MP_STATE_RUNNABLE;
    this.lapic.noteEnabled();
    this.#isAtHome = true;
    this.mayLag = false;
    return read;
  }

  /** Makes it as a fresh one is, or a vCPU like it to which its state is moved then. */
  catchUpAs(script: Script, object: number): Read<void> {
    return addCatchUp(script, object, this, this.#parts.code, this.#registers);
  }

  /**
   * Gives it the registers of the guest program again, at its entry, if it has not got them; only right before it runs,
   * because CR8 and the APIC's base are among them.
   */
  goHome(script: Script): void {
    this.#noteRun();
    if (!this.#isAtHome) this.#registers.give(script, this.object, { rip: this.#parts.code.entry });
    this.#isAtHome = true;
  }

  /** Somebody else sets its registers from here on, or it stands where the guest program does not wait for a command. */
  leaveHome(): void {
    this.#noteRun();
    this.#isAtHome = false;
  }

  /** It runs next, or may. */
  #noteRun(): void {
    const { code, hasLapic } = this.#parts;
    this.mayLag ||= code.isVmx && hasLapic && (this.lapic.isOff || this.#hasSynic);
  }

  /**
   * Puts it in front of an instruction that is in an interrupt shadow, with interrupts on; only right before it runs. RSP is what
   * a word of guest memory holds.
   */
  standInShadow(script: Script, shadow: 'sti' | 'mov-ss', rip: number, rspAt: number): void {
    this.#registers.give(script, this.object, { rip, rflags: RFLAGS_FIXED | RFLAGS_IF });
    script.add('loadRegister', { vcpu: this.object, register: uapi.regs.rsp / 8, offset: rspAt });
    this.leaveHome();
    const events = Buffer.alloc(4);
    events.writeUInt32LE(uapi.KVM_VCPUEVENT_VALID_SHADOW);
    const kind = shadow === 'sti' ? uapi.KVM_X86_SHADOW_INT_STI : uapi.KVM_X86_SHADOW_INT_MOV_SS;
    script.add('ioctlPatch', {
      vcpu: this.object,
      get: uapi.KVM_GET_VCPU_EVENTS,
      set: uapi.KVM_SET_VCPU_EVENTS,
      size: uapi.sizes.kvm_vcpu_events,
      patches: encodePatches([
        { offset: uapi.vcpuEvents.interruptShadow, bytes: Buffer.from([kind]) },
        { offset: uapi.vcpuEvents.flags, bytes: events },
      ]),
    });
  }

  /** Brings it back from `hlt` or from wherever it was asked to exit. */
  wakeUp(script: Script): void {
    this.leaveHome();
    this.#setMpState(script, uapi.KVM_MP_STATE_RUNNABLE);
  }

  /** Reads an MSR as the host; null where KVM does not give it. */
  readMsr(script: Script, index: number): Read<bigint | null> {
    return readMsr(script, this.object, index);
  }

  /** Lets KVM act on an INIT that was sent: it does before it answers (kvm_arch_vcpu_ioctl_get_mpstate). */
  takeInit(script: Script): Read<number> {
    this.#gotInit = this.lapic.noteInit() || this.#gotInit;
    this.leaveHome();
    this.#mpState = null;
    return readMpState(script, this.object);
  }

  /** Lets KVM act on a start-up IPI; the MP state, and above 16 bits the selector of CS where it got INIT before. */
  takeSipi(script: Script): Read<bigint> {
    this.leaveHome();
    this.#mpState = null;
    return readStart(script, this.object, this.#gotInit);
  }

  /** Words of the LAPIC page that differ from the page that changes are counted from. */
  lapicChanges(script: Script): Read<LapicChanges> {
    return this.lapic.changes(script);
  }

  /** Registers as of its last exit, activity and LAPIC; of a vCPU that runs this would wait. */
  state(script: Script): Read<VcpuState> {
    script.add('registersDiff', { vcpu: this.object, general: noRegisters });
    const readState = readMpState(script, this.object);
    const readLapic = this.lapicChanges(script);
    return (record) => {
      const general = record.registers(noRegisters);
      const registers = Array.from({ length: general.length / 8 }, (_, index) => general.readBigUInt64LE(8 * index));
      const mpState = readState(record);
      return { mpState, registers, lapic: readLapic(record) };
    };
  }

  #setMpState(script: Script, mpState: number): void {
    this.#mpState = mpState;
    // One that waits for INIT completes nothing any more (kvm_arch_vcpu_ioctl_run).
    if (mpState === uapi.KVM_MP_STATE_UNINITIALIZED) script.add('completeExit', { vcpu: this.object });
    addMpState(script, this.object, mpState);
  }
}

const noRegisters = Buffer.alloc(uapi.sizes.kvm_regs);
