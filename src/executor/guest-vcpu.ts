/** One vCPU of a machine: what it must be brought back to before a program, and what steps change about it. */
import * as hyperv from '../abi/hyperv.ts';
import * as lapic from '../abi/lapic.ts';
import type { VcpuSetup } from '../case/case.ts';
import type { LapicChanges, VcpuState } from '../program/observation.ts';
import type { ProgramSetApic } from '../program/program.ts';
import { idRegister, vcpuIdOf } from '../case/vcpu-id.ts';
import { setSpecialRegisters } from '../guest/image.ts';
import { area, gpaOf, vcpuArea } from '../guest/memory-map.ts';
import { Overlay } from '../guest/overlay.ts';
import type { Vcpu, Vm } from '../kvm/kvm.ts';
import * as uapi from '../kvm/uapi.ts';
import { apicBase, hasPreset, type LapicPage, presetLapic, setUpLapicPage, spurious } from './lapic-setup.ts';
import { createVcpu, type HypervCpuid } from './platform.ts';
import { wordsOf } from './words.ts';

/** Bit 1, which is always set, and the interrupt flag. */
const RFLAGS_FIXED = 0x2n;
const RFLAGS_IF = 0x200n;

const noChanges: LapicChanges = new Map();

const mpStates: Readonly<Record<VcpuSetup['idle'], number>> = {
  parked: uapi.KVM_MP_STATE_RUNNABLE,
  halted: uapi.KVM_MP_STATE_RUNNABLE,
  spinning: uapi.KVM_MP_STATE_RUNNABLE,
  uninitialized: uapi.KVM_MP_STATE_UNINITIALIZED,
  'init-received': uapi.KVM_MP_STATE_INIT_RECEIVED,
};

/** One page for all: programs run one after the other. */
const scratch = Buffer.alloc(lapic.lapicPageBytes);
const scratchWords = wordsOf(scratch);

export class GuestVcpu implements Disposable {
  readonly vcpu: Vcpu;
  /** Argument of KVM_CREATE_VCPU, and the APIC ID. */
  readonly id: number;
  /** Whether the program may leave a vector in service that a handler took. */
  mayBeInService = false;
  readonly #position: number;
  readonly #hasLapic: boolean;
  readonly #hasWideIds: boolean;
  /** Where the guest program begins. */
  readonly #home: number;
  /** LAPIC page of each APIC state, made when it is first asked for. */
  readonly #pages = new Map<VcpuSetup['apic'], LapicPage>();
  #page: LapicPage | null = null;
  /** Whether the LAPIC was as `#page` has it when it was last looked at, and nothing has run since. */
  #isUntouched = false;
  /** Null when a step has changed it: it must be set anew. */
  #apic: VcpuSetup['apic'] | null = null;
  /** Last value written to HV_X64_MSR_VP_INDEX, null when a step has changed it; and what reading it gives. */
  #vpIndexWritten: number | null;
  #vpIndex: number;
  /** Whether KVM has taken none of the values so far: the VP index is still the one that KVM gave it. */
  #hasOwnVpIndex = true;
  #mpState = -1;
  #isAtHome = false;
  /** Whether the VP assist page is enabled, and how many SINTs are unmasked. */
  #hasAssistPage = false;
  #sints = 0;

  constructor(
    vm: Vm,
    position: number,
    setup: VcpuSetup,
    parts: {
      readonly cpuid: HypervCpuid;
      readonly hasLapic: boolean;
      readonly hasWideIds: boolean;
      readonly home: number;
    },
  ) {
    this.vcpu = createVcpu(vm, position, setup, parts.cpuid);
    this.id = vcpuIdOf(setup, position);
    this.#position = position;
    this.#hasLapic = parts.hasLapic;
    this.#hasWideIds = parts.hasWideIds;
    this.#home = parts.home;
    // A vCPU without Hyper-V gets a Hyper-V context when the host asks for its VP index (kvm_hv_get_msr_common), so it
    // is not asked.
    this.#vpIndex = setup.lacks.includes('hyperv') ? position : Number(this.vcpu.getMsr(hyperv.HV_X64_MSR_VP_INDEX));
    this.#vpIndexWritten = this.#vpIndex;
  }

  get vpIndex(): number {
    return this.#vpIndex;
  }

  /** The state in which a program starts, memory excepted. */
  setUp(setup: VcpuSetup): void {
    this.#setVpIndex(setup.vpIndex);
    if (!this.#hasLapic) return;
    this.#setApic(setup);
    this.#setAssistPage(setup);
    this.#setSints(setup);
    const mpState = mpStates[setup.idle];
    if (this.#mpState !== mpState) this.vcpu.setMpState(mpState);
    this.#mpState = mpState;
  }

  /**
   * Gives it the registers of the guest program again, at its entry, if it has not got them; only right before it runs,
   * because CR8 and the APIC's base are among them.
   */
  goHome(): void {
    if (this.#isAtHome) return;
    this.vcpu.getSregs();
    homeRegisters(this.#position).apply(this.vcpu.sregs);
    this.vcpu.regs.fill(0);
    this.vcpu.regs.writeBigUInt64LE(BigInt(this.#home), uapi.regs.rip);
    this.vcpu.regs.writeBigUInt64LE(RFLAGS_FIXED, uapi.regs.rflags);
    this.vcpu.setAllRegs();
    this.#isAtHome = true;
  }

  /** Brings it back from `hlt` or from wherever it was asked to exit. */
  wakeUp(): void {
    this.#isAtHome = false;
    this.#mpState = uapi.KVM_MP_STATE_RUNNABLE;
    this.vcpu.setMpState(this.#mpState);
  }

  /** Registers as of its last exit, activity and LAPIC; of a vCPU that runs this would wait. */
  state(): VcpuState {
    const { regs } = this.vcpu;
    return {
      mpState: this.vcpu.getMpState(),
      registers: Array.from({ length: uapi.sizes.kvm_regs / 8 }, (_, index) => regs.readBigUInt64LE(8 * index)),
      lapic: this.lapicChanges(),
    };
  }

  /** Somebody else sets its registers from here on, or it stands where the guest program does not wait for a command. */
  leaveHome(): void {
    this.#isAtHome = false;
  }

  /** Puts it in front of an instruction that is in an interrupt shadow, with interrupts on; only right before it runs. */
  standInShadow(shadow: 'sti' | 'mov-ss', place: { readonly rip: number; readonly rsp: number }): void {
    this.#isAtHome = false;
    this.goHome();
    const { regs } = this.vcpu;
    regs.writeBigUInt64LE(BigInt(place.rip), uapi.regs.rip);
    regs.writeBigUInt64LE(BigInt(place.rsp), uapi.regs.rsp);
    regs.writeBigUInt64LE(RFLAGS_FIXED | RFLAGS_IF, uapi.regs.rflags);
    this.vcpu.setInterruptShadow(shadow === 'sti' ? uapi.KVM_X86_SHADOW_INT_STI : uapi.KVM_X86_SHADOW_INT_MOV_SS);
    this.#isAtHome = false;
  }

  /** Whether it would take an interrupt now if interrupts were on: IRR above PPR in an APIC that is enabled. */
  hasDeliverable(): boolean {
    if ((this.vcpu.getMsr(lapic.MSR_IA32_APICBASE) & lapic.MSR_IA32_APICBASE_ENABLE) === 0n) return false;
    this.vcpu.getLapic(scratch);
    const priority = scratch.readUInt32LE(lapic.APIC_PROCPRI) >>> 4;
    for (let vector = 0xff; vector >>> 4 > priority; vector--) {
      const { offset, mask } = lapic.vectorBit(lapic.APIC_IRR, vector);
      if ((scratch.readUInt32LE(offset) & mask) !== 0) return true;
    }
    return false;
  }

  /** Writes hyperv.HV_X64_MSR_VP_INDEX as a step of a program; whether KVM took the value. */
  writeVpIndex(value: bigint): boolean {
    const isTaken = this.#tryVpIndex(value);
    if (isTaken) this.#vpIndexWritten = null;
    return isTaken;
  }

  /** Enables or disables the local APIC; what is pending and in service stays. */
  changeApic(change: ProgramSetApic['apic'], { apic: setUpAs }: VcpuSetup): void {
    const whenEnabled = setUpAs === 'x2apic' ? 'x2apic' : 'xapic';
    this.#apic = null;
    const base = apicBase(this.id, change === 'hardware-disabled' ? change : whenEnabled);
    this.vcpu.setMsr(lapic.MSR_IA32_APICBASE, base);
    if (change === 'hardware-disabled') return;
    this.vcpu.getLapic(scratch);
    scratch.writeUInt32LE(spurious(change === 'enabled' ? whenEnabled : change), lapic.APIC_SPIV);
    this.vcpu.setLapic(scratch);
  }

  /** Lets KVM act on an INIT that was sent. */
  takeInit(): void {
    this.#apic = null;
    this.leaveHome();
    this.#mpState = this.vcpu.getMpState();
  }

  /** Words of the LAPIC page that differ from the page that changes are counted from. */
  lapicChanges(): LapicChanges {
    const page = this.#page;
    if (page === null) return noChanges;
    this.vcpu.getLapic(scratch);
    this.#isUntouched = scratch.equals(page.bytes);
    if (this.#isUntouched) return noChanges;
    const changes = new Map<number, number>();
    for (let index = 0; index < scratchWords.length; index++) {
      const value = scratchWords[index]!;
      if (value !== page.words[index]) changes.set(4 * index, value);
    }
    return changes;
  }

  [Symbol.dispose](): void {
    this.vcpu[Symbol.dispose]();
  }

  #setAssistPage({ eoi, lacks }: VcpuSetup): void {
    const isWanted = eoi === 'assist' && !lacks.includes('hyperv');
    if (isWanted === this.#hasAssistPage) return;
    const page = gpaOf(vcpuArea(this.#position) + area.assist);
    this.vcpu.setMsr(hyperv.HV_X64_MSR_VP_ASSIST_PAGE, isWanted ? page | hyperv.HV_X64_MSR_VP_ASSIST_PAGE_ENABLE : 0n);
    this.#hasAssistPage = isWanted;
  }

  #setSints({ autoEoi }: VcpuSetup): void {
    for (let sint = 0; sint < Math.max(autoEoi.length, this.#sints); sint++) {
      const vector = autoEoi[sint];
      const value = vector === undefined ? hyperv.HV_SYNIC_SINT_MASKED : hyperv.HV_SYNIC_SINT_AUTO_EOI | BigInt(vector);
      this.vcpu.setMsr(hyperv.HV_X64_MSR_SINT0 + sint, value);
    }
    this.#sints = autoEoi.length;
  }

  #setVpIndex(requested: number): void {
    if (this.#vpIndexWritten === requested) return;
    // KVM may refuse the value; the index is then that of a fresh vCPU, its position. It is written only where it may be
    // another one by now: what KVM itself gave is to be seen.
    const isTaken = this.#tryVpIndex(BigInt(requested));
    if (!isTaken && !this.#hasOwnVpIndex) this.vcpu.setMsr(hyperv.HV_X64_MSR_VP_INDEX, BigInt(this.#position));
    this.#vpIndexWritten = requested;
    this.#vpIndex = Number(this.vcpu.getMsr(hyperv.HV_X64_MSR_VP_INDEX));
  }

  #tryVpIndex(value: bigint): boolean {
    const isTaken = this.vcpu.trySetMsr(hyperv.HV_X64_MSR_VP_INDEX, value);
    if (isTaken) this.#hasOwnVpIndex = false;
    return isTaken;
  }

  #setApic(setup: VcpuSetup): void {
    const { apic } = setup;
    let page = this.#pages.get(apic);
    if (this.#apic !== apic || page === undefined) {
      this.#isUntouched = false;
      this.vcpu.setMsr(lapic.MSR_IA32_APICBASE, apicBase(this.id, apic));
      this.#apic = apic;
    }
    if (page === undefined) {
      const id = idRegister(this.id, apic === 'x2apic', this.#hasWideIds);
      page = setUpLapicPage(this.vcpu, id, apic, this.#pages.size > 0);
      this.#pages.set(apic, page);
      this.#page = page;
      this.#isUntouched = true;
    }
    // What a program did not touch needs no setting: most vCPUs are nobody's target.
    if (!this.#isUntouched || page !== this.#page || hasPreset(setup)) {
      presetLapic(this.vcpu, page, setup, this.mayBeInService);
    }
    this.mayBeInService = setup.eoi === 'none';
    this.#isUntouched = false;
    this.#page = page;
  }
}

const homes = new Map<number, Overlay>();

/** Special registers of the guest program on the vCPU at a position. */
function homeRegisters(position: number): Overlay {
  let home = homes.get(position);
  if (home === undefined) {
    home = new Overlay(uapi.sizes.kvm_sregs, (buffer) => setSpecialRegisters(buffer, position));
    homes.set(position, home);
  }
  return home;
}
