/**
 * The part of the guest's physical memory that a case can see. RAM starts at 0 and ends at `ramEnd`; a read-only memslot
 * lies further up; everything else up to the local APIC page is a hole. Cases put their input blocks into the arena or
 * the read-only slot; what lies below the arena (page tables, code, rings) belongs to the guest program
 * (`src/guest/memory-map.ts`).
 */

import { APIC_DEFAULT_PHYS_BASE } from '../abi/lapic.ts';

/** First byte of the arena; all of it is zero when a case starts. */
export const arenaStart = 0xe0000n;
/** First byte that is not RAM. */
export const ramEnd = 0x100000n;

/** A memslot with KVM_MEM_READONLY: the guest reads it, and writes to it fail. Zero when a case starts. */
export const romStart = 0x200000n;
export const romEnd = 0x202000n;

/**
 * Memory of the guest program's own in machines of many vCPUs. In those of few it is a hole, but no case may use it there
 * either, so that an address does not become wrong when vCPUs are added.
 */
export const upperStart = 0x2_c000_0000n;
export const upperEnd = 0x2_c800_0000n;

/** Default place of the input block of step `index`: a slot of its own, large enough for 64 banks and a tail. */
export const inputSlotBytes = 0x400;
export function defaultInputGpa(index: number): bigint {
  return (inputGpas[index] ??= arenaStart + BigInt(index * inputSlotBytes));
}
const inputGpas: bigint[] = [];

const [ramStop, romFirst, romStop] = [Number(ramEnd), Number(romStart), Number(romEnd)];

/** How many bytes of memory there are from an address on: 0 in a hole. */
export function readableBytesFrom(gpa: bigint): number {
  // Numbers are exact wherever there is memory.
  const address = Number(gpa);
  if (address < ramStop) return ramStop - address;
  return address >= romFirst && address < romStop ? romStop - address : 0;
}

/** Whether KVM can read `length` bytes at `gpa` (kvm_read_guest fails on the first byte outside a memslot). */
export function isReadable(gpa: bigint, length: number): boolean {
  return length === 0 || (gpa >= 0n && length <= readableBytesFrom(gpa));
}

/**
 * Input blocks may lie anywhere but in the guest program's own memory and at the APIC page, which some hosts back with
 * an internal memslot (docs/semantics.md 1.10, trap 6).
 */
export function isAllowedGpa(gpa: bigint): boolean {
  const blockBytesMax = 0x1000n;
  const isNear = (start: bigint, end: bigint): boolean => gpa + blockBytesMax > start && gpa < end;
  const isTaken = isNear(APIC_DEFAULT_PHYS_BASE, APIC_DEFAULT_PHYS_BASE + 0x1000n) || isNear(upperStart, upperEnd);
  return gpa >= arenaStart && !isTaken;
}
