/**
 * What interrupts do to a vCPU: the state of a local APIC as differences from the page that changes are counted from
 * (IRR, ISR and TPR zero, TMR all ones so that acceptance shows as a cleared bit). Source: SDM volume 3 "Local APIC";
 * lapic.c; docs/semantics.md 5.
 */
import {
  APIC_ID,
  APIC_IRR,
  APIC_ISR,
  APIC_PROCPRI,
  APIC_SPIV,
  APIC_SPIV_APIC_ENABLED,
  APIC_TASKPRI,
  APIC_TMR,
  vectorBit,
} from '../../src/abi/lapic.ts';
import type { VcpuSetup } from '../../src/case/case.ts';
import type { LapicChanges } from '../../src/program/observation.ts';
import type { ProgramOf } from '../../src/program/program.ts';
import { idRegister } from '../../src/case/vcpus/vcpu-id.ts';

/** TMR words at set-up. */
export const tmrAtSetup = 0xffff_ffff;
/** SPIV after reset (apic_set_spiv in kvm_lapic_reset): software-disabled. */
const spivAtReset = 0xff;

/** The LAPIC of a machine that has just been set up, if it presets nothing. */
export const untouchedLapic: LapicChanges = new Map();

/** Whether and how a local APIC is on. */
export interface Apic {
  /** IA32_APIC_BASE bit 11. */
  readonly isHardwareEnabled: boolean;
  /** SPIV bit 8. */
  readonly isSoftwareEnabled: boolean;
}

export function apicOf({ apic }: VcpuSetup): Apic {
  return { isHardwareEnabled: apic !== 'hardware-disabled', isSoftwareEnabled: apic !== 'software-disabled' };
}

/** Whether a LAPIC accepts a fixed interrupt (__apic_accept_irq; docs/semantics.md 5.1). */
export function acceptsInterrupts({ isHardwareEnabled, isSoftwareEnabled }: Apic): boolean {
  return isHardwareEnabled && isSoftwareEnabled;
}

/** The LAPIC with which a vCPU starts: its preset TPR, IRR and ISR, and the PPR that follows from them. */
export function presetLapic({ tpr, irr, isr }: VcpuSetup): LapicChanges {
  if (tpr === 0 && irr.length === 0 && isr.length === 0) return untouchedLapic;
  const lapic = new Map<number, number>();
  for (const [base, vectors] of [
    [APIC_IRR, irr],
    [APIC_ISR, isr],
  ] as const) {
    for (const vector of vectors) {
      const { offset, mask } = vectorBit(base, vector);
      lapic.set(offset, ((lapic.get(offset) ?? 0) | mask) >>> 0);
    }
  }
  if (tpr > 0) lapic.set(APIC_TASKPRI, tpr << 4);
  const ppr = priorityClass(lapic) << 4;
  if (ppr > 0) lapic.set(APIC_PROCPRI, ppr);
  return lapic;
}

/** Whether a vector's class is above PPR's, so that a vCPU takes it when it is pending. */
export function canTake(lapic: LapicChanges, vector: number): boolean {
  return vector >>> 4 > priorityClass(lapic);
}

/** Class of PPR: that of TPR or of the highest vector in service (__apic_update_ppr). TPR has no subclass here. */
export function priorityClass(lapic: LapicChanges): number {
  const [inService = 0] = vectorsOf(lapic, APIC_ISR);
  return Math.max((lapic.get(APIC_TASKPRI) ?? 0) >>> 4, inService >>> 4);
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

/**
 * Pending vectors that a vCPU can take one after the other, highest first: class above PPR's. A handler that has
 * acknowledged leaves PPR as it was, because what it interrupted is still in service.
 */
export function takeableVectors(lapic: LapicChanges): number[] {
  const pending = vectorsOf(lapic, APIC_IRR);
  if (pending.length === 0) return pending;
  const blocked = priorityClass(lapic);
  return pending.filter((vector) => vector >>> 4 > blocked);
}

/** The page with one bit of a 256-bit register that starts at byte `base` and is 0 at set-up. */
export function withBit(lapic: LapicChanges, base: number, vector: number, isSet: boolean): LapicChanges {
  const { offset, mask } = vectorBit(base, vector);
  const word = lapic.get(offset) ?? 0;
  return withWord(lapic, offset, 0, (isSet ? word | mask : word & ~mask) >>> 0);
}

/** The LAPIC after all of these vectors were taken and acknowledged: their ISR bits are clear again. */
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

/** The APIC after the host changed it; SPIV is set together with the hardware enable. */
export function changedApic(before: Apic, change: ProgramOf<'set-apic'>['apic']): Apic {
  if (change === 'hardware-disabled') return { ...before, isHardwareEnabled: false };
  return { isHardwareEnabled: true, isSoftwareEnabled: change === 'enabled' };
}

/**
 * The page after the host changed whether the APIC is on: IRR, ISR and TMR stay. Out of x2APIC mode KVM_GET_LAPIC gives
 * the ID as x2APIC has it, without moving it into the top byte (kvm_apic_state_fixup); with wide IDs it never moves it.
 */
export function withApic(
  lapic: LapicChanges,
  vcpu: VcpuSetup,
  { id, isWide }: { readonly id: number; readonly isWide: boolean },
  apic: Apic,
): LapicChanges {
  const after = withWord(lapic, APIC_SPIV, spivOf(apicOf(vcpu)), spivOf(apic));
  const isX2apic = vcpu.apic === 'x2apic';
  const atSetup = idRegister(id, isX2apic, isWide);
  return withWord(after, APIC_ID, atSetup, isX2apic && !apic.isHardwareEnabled ? id : atSetup);
}

/**
 * The page after INIT (kvm_lapic_reset with init_event): ID and mode stay, everything in flight is gone, the APIC is
 * software-disabled.
 */
export function initializedLapic(vcpu: VcpuSetup): LapicChanges {
  const lapic = new Map<number, number>();
  for (let word = 0; word < 8; word++) lapic.set(APIC_TMR + 0x10 * word, 0);
  return withWord(lapic, APIC_SPIV, spivOf(apicOf(vcpu)), spivAtReset);
}

function spivOf({ isSoftwareEnabled }: Apic): number {
  return spivAtReset | (isSoftwareEnabled ? APIC_SPIV_APIC_ENABLED : 0);
}

/** The page with one word set; a word that is as at set-up is no change. */
export function withWord(lapic: LapicChanges, offset: number, atSetup: number, value: number): LapicChanges {
  const after = new Map(lapic);
  if (value === atSetup) after.delete(offset);
  else after.set(offset, value);
  return after;
}
