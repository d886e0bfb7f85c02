/** The state of a local APIC in which programs start. */
import * as lapic from '../abi/lapic.ts';
import type { VcpuSetup } from '../case/case.ts';
import type { LapicChanges } from '../program/observation.ts';
import type { Vcpu } from '../kvm/kvm.ts';
import { wordsOf } from './words.ts';

type ApicState = VcpuSetup['apic'];

/** A LAPIC page as bytes and as 32-bit words of the same memory. */
export interface LapicPage {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
}

/** IA32_APIC_BASE of a vCPU whose APIC is in that state. */
export function apicBase(vcpuId: number, apic: ApicState): bigint {
  const enable = apic === 'hardware-disabled' ? 0n : lapic.MSR_IA32_APICBASE_ENABLE;
  const x2apic = apic === 'x2apic' ? lapic.X2APIC_ENABLE : 0n;
  const bsp = vcpuId === 0 ? lapic.MSR_IA32_APICBASE_BSP : 0n;
  return lapic.APIC_DEFAULT_PHYS_BASE | enable | x2apic | bsp;
}

/** SPIV of an APIC in that state. */
export function spurious(apic: ApicState): number {
  return 0xff | (apic === 'software-disabled' ? 0 : lapic.APIC_SPIV_APIC_ENABLED);
}

/**
 * Sets a LAPIC to the state that changes are counted from, and reads it back. TMR is all ones, so that accepting a
 * vector, which clears its bit (__apic_accept_irq), shows even after the vector has been handled.
 *
 * @param id the page's ID register.
 * @param wasUsed whether anything may be in service; with every LAPIC that is set KVM walks all vCPUs
 *   (kvm_recalculate_apic_map), so that in large machines each time counts.
 */
export function setUpLapicPage(vcpu: Vcpu, id: number, apic: ApicState, wasUsed: boolean): LapicPage {
  const page = Buffer.alloc(lapic.lapicPageBytes);
  vcpu.getLapic(page);
  // It must be written: KVM keeps the register's bits over a change from x2APIC to xAPIC (kvm_lapic_set_base), where they
  // mean another ID.
  page.writeUInt32LE(id, lapic.APIC_ID);
  // So is the logical ID, which x2APIC derives from the ID and xAPIC has as its own.
  if (apic !== 'x2apic') page.writeUInt32LE(0, lapic.APIC_LDR);
  page.writeUInt32LE(spurious(apic), lapic.APIC_SPIV);
  page.writeUInt32LE(0, lapic.APIC_TASKPRI);
  for (let word = 0; word < 8; word++) {
    page.writeUInt32LE(0, lapic.APIC_IRR + 0x10 * word);
    page.writeUInt32LE(0, lapic.APIC_ISR + 0x10 * word);
    page.writeUInt32LE(0xffff_ffff, lapic.APIC_TMR + 0x10 * word);
  }
  vcpu.setLapic(page);
  // As in `presetLapic`.
  if (wasUsed) vcpu.setLapic(page);
  vcpu.getLapic(page);
  return { bytes: page, words: wordsOf(page) };
}

/** Whether anything is pending, in service or of raised priority when a case starts. */
export function hasPreset({ tpr, irr, isr }: VcpuSetup): boolean {
  return tpr !== 0 || irr.length > 0 || isr.length > 0;
}

/**
 * Sets a LAPIC to its page, with what is pending, in service and of what priority when a case starts.
 *
 * @param wasInService whether the program before may have left a vector in service.
 */
export function presetLapic(vcpu: Vcpu, page: LapicPage, setup: VcpuSetup, wasInService: boolean): void {
  const isPlain = !hasPreset(setup);
  const bytes = isPlain ? page.bytes : presetPage(page, setup);
  vcpu.setLapic(bytes);
  // KVM computes PPR from what it had counted as in service before (kvm_apic_set_state); the second time it is right.
  if (!isPlain || wasInService) vcpu.setLapic(bytes);
}

function presetPage({ bytes }: LapicPage, { tpr, irr, isr }: VcpuSetup): Buffer {
  const page = Buffer.from(bytes);
  page.writeUInt32LE(tpr << 4, lapic.APIC_TASKPRI);
  for (const [base, vectors] of [
    [lapic.APIC_IRR, irr],
    [lapic.APIC_ISR, isr],
  ] as const) {
    for (const vector of vectors) {
      const { offset, mask } = lapic.vectorBit(base, vector);
      page.writeUInt32LE((page.readUInt32LE(offset) | mask) >>> 0, offset);
    }
  }
  return page;
}

/** Whether anything is pending; IRR is all zero at set-up. */
export function hasPending(changes: LapicChanges): boolean {
  for (let offset = lapic.APIC_IRR; offset < lapic.APIC_IRR + 0x80; offset += 0x10) {
    if ((changes.get(offset) ?? 0) !== 0) return true;
  }
  return false;
}
