/**
 * The part of the guest's physical memory that a case can see. RAM starts at 0 and ends at `ramEnd`; everything from
 * there to the local APIC page is a hole. Cases put their input blocks into the arena; what lies below it (page
 * tables, code, rings) belongs to the guest program (`src/guest/memory-map.ts`).
 */

/** First byte of the arena; all of it is zero when a case starts. */
export const arenaStart = 0xe0000n;
/** First byte that is not RAM. */
export const ramEnd = 0x100000n;

/** Default place of the input block of step `index`: a slot of its own, large enough for 64 banks and a tail. */
export const inputSlotBytes = 0x400;
export function defaultInputGpa(index: number): bigint {
  return arenaStart + BigInt(index * inputSlotBytes);
}

/** Whether KVM can read `length` bytes at `gpa` (kvm_read_guest fails on the first byte outside a memslot). */
export function isReadable(gpa: bigint, length: number): boolean {
  return length === 0 || (gpa >= 0n && gpa + BigInt(length) <= ramEnd);
}
