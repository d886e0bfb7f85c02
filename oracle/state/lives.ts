/**
 * What INIT and start-up IPIs make of a vCPU. Source: SDM volume 3 "MP Initialization Protocol"; __apic_accept_irq,
 * kvm_apic_accept_events, kvm_vcpu_deliver_sipi_vector.
 */
import type { VcpuSetup } from '../../src/case/case.ts';
import { vcpuIdOf } from '../../src/case/vcpus/vcpu-id.ts';

/** KVM_MP_STATE_*. */
const states = { runnable: 0, uninitialized: 1, initReceived: 2 } as const;

/** CS behind INIT. */
const selectorAtReset = 0xf000;

/** What is read of a vCPU behind a start-up IPI. */
export interface Sipi {
  readonly rule: (typeof sipiRules)[number];
  /** The MP state; in bits 31:16 the selector of CS, of one that got INIT. */
  readonly result: bigint;
}

export const sipiRules = ['sipi-starts', 'sipi-dropped', 'sipi-unheard'] as const;

export class Lives {
  readonly #vcpus: readonly VcpuSetup[];
  readonly #states: number[];
  /** Of vCPUs that got INIT. */
  readonly #selectors = new Map<number, number>();

  constructor(vcpus: readonly VcpuSetup[]) {
    this.#vcpus = vcpus;
    this.#states = vcpus.map(({ idle }) => {
      if (idle === 'init-received') return states.initReceived;
      return idle === 'uninitialized' ? states.uninitialized : states.runnable;
    });
  }

  /** INIT comes to a LAPIC that is on. The boot processor, whose id is 0, starts at once. */
  init(vcpu: number): void {
    this.#states[vcpu] = vcpuIdOf(this.#vcpus[vcpu]!, vcpu) === 0 ? states.runnable : states.initReceived;
    this.#selectors.set(vcpu, selectorAtReset);
  }

  /** A LAPIC that is off does not get it (kvm_apic_present); one that waits for nothing, or for INIT, drops it. */
  sipi(vcpu: number, page: number, isOn: boolean): Sipi {
    const starts = isOn && this.#states[vcpu] === states.initReceived;
    if (starts) {
      this.#states[vcpu] = states.runnable;
      if (this.#selectors.has(vcpu)) this.#selectors.set(vcpu, page << 8);
    }
    const rule = starts ? 'sipi-starts' : isOn ? 'sipi-dropped' : 'sipi-unheard';
    const selector = BigInt(this.#selectors.get(vcpu) ?? 0);
    return { rule, result: BigInt(this.#states[vcpu]!) | (selector << 16n) };
  }
}
