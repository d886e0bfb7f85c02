/** Finds registers that a batch of calls changed although none may: whole rings are compared before single entries. */
import type { RegisterChange } from '../case/observation.ts';
import { callRegisterBytes, registerOffset } from '../case/program.ts';
import { flagsBefore, registerPattern } from '../guest/image.ts';
import * as map from '../guest/memory-map.ts';
import { area } from '../guest/memory-map.ts';

/** What the rings of the registers that calls do not use hold when nothing changed them. */
const quietOutput = repeat((entry) => {
  map.quietRegisters.forEach((_, index) => entry.writeBigUInt64LE(registerPattern(index + 1), 8 * index));
  entry.writeBigUInt64LE(flagsBefore, map.outputFlagsOffset);
  for (const xmm of [14, 15]) writeXmm(entry, map.outputHighXmmOffset + 16 * (xmm - 14), xmm);
});
const quietXmmOutput = repeat((entry) => {
  for (let xmm = map.quietXmm.first; xmm <= map.quietXmm.lastInOutputXmm; xmm++) {
    writeXmm(entry, 16 * (xmm - map.quietXmm.first), xmm);
  }
});

/** The 64-bit slots of the ring entries: which register is where. */
const inputSlots = [
  { register: 'rcx', offset: registerOffset.rcx },
  { register: 'rdx', offset: registerOffset.rdx },
  { register: 'r8', offset: registerOffset.r8 },
  ...xmmSlots(0, map.quietXmm.first - 1, registerOffset.xmm),
];
const registerSlots = [
  ...map.quietRegisters.map((register, index) => ({ register, offset: 8 * index })),
  { register: 'rflags', offset: map.outputFlagsOffset },
  ...xmmSlots(14, 15, map.outputHighXmmOffset),
];
const xmmOutputSlots = xmmSlots(map.quietXmm.first, map.quietXmm.lastInOutputXmm, 0);

/**
 * The changes of each of the first `count` calls that has any, by the call's place in the ring at `base`; null when
 * nothing changed.
 */
export function registerChanges(memory: Buffer, base: number, count: number): Map<number, RegisterChange[]> | null {
  const bytes = count * callRegisterBytes;
  const input = base + area.input;
  const isQuiet =
    memory.compare(memory, input, input + bytes, base + area.output, base + area.output + bytes) === 0 &&
    memory.compare(quietOutput, 0, bytes, base + area.outputRegisters, base + area.outputRegisters + bytes) === 0 &&
    memory.compare(quietXmmOutput, 0, bytes, base + area.outputXmm, base + area.outputXmm + bytes) === 0 &&
    stackPointersKept(memory, base, count);
  return isQuiet ? null : findChanges(memory, base, count);
}

/** RSP is the address of the ring entry. */
function stackPointersKept(memory: Buffer, base: number, count: number): boolean {
  const words = new Uint32Array(memory.buffer, memory.byteOffset, memory.length / 4);
  for (let index = 0; index < count; index++) {
    const at = (base + area.results + index * callRegisterBytes + map.resultEntry.rsp) >>> 2;
    if (words[at] !== base + area.input + index * callRegisterBytes || words[at + 1] !== 0) return false;
  }
  return true;
}

function findChanges(memory: Buffer, base: number, count: number): Map<number, RegisterChange[]> {
  const changes = new Map<number, RegisterChange[]>();
  const compare = (index: number, register: string, before: bigint, after: bigint) => {
    if (before === after) return;
    const list = changes.get(index) ?? [];
    changes.set(index, [...list, { register, before, after }]);
  };
  for (let index = 0; index < count; index++) {
    const entry = index * callRegisterBytes;
    for (const [ring, expected, slots] of [
      [area.output, memory.subarray(base + area.input), inputSlots],
      [area.outputRegisters, quietOutput, registerSlots],
      [area.outputXmm, quietXmmOutput, xmmOutputSlots],
    ] as const) {
      for (const { register, offset } of slots) {
        const after = memory.readBigUInt64LE(base + ring + entry + offset);
        compare(index, register, expected.readBigUInt64LE(entry + offset), after);
      }
    }
    const rsp = memory.readBigUInt64LE(base + area.results + entry + map.resultEntry.rsp);
    compare(index, 'rsp', BigInt(base + area.input + entry), rsp);
  }
  return changes;
}

function repeat(fill: (entry: Buffer) => void): Buffer {
  const entry = Buffer.alloc(callRegisterBytes);
  fill(entry);
  return Buffer.concat(Array.from({ length: map.ringEntries }, () => entry));
}

function writeXmm(entry: Buffer, offset: number, xmm: number): void {
  entry.writeBigUInt64LE(registerPattern(2 * xmm + 0x10), offset);
  entry.writeBigUInt64LE(registerPattern(2 * xmm + 0x11), offset + 8);
}

function xmmSlots(first: number, last: number, start: number): { register: string; offset: number }[] {
  return Array.from({ length: last - first + 1 }, (_, index) => [
    { register: `xmm${first + index}.lo`, offset: start + 16 * index },
    { register: `xmm${first + index}.hi`, offset: start + 16 * index + 8 },
  ]).flat();
}
