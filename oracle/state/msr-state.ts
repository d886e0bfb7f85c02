/**
 * The MSRs of a VM between two steps: what they hold, and what that means. Source: kvm_hv_set_msr_pw, kvm_hv_get_msr_pw,
 * kvm_hv_set_msr, synic_set_sint, synic_has_vector_auto_eoi.
 */
import { HV_SYNIC_SINT_AUTO_EOI, HV_SYNIC_SINT_MASKED, HV_X64_MSR_HYPERCALL_ENABLE } from '../../src/abi/hyperv.ts';
import {
  APIC_DEFAULT_PHYS_BASE,
  MSR_IA32_APICBASE_BSP,
  MSR_IA32_APICBASE_ENABLE,
  X2APIC_ENABLE,
} from '../../src/abi/lapic.ts';
import { isSint, sintCount, sintOf } from '../../src/case/limits.ts';
import { vcpuIdOf } from '../../src/case/vcpus/vcpu-id.ts';
import type { Program, ProgramOf } from '../../src/program/program.ts';
import type { Apic } from './machine.ts';
import type { Contract } from '../contract.ts';
import { decideMsr, type MsrRule, type MsrState, pageAddress, vpIndexOf } from '../msr.ts';

/** Below it a SINT has no vector (HV_SYNIC_FIRST_VALID_VECTOR). */
const firstVector = 16;

export class Msrs {
  vpIndexes: readonly number[];
  readonly #vcpus: Program['vcpus'];
  #state: MsrState;
  #hypercall = 0n;
  /** Of vCPUs of which one was written. */
  readonly #sints = new Map<number, bigint[]>();

  constructor({ machine, vcpus }: Program, vpIndexes: readonly number[], contract: Contract) {
    this.vpIndexes = vpIndexes;
    this.#vcpus = vcpus;
    const synic = vcpus.map(({ autoEoi }) => autoEoi.length > 0);
    this.#state = { guestOsId: machine.guestOsId, synic, contract };
  }

  get state(): MsrState {
    return this.#state;
  }

  /** The hypercall page that is enabled. */
  get page(): bigint | null {
    return (this.#hypercall & HV_X64_MSR_HYPERCALL_ENABLE) === 0n ? null : pageAddress(this.#hypercall);
  }

  /** The rule that decides a write, which is done. */
  write(step: ProgramOf<'write-msr'>): MsrRule {
    const { vcpu, msr, value } = step;
    const rule = decideMsr(step, this.#state);
    switch (rule.effect) {
      case 'none':
        break;
      case 'vp-index':
        this.vpIndexes = this.vpIndexes.with(vcpu, vpIndexOf(value));
        break;
      case 'page':
      case 'no-page':
        this.#hypercall = value;
        break;
      case 'guest-os-id':
        this.#state = { ...this.#state, guestOsId: value };
        // "setting guest os id to zero disables hypercall page" (kvm_hv_set_msr_pw).
        if (value === 0n) this.#hypercall &= ~HV_X64_MSR_HYPERCALL_ENABLE;
        break;
      case 'sint':
        this.#sints.set(vcpu, this.#sintsOf(vcpu).with(sintOf(msr), value));
        break;
    }
    return rule;
  }

  /** What a read gives. */
  read({ vcpu, msr }: ProgramOf<'read-msr'>, apic: Apic): bigint {
    if (isSint(msr)) return this.#sintsOf(vcpu)[sintOf(msr)]!;
    if (msr === 'guest-os-id') return this.#state.guestOsId;
    if (msr === 'hypercall') return this.#hypercall;
    if (msr === 'vp-index') return BigInt(this.vpIndexes[vcpu]!);
    const setup = this.#vcpus[vcpu]!;
    const mode = setup.apic === 'x2apic' ? MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE : MSR_IA32_APICBASE_ENABLE;
    const bsp = vcpuIdOf(setup, vcpu) === 0 ? MSR_IA32_APICBASE_BSP : 0n;
    return APIC_DEFAULT_PHYS_BASE | bsp | (apic.isHardwareEnabled ? mode : 0n);
  }

  /** Vectors that an unmasked SINT with auto-EOI has. */
  autoEoi(vcpu: number): number[] {
    const sints = this.#sintsOf(vcpu).filter(
      (sint) => (sint & HV_SYNIC_SINT_MASKED) === 0n && (sint & HV_SYNIC_SINT_AUTO_EOI) !== 0n,
    );
    return sints.map((sint) => Number(sint & 0xffn)).filter((vector) => vector >= firstVector);
  }

  /**
   * The VM goes on in a fresh one. HYPERCALL, which comes behind GUEST_OS_ID, is not taken where that is 0
   * (kvm_hv_set_msr_pw); whether anything is lost by that.
   */
  migrate(): boolean {
    if (this.#state.guestOsId !== 0n || this.#hypercall === 0n) return false;
    this.#hypercall = 0n;
    return true;
  }

  /** They are masked but for those that the vCPU is set up with, from the first on (synic_init). */
  #sintsOf(vcpu: number): bigint[] {
    const { autoEoi } = this.#vcpus[vcpu]!;
    return (
      this.#sints.get(vcpu) ??
      Array.from({ length: sintCount }, (_, sint) => {
        const vector = autoEoi[sint];
        return vector === undefined ? HV_SYNIC_SINT_MASKED : HV_SYNIC_SINT_AUTO_EOI | BigInt(vector);
      })
    );
  }
}
