/**
 * Memory for host-entered calls: a few instructions that need no registers. So the host can set every register before
 * them and read it after them, in any processor mode. An exception ends in the stub of its vector, and the stub's
 * address tells the vector. Source: Intel SDM volume 3, "Interrupt and Exception Handling".
 */
import * as map from './memory-map.ts';
import { entryStack, selectors, shared } from './memory-map.ts';
import type { HypercallInstruction } from './program.ts';

const bytesOf: Readonly<Record<HypercallInstruction, readonly number[]>> = {
  vmcall: [0x0f, 0x01, 0xc1],
  vmmcall: [0x0f, 0x01, 0xd9],
};
const RET = 0xc3;
const HLT = 0xf4;
/** `or eax, 0x80000000`, with which KVM's page begins where Xen hypercalls are intercepted (kvm_hv_set_msr_pw). */
const orEax31 = [0x0d, 0x00, 0x00, 0x00, 0x80] as const;

/** Exceptions have vectors below this. */
export const exceptionCount = 32;
export const exceptionStubBytes = 8;

/** Places in the code page. */
export const entryCode = {
  native: shared.entryCode,
  other: shared.entryCode + 0x10,
  /** Where a call through the hypercall page returns to. */
  back: shared.entryCode + 0x20,
  stubs: shared.entryCode + 0x100,
} as const;

/** Places in the page of tables. */
export const entryTables = {
  idt64: shared.entryTables,
  idt32: shared.entryTables + 0x200,
  interruptVectorTable: shared.entryTables + 0x300,
  tss64: shared.entryTables + 0x400,
  tss32: shared.entryTables + 0x480,
} as const;

/** A hypercall instruction's bytes. */
export function instructionBytes(instruction: HypercallInstruction): Buffer {
  return Buffer.from(bytesOf[instruction]);
}

export function otherInstruction(instruction: HypercallInstruction): HypercallInstruction {
  return instruction === 'vmcall' ? 'vmmcall' : 'vmcall';
}

/** How a hypercall page of KVM's begins, and at which offset its hypercall instruction is then. */
export function hypercallPagePatterns(instruction: HypercallInstruction): readonly { bytes: Buffer; offset: number }[] {
  const call = [...bytesOf[instruction], RET];
  return [
    { bytes: Buffer.from(call), offset: 0 },
    { bytes: Buffer.from([...orEax31, ...call]), offset: orEax31.length },
  ];
}

/** Puts the instructions in their places, also after KVM rewrote one of them. */
export function writeEntryInstructions(memory: Buffer, instruction: HypercallInstruction): void {
  const back = [0xe6, map.ports.returned];
  memory.set([...bytesOf[instruction], ...back], entryCode.native);
  memory.set([...bytesOf[otherInstruction(instruction)], ...back], entryCode.other);
  memory.set(back, entryCode.back);
}

/** Writes tables and code into zeroed guest memory. */
export function writeEntryTables(memory: Buffer, instruction: HypercallInstruction): void {
  // A 4 MiB page: present, writable, user, accessed, dirty, large.
  memory.writeUInt32LE(0xe7, shared.directory32);
  // An emulator translates on behind an `out`, up to the end of the page: what was translated is lost with each instruction that
  // KVM rewrites there. `hlt` ends it.
  memory.fill(HLT, shared.entryCode, shared.entryCode + 0x1000);
  writeEntryInstructions(memory, instruction);
  for (let vector = 0; vector < exceptionCount; vector++) {
    const stub = entryCode.stubs + exceptionStubBytes * vector;
    memory.set([0xe6, map.ports.exception], stub);
    const gate64 = entryTables.idt64 + 16 * vector;
    memory.writeUInt16LE(stub, gate64);
    memory.writeUInt16LE(selectors.code, gate64 + 2);
    memory.writeUInt8(0x8e, gate64 + 5);
    const gate32 = entryTables.idt32 + 8 * vector;
    memory.writeUInt16LE(stub, gate32);
    memory.writeUInt16LE(selectors.code32, gate32 + 2);
    memory.writeUInt8(0x8e, gate32 + 5);
    const vectorEntry = entryTables.interruptVectorTable + 4 * vector;
    memory.writeUInt16LE(exceptionStubBytes * vector, vectorEntry);
    memory.writeUInt16LE(entryCode.stubs >>> 4, vectorEntry + 2);
  }
  memory.writeBigUInt64LE(BigInt(entryStack.top), entryTables.tss64 + 4);
  memory.writeUInt32LE(entryStack.top, entryTables.tss32 + 4);
  memory.writeUInt16LE(selectors.data, entryTables.tss32 + 8);
}
