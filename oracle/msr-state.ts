/** The MSRs of a VM between two steps. */
import type { ProgramWriteMsr } from '../src/program/program.ts';
import { decideMsr, type MsrRule, type MsrState, pageAddress, vpIndexOf } from './msr.ts';

export class Msrs {
  vpIndexes: readonly number[];
  /** The hypercall page that is enabled. */
  page: bigint | null = null;
  #state: MsrState;

  constructor(vpIndexes: readonly number[], state: MsrState) {
    this.vpIndexes = vpIndexes;
    this.#state = state;
  }

  get state(): MsrState {
    return this.#state;
  }

  /** The rule that decides a write, which is done. */
  write(step: ProgramWriteMsr): MsrRule {
    const { vcpu, value } = step;
    const rule = decideMsr(step, this.#state);
    switch (rule.effect) {
      case 'none':
        break;
      case 'vp-index':
        this.vpIndexes = this.vpIndexes.with(vcpu, vpIndexOf(value));
        break;
      case 'page':
        this.page = pageAddress(value);
        break;
      case 'no-page':
        this.page = null;
        break;
      case 'guest-os-id':
        this.#state = { ...this.#state, guestOsId: value };
        // "setting guest os id to zero disables hypercall page" (kvm_hv_set_msr_pw).
        if (value === 0n) this.page = null;
        break;
    }
    return rule;
  }
}
