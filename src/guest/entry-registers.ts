/** Registers of a host-entered call: what a vCPU must have in each processor mode. */
import { type Environment, isRealMode } from '../case/steps/environment.ts';
import { environmentRflags, registerOffset } from '../program/program.ts';
import { regs, sizes, sregs } from '../hand/uapi.ts';
import { entryTables, exceptionCount } from './entry-image.ts';
import { registerPattern } from './image.ts';
import * as map from './memory-map.ts';
import { entryStack, selectors, shared } from './memory-map.ts';
import type { HypercallInstruction } from './program.ts';

type Mode = Environment['mode'];

/** What differs between modes. Source: Intel SDM volume 3, "Segment Descriptors", "Paging", chapter 9.8. */
interface ModeRegisters {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  /** L and D/B of the code segment; the stack segment has the same D/B. */
  readonly l: number;
  readonly db: number;
  readonly idt: number;
  readonly gateBytes: number;
}

/** PG, NE, ET, MP, PE. */
const paged = 0x8000_0033n;
const unpaged = 0x33n;
const noPe = 0x32n;
/** OSXMMEXCPT, OSFXSR; PAE or PSE where there is paging. */
const cr4 = { none: 0x600n, pae: 0x620n, pse: 0x610n } as const;
const longEfer = 0x500n;

const long = { cr0: paged, cr3: BigInt(shared.pml4), cr4: cr4.pae, efer: longEfer, idt: entryTables.idt64 } as const;
const flat = { cr0: unpaged, cr3: 0n, cr4: cr4.none, efer: 0n, idt: entryTables.idt32, gateBytes: 8 } as const;

const real = { cr0: noPe, l: 0, db: 0, idt: entryTables.interruptVectorTable, gateBytes: 4 } as const;

const modes: Readonly<Record<Mode, ModeRegisters>> = {
  long: { ...long, l: 1, db: 0, gateBytes: 16 },
  compat: { ...long, l: 0, db: 1, gateBytes: 16 },
  protected32: { ...flat, cr0: paged, cr3: BigInt(shared.directory32), cr4: cr4.pse, l: 0, db: 1 },
  unpaged32: { ...flat, l: 0, db: 1 },
  protected16: { ...flat, l: 0, db: 0 },
  real: { ...flat, ...real },
};

/** Whether general registers have 64 bits in a mode: elsewhere only compatibility mode keeps the upper halves. */
export function keepsUpperHalves(mode: Mode): boolean {
  return mode === 'long' || mode === 'compat';
}

/**
 * Types of the 32- or 64-bit TSS in TR. VMX wants it busy. SVM does not care, but QEMU takes its own emulation of
 * SVM for wrong with some of them and ends (tss-type in src/lab/emulator/faults.ts); with an available one it does not.
 */
const tssTypes: Readonly<Record<HypercallInstruction, number>> = { vmcall: 0xb, vmmcall: 0x9 };

/** Turns the current special registers of a vCPU (struct kvm_sregs) into those of a mode; LAPIC base and CR8 stay. */
export function setEntrySpecialRegisters(
  buffer: Buffer,
  { mode, cpl }: Environment,
  instruction: HypercallInstruction,
): void {
  const { cr0, cr3, cr4: flags4, efer, l, db, idt, gateBytes } = modes[mode];
  const isSmall = mode === 'protected16' || isRealMode(mode);
  const segment = (offset: number, selector: number, type: number, bits: { l: number; db: number }) => {
    // All begin at 0: KVM mistakes an offset for a linear address (docs/findings/other-opcode-real-mode.md).
    buffer.writeBigUInt64LE(0n, offset);
    buffer.writeUInt32LE(isSmall ? 0xffff : 0xffff_ffff, offset + 8);
    buffer.writeUInt16LE(selector, offset + 12);
    // type, present, dpl, db, s, l, g, avl, unusable
    Buffer.from([type, 1, cpl, bits.db, 1, bits.l, isSmall ? 0 : 1, 0, 0, 0]).copy(buffer, offset + 14);
  };
  const selector = (mode === 'long' ? selectors.code : selectors.code32) | cpl;
  segment(sregs.cs, isRealMode(mode) ? 0 : selector, 0xb, { l, db });
  const data = isRealMode(mode) ? 0 : selectors.data | cpl;
  const dataDb = isSmall ? 0 : 1;
  for (const place of [sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss]) {
    segment(place, data, 0x3, { l: 0, db: dataDb });
  }
  buffer.writeBigUInt64LE(BigInt(efer === 0n ? entryTables.tss32 : entryTables.tss64), sregs.tr);
  buffer.writeUInt8(tssTypes[instruction], sregs.tr + 14);
  buffer.writeBigUInt64LE(BigInt(shared.gdt), sregs.gdt);
  buffer.writeUInt16LE(0xff, sregs.gdt + 8);
  buffer.writeBigUInt64LE(BigInt(idt), sregs.idt);
  buffer.writeUInt16LE(gateBytes * exceptionCount - 1, sregs.idt + 8);
  buffer.writeBigUInt64LE(cr0, sregs.cr0);
  buffer.writeBigUInt64LE(cr3, sregs.cr3);
  buffer.writeBigUInt64LE(flags4, sregs.cr4);
  buffer.writeBigUInt64LE(efer, sregs.efer);
}

/** Registers that the program gives by name; the others have patterns of their own. */
const given = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'r8'] as const;
/** Room on the stack above its top for the return address of a call through the page. */
const stackRoom = 0x40;

/**
 * General registers before a call (struct kvm_regs), without RIP, the return address, and what the call gives. Modes
 * that do not keep upper halves have none, and no numbered registers.
 */
export function quietGeneralRegisters(mode: Mode): Buffer {
  const buffer = Buffer.alloc(sizes.kvm_regs);
  for (const [index, name] of map.quietRegisters.entries()) {
    const isNumbered = /^r\d/.test(name);
    const pattern = registerPattern(index + 1);
    const narrow = isNumbered ? 0n : pattern & 0xffff_ffffn;
    buffer.writeBigUInt64LE(keepsUpperHalves(mode) ? pattern : narrow, regs[name]);
  }
  buffer.writeBigUInt64LE(BigInt(entryStack.top - stackRoom), regs.rsp);
  buffer.writeBigUInt64LE(environmentRflags, regs.rflags);
  return buffer;
}

/** Puts the registers that a call gives (`environmentRegisterBytes` bytes) into struct kvm_regs. */
export function copyGivenRegisters(registers: Buffer, general: Buffer): void {
  for (const name of given) registers.copy(general, regs[name], registerOffset[name], registerOffset[name] + 8);
}
