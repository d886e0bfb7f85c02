/**
 * What interrupts do to a vCPU: the state of a local APIC as differences from its set-up (IRR, ISR and TPR zero, TMR
 * all ones so that acceptance shows as a cleared bit). Source: SDM volume 3 "Local APIC"; lapic.c; semantics.md 5.
 */
import { APIC_IRR, APIC_TMR, vectorBit } from '../src/abi/lapic.ts';
import type { VcpuSetup } from '../src/case/case.ts';
import type { LapicChanges } from '../src/case/observation.ts';

/** TMR words at set-up. */
export const tmrAtSetup = 0xffff_ffff;

/** The LAPIC of a machine that has just been set up. */
export const untouchedLapic: LapicChanges = new Map();

/** Whether a LAPIC accepts a fixed interrupt (__apic_accept_irq: software and hardware enable; semantics.md 5.1). */
export function acceptsInterrupts(vcpu: VcpuSetup): boolean {
  return vcpu.apic === 'x2apic' || vcpu.apic === 'xapic';
}

/** The LAPIC after it accepted a vector: IRR bit set, TMR bit cleared because the interrupt is edge-triggered. */
export function acceptVector(lapic: LapicChanges, vector: number): LapicChanges {
  const irr = vectorBit(APIC_IRR, vector);
  const tmr = vectorBit(APIC_TMR, vector);
  const pending = lapic.get(irr.offset) ?? 0;
  const trigger = lapic.get(tmr.offset) ?? tmrAtSetup;
  if ((pending & irr.mask) !== 0 && (trigger & tmr.mask) === 0) return lapic;
  return new Map(lapic).set(irr.offset, (pending | irr.mask) >>> 0).set(tmr.offset, (trigger & ~tmr.mask) >>> 0);
}

/** Vectors of a 256-bit register that starts at byte `base` of the page, highest first. */
export function vectorsOf(lapic: LapicChanges, base: number): number[] {
  const vectors: number[] = [];
  for (let word = 7; word >= 0; word--) {
    let bits = lapic.get(base + 0x10 * word) ?? 0;
    while (bits !== 0) {
      const bit = 31 - Math.clz32(bits);
      vectors.push(32 * word + bit);
      bits = (bits & ~(1 << bit)) >>> 0;
    }
  }
  return vectors;
}

/** Pending vectors that a vCPU with TPR 0 and nothing in service can take: class above 0; highest first. */
export function takeableVectors(lapic: LapicChanges): number[] {
  return vectorsOf(lapic, APIC_IRR).filter((vector) => vector >>> 4 > 0);
}

/** The LAPIC after all of these vectors were taken and acknowledged: ISR is clear again. */
export function withoutPending(lapic: LapicChanges, vectors: readonly number[]): LapicChanges {
  const after = new Map(lapic);
  for (const vector of vectors) {
    const { offset, mask } = vectorBit(APIC_IRR, vector);
    const rest = ((after.get(offset) ?? 0) & ~mask) >>> 0;
    if (rest === 0) after.delete(offset);
    else after.set(offset, rest);
  }
  return after;
}
