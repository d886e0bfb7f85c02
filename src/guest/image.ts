/**
 * The initial memory of a VM and the initial special registers of its vCPUs: 64-bit mode, CPL 0, identity mapping.
 * Source: Intel SDM volume 3, "Paging", "Segment Descriptors", "64-Bit Mode Stack Switching".
 */
import { sregs } from '../hand/uapi.ts';
import * as map from './memory-map.ts';
import { area, selectors, shared } from './memory-map.ts';
import { writeEntryTables } from './entry-image.ts';
import { type GuestCode, NMI, quietXmmBefore } from './program.ts';

/** Present, writable, user, accessed, dirty: set from the start so that the CPU never writes to a table. */
const pageFlags = 0x67n;
const largePage = 0x80n;
/** Cache-disable for the APIC page. */
const uncached = 0x10n;
const largePageBytes = BigInt(map.largePageBytes);
const gib = 0x4000_0000n;

/** What lies below the vCPUs' areas: page tables, descriptors and code, for so many vCPUs. */
export function imageOf(code: GuestCode, vcpuCount: number): Buffer {
  const memory = Buffer.alloc(shared.end);
  writePageTables(memory, vcpuCount);
  writeDescriptors(memory, code);
  writeEntryTables(memory, code.instruction);
  code.code.copy(memory, shared.code);
  code.stubs.copy(memory, shared.stubs);
  return memory;
}

function writePageTables(memory: Buffer, vcpuCount: number): void {
  const put = (table: number, index: number, entry: bigint) => memory.writeBigUInt64LE(entry, table + 8 * index);
  put(shared.pml4, 0, BigInt(shared.pdpt) | pageFlags);
  put(shared.pdpt, 0, BigInt(shared.lowDirectory) | pageFlags);
  put(shared.pdpt, 3, BigInt(shared.apicDirectory) | pageFlags);
  put(shared.lowDirectory, 0, pageFlags | largePage);
  const apicPage = (0xfee0_0000n / largePageBytes) * largePageBytes;
  put(
    shared.apicDirectory,
    Number((apicPage - 3n * gib) / largePageBytes),
    apicPage | pageFlags | largePage | uncached,
  );
  const upper = map.upperSlotOf(vcpuCount);
  if (upper === null) return;
  for (let at = 0; at < upper.bytes; at += map.largePageBytes) {
    const entry = (upper.offset + at) / map.largePageBytes;
    put(shared.lowDirectory, entry, (upper.gpa + BigInt(at)) | pageFlags | largePage);
  }
}

function writeDescriptors(memory: Buffer, { returnHandler }: GuestCode): void {
  // Type 0xb code and 0x3 data: accessed already, so that loading them writes nothing.
  memory.writeBigUInt64LE(0x00af_9b00_0000_ffffn, shared.gdt + selectors.code);
  memory.writeBigUInt64LE(0x00cf_9300_0000_ffffn, shared.gdt + selectors.data);
  memory.writeBigUInt64LE(0x00cf_9b00_0000_ffffn, shared.gdt + selectors.code32);
  for (const cpl of [0, 1, 2, 3]) {
    const { long, compat, stack } = map.callerSelectors(cpl);
    const put = (selector: number, descriptor: bigint) =>
      memory.writeBigUInt64LE(descriptor | (BigInt(cpl) << 45n), shared.gdt + selector - cpl);
    put(long, 0x00af_9b00_0000_ffffn);
    put(compat, 0x00cf_9b00_0000_ffffn);
    put(stack, 0x00cf_9300_0000_ffffn);
  }
  for (let vector = 0; vector < 256; vector++) {
    const gate = shared.idt + 16 * vector;
    const isReturn = vector === map.returnVector;
    const handler = isReturn ? returnHandler : shared.stubs + map.stubBytes * vector;
    memory.writeUInt16LE(handler & 0xffff, gate);
    memory.writeUInt16LE(selectors.code, gate + 2);
    // Interrupts nest on the stack that the guest program has; exceptions and NMI have stacks of their own (IST 1 and 2).
    memory.writeUInt8(vector >= 0x10 ? 0 : vector === NMI ? 2 : 1, gate + 4);
    memory.writeUInt8(isReturn ? 0xee : 0x8e, gate + 5);
    memory.writeUInt16LE(handler >>> 16, gate + 6);
  }
}

/** Registers that no call uses, as the guest loads them: the same in all areas. */
const registersBefore = Buffer.alloc(quietXmmBefore(map.quietXmm.last) + 16 - area.registersBefore);
map.quietRegisters.forEach((_, index) => registersBefore.writeBigUInt64LE(registerPattern(index + 1), 8 * index));
for (let xmm = map.quietXmm.first; xmm <= map.quietXmm.last; xmm++) {
  const at = quietXmmBefore(xmm) - area.registersBefore;
  registersBefore.writeBigUInt64LE(registerPattern(2 * xmm + 0x10), at);
  registersBefore.writeBigUInt64LE(registerPattern(2 * xmm + 0x11), at + 8);
}

/** What must stand in the area of the vCPU at a position; all else in it is zero. */
export function areaParts(position: number): { readonly offset: number; readonly bytes: Buffer }[] {
  const base = map.vcpuArea(position);
  const stacks = Buffer.alloc(16);
  stacks.writeBigUInt64LE(BigInt(base + area.exceptionStackTop), 0);
  stacks.writeBigUInt64LE(BigInt(base + area.nmiStackTop), 8);
  const callerStack = Buffer.alloc(8);
  callerStack.writeBigUInt64LE(BigInt(base + area.callerStack), 0);
  const stack = Buffer.alloc(8);
  stack.writeBigUInt64LE(BigInt(base + area.interruptStackTop), 0);
  return [
    { offset: base + area.registersBefore, bytes: registersBefore },
    // RSP0, then IST 1 and 2.
    { offset: base + area.tss + 4, bytes: callerStack },
    { offset: base + area.tss + 0x24, bytes: stacks },
    { offset: base + area.stack, bytes: stack },
  ];
}

/** A different odd-looking value for each register: no half of it is 0 and none repeats. */
export function registerPattern(index: number): bigint {
  return 0xa5c3_e100_5a3c_1e00n + BigInt(index) * 0x0000_0001_0000_0001n;
}

/** Turns the special registers of a fresh vCPU (struct kvm_sregs) into those that the guest program needs. */
export function setSpecialRegisters(buffer: Buffer, position: number): void {
  const base = BigInt(map.vcpuArea(position));
  const segment = (offset: number, selector: number, type: number, bits: { l: number; db: number; base?: bigint }) => {
    buffer.writeBigUInt64LE(bits.base ?? 0n, offset);
    buffer.writeUInt32LE(0xffff_ffff, offset + 8);
    buffer.writeUInt16LE(selector, offset + 12);
    // type, present, dpl, db, s, l, g, avl, unusable
    Buffer.from([type, 1, 0, bits.db, 1, bits.l, 1, 0, 0, 0]).copy(buffer, offset + 14);
  };
  segment(sregs.cs, selectors.code, 0xb, { l: 1, db: 0 });
  for (const data of [sregs.ds, sregs.es, sregs.fs, sregs.ss]) segment(data, selectors.data, 0x3, { l: 0, db: 1 });
  // With a selector it would lose its base where a caller of another CPL is gone to.
  segment(sregs.gs, 0, 0x3, { l: 0, db: 1, base });
  buffer.writeBigUInt64LE(base + BigInt(area.tss), sregs.tr);
  buffer.writeUInt32LE(0x67, sregs.tr + 8);
  buffer.writeUInt16LE(selectors.tss, sregs.tr + 12);
  Buffer.from([0xb, 1, 0, 0, 0, 0, 0, 0, 0, 0]).copy(buffer, sregs.tr + 14);
  buffer.writeBigUInt64LE(BigInt(shared.gdt), sregs.gdt);
  buffer.writeUInt16LE(0xff, sregs.gdt + 8);
  buffer.writeBigUInt64LE(BigInt(shared.idt), sregs.idt);
  buffer.writeUInt16LE(0xfff, sregs.idt + 8);
  buffer.writeBigUInt64LE(0x8000_0033n, sregs.cr0); // PG, NE, ET, MP, PE
  buffer.writeBigUInt64LE(BigInt(shared.pml4), sregs.cr3);
  buffer.writeBigUInt64LE(0x620n, sregs.cr4); // PAE, OSFXSR, OSXMMEXCPT
  buffer.writeBigUInt64LE(0x500n, sregs.efer); // LME, LMA
}
