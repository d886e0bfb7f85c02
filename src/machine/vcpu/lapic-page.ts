/** The LAPIC pages in which programs start, as ioctls. */
import * as lapic from '../../abi/lapic.ts';
import type { VcpuSetup } from '../../case/case.ts';
import { encodePatches, noPatches, type Patch, type Script, wordPatch } from '../../hand/script.ts';
import { KVM_GET_LAPIC, KVM_SET_LAPIC } from '../../hand/uapi.ts';

type ApicState = VcpuSetup['apic'];

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
 * Sets a LAPIC to the state that changes are counted from, and keeps it in a slot. TMR is all ones, so that accepting a
 * vector, which clears its bit (__apic_accept_irq), shows even after the vector has been handled.
 *
 * @param id the page's ID register.
 * @param wasUsed whether anything may be in service; with every LAPIC that is set KVM walks all vCPUs
 *   (kvm_recalculate_apic_map), so that in large machines each time counts.
 */
export function addBasePage(
  script: Script,
  { vcpu, slot, id, apic, wasUsed }: { vcpu: number; slot: number; id: number; apic: ApicState; wasUsed: boolean },
): void {
  const patches: Patch[] = [
    // It must be written: KVM keeps the register's bits over a change from x2APIC to xAPIC (kvm_lapic_set_base), where
    // they mean another ID.
    wordPatch(lapic.APIC_ID, id),
    // So is the logical ID, which x2APIC derives from the ID and xAPIC has as its own.
    ...(apic === 'x2apic' ? [] : [wordPatch(lapic.APIC_LDR, 0)]),
    wordPatch(lapic.APIC_SPIV, spurious(apic)),
    ...emptyPatches(0),
  ];
  for (let word = 0; word < 8; word++) patches.push(wordPatch(lapic.APIC_TMR + 0x10 * word, 0xffff_ffff));
  addPatched(script, vcpu, patches);
  // As in `addLapic`.
  if (wasUsed) addPatched(script, vcpu, patches);
  script.add('ioctlKeep', { vcpu, get: KVM_GET_LAPIC, size: lapic.lapicPageBytes, slot });
}

/** Whether anything is pending, in service or of raised priority when a case starts. */
export function hasPreset({ tpr, irr, isr }: VcpuSetup): boolean {
  return tpr !== 0 || irr.length > 0 || isr.length > 0;
}

/**
 * Sets a LAPIC to its base page, with what is pending, in service and of what priority when a case starts. Most vCPUs are
 * nobody's target: what is as it was last seen is not set again.
 *
 * @param wasInService whether the program before may have left a vector in service.
 */
export function addLapic(script: Script, vcpu: number, slot: number, setup: VcpuSetup, wasInService: boolean): void {
  const isPlain = !hasPreset(setup);
  const patches = isPlain ? noPatches : presetPatches(setup);
  // KVM computes PPR from what it had counted as in service before (kvm_apic_set_state); the second time it is right.
  const times = isPlain && !wasInService ? 1 : 2;
  script.add('ioctlKept', { vcpu, request: KVM_SET_LAPIC, slot, times, unlessSame: isPlain ? 1 : 0, patches });
}

function presetPatches({ tpr, irr, isr }: VcpuSetup): Buffer {
  const words = new Map<number, number>([[lapic.APIC_TASKPRI, tpr << 4]]);
  for (const [base, vectors] of [
    [lapic.APIC_IRR, irr],
    [lapic.APIC_ISR, isr],
  ] as const) {
    for (const vector of vectors) {
      const { offset, mask } = lapic.vectorBit(base, vector);
      words.set(offset, (words.get(offset) ?? 0) | mask);
    }
  }
  return encodePatches([...words].map(([offset, value]) => wordPatch(offset, value)));
}

/** Sets a page to what it is, with some of its bytes changed. */
export function addPatched(script: Script, vcpu: number, patches: readonly Patch[]): void {
  const [get, set, size] = [KVM_GET_LAPIC, KVM_SET_LAPIC, lapic.lapicPageBytes];
  script.add('ioctlPatch', { vcpu, get, set, size, patches: encodePatches(patches) });
}

/** Takes away what is pending and in service. */
export function addEmpty(script: Script, vcpu: number, tpr: number): void {
  addPatched(script, vcpu, emptyPatches(tpr));
}

function emptyPatches(tpr: number): Patch[] {
  const patches = [wordPatch(lapic.APIC_TASKPRI, tpr)];
  for (let word = 0; word < 8; word++) {
    patches.push(wordPatch(lapic.APIC_IRR + 0x10 * word, 0), wordPatch(lapic.APIC_ISR + 0x10 * word, 0));
  }
  return patches;
}

/** Sets SPIV and leaves the rest of a page as it is. */
export function addSpurious(script: Script, vcpu: number, apic: ApicState): void {
  addPatched(script, vcpu, [wordPatch(lapic.APIC_SPIV, spurious(apic))]);
}
