/** The LAPIC of one vCPU: what scripts have set it to, and the state in which a program starts. */
import * as lapic from '../../abi/lapic.ts';
import type { VcpuSetup } from '../../case/case.ts';
import { idRegister } from '../../case/vcpus/vcpu-id.ts';
import { noPatches, type Script } from '../../hand/script.ts';
import { KVM_GET_LAPIC } from '../../hand/uapi.ts';
import type { LapicChanges } from '../../program/observation.ts';
import type { ProgramOf } from '../../program/program.ts';
import type { Slots } from '../vm/slots.ts';
import type { Read } from '../writer.ts';
import { addBasePage, addLapic, addPatched, addSpurious, apicBase } from './lapic-page.ts';
import { addMsrs } from './msrs.ts';

const noChanges: LapicChanges = new Map();

export class Lapic {
  /** Whether the program may leave a vector in service that a handler took. */
  mayBeInService = false;
  readonly #vcpu: number;
  readonly #id: number;
  readonly #hasWideIds: boolean;
  readonly #slots: Slots;
  /** Slot with the base page of each APIC state. */
  readonly #pages = new Map<VcpuSetup['apic'], number>();
  #page: number | null = null;
  /** Null when it may be another one: it must be set anew. */
  #state: VcpuSetup['apic'] | null = null;
  #isOff = false;

  /**
   * @param vcpu the hand's object.
   * @param id its APIC ID.
   */
  constructor(vcpu: number, id: number, hasWideIds: boolean, slots: Slots) {
    this.#vcpu = vcpu;
    this.#id = id;
    this.#hasWideIds = hasWideIds;
    this.#slots = slots;
  }

  /** Whether it is hardware-disabled. */
  get isOff(): boolean {
    return this.#isOff;
  }

  /** The state in which a program starts. */
  setUp(script: Script, setup: VcpuSetup): void {
    const { apic } = setup;
    this.#isOff = apic === 'hardware-disabled';
    if (this.#state !== apic) {
      this.#setBase(script, apic);
      this.#state = apic;
    }
    let slot = this.#pages.get(apic);
    if (slot === undefined) {
      slot = this.#slots.reserve();
      const id = idRegister(this.#id, apic === 'x2apic', this.#hasWideIds);
      addBasePage(script, { vcpu: this.#vcpu, slot, id, apic, wasUsed: this.#pages.size > 0 });
      this.#pages.set(apic, slot);
    }
    this.#page = slot;
    addLapic(script, this.#vcpu, slot, setup, this.mayBeInService);
    this.mayBeInService = setup.eoi === 'none';
  }

  /** Enables or disables it; what is pending and in service stays. */
  change(script: Script, change: ProgramOf<'set-apic'>['apic'], { apic: setUpAs }: VcpuSetup): void {
    const whenEnabled = setUpAs === 'x2apic' ? 'x2apic' : 'xapic';
    this.#state = null;
    this.#isOff = change === 'hardware-disabled';
    // What is in service counts from now on, if it was restored (kvm_apic_set_state).
    if (this.#isOff) addPatched(script, this.#vcpu, []);
    this.#setBase(script, change === 'hardware-disabled' ? change : whenEnabled);
    if (change === 'hardware-disabled') return;
    addSpurious(script, this.#vcpu, change === 'enabled' ? whenEnabled : change);
  }

  /** It got INIT; whether it took notice: one that is off does not. */
  noteInit(): boolean {
    this.#state = null;
    return !this.#isOff;
  }

  /** It was made an enabled one (`addCatchUp`). */
  noteEnabled(): void {
    this.#state = null;
    this.#isOff = false;
  }

  /** Words of its page that differ from the page that changes are counted from. */
  changes(script: Script): Read<LapicChanges> {
    const slot = this.#page;
    if (slot === null) return () => noChanges;
    const end = lapic.lapicPageBytes;
    const ranges = { start: 0, end, secondStart: end, secondEnd: end };
    script.add('ioctlDiff', { vcpu: this.#vcpu, get: KVM_GET_LAPIC, slot, ...ranges, patches: noPatches });
    return (record) => record.structure();
  }

  /** Gives back the slots that it fills. */
  releaseSlots(): void {
    for (const slot of this.#pages.values()) this.#slots.release(slot);
  }

  #setBase(script: Script, apic: VcpuSetup['apic']): void {
    addMsrs(script, this.#vcpu, [{ index: lapic.MSR_IA32_APICBASE, value: apicBase(this.#id, apic) }]);
  }
}
