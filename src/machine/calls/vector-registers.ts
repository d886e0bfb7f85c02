/**
 * XMM registers and upper halves of YMM, as the host sets and reads them. The guest program never touches the upper
 * halves: they are set once, and compared after the calls.
 */
import type { Read } from '../writer.ts';
import { registerPattern } from '../../guest/image.ts';
import { encodePatches, noPatches, type Script } from '../../hand/script.ts';
import * as uapi from '../../hand/uapi.ts';
import type { RegisterChange } from '../../program/observation.ts';
import { registerOffset } from '../../program/program.ts';
import type { Slots } from '../vm/slots.ts';

const xmmCount = 16;
interface Range {
  readonly start: number;
  readonly end: number;
}

const xmmRange: Range = { start: uapi.xsave.xmm, end: uapi.xsave.xmm + 16 * xmmCount };
const upperRange: Range = { start: uapi.xsave.ymmHigh, end: uapi.xsave.ymmHigh + 16 * xmmCount };

export class VectorRegisters {
  readonly #hasAvx: boolean;
  /** struct kvm_xsave with a pattern in each register. */
  readonly #patterns = Buffer.alloc(uapi.sizes.kvm_xsave);

  constructor(hasAvx: boolean) {
    this.#hasAvx = hasAvx;
    const area = this.#patterns;
    area.writeUInt16LE(0x37f, 0);
    area.writeUInt32LE(0x1f80, uapi.xsave.mxcsr);
    const { x87, sse, avx } = uapi.xstate;
    area.writeBigUInt64LE(x87 | sse | (hasAvx ? avx : 0n), uapi.xsave.header);
    for (let half = 0; half < 2 * xmmCount; half++) {
      area.writeBigUInt64LE(registerPattern(half + 0x10), uapi.xsave.xmm + 8 * half);
      if (hasAvx) area.writeBigUInt64LE(registerPattern(half + 0x40), uapi.xsave.ymmHigh + 8 * half);
    }
  }

  /** Gives a vCPU patterns in all of them, or those that a call gives. */
  give(script: Script, slots: Slots, vcpu: number, registers: Buffer | null): void {
    const slot = this.#slot(script, slots);
    const patches = registers === null ? noPatches : patchesOf(registers);
    script.add('ioctlKept', { vcpu, request: uapi.KVM_SET_XSAVE, slot, times: 1, unlessSame: 0, patches });
  }

  /** What changed since the call's registers were given. */
  changes(script: Script, slots: Slots, vcpu: number, registers: Buffer): Read<readonly RegisterChange[]> {
    const given = Buffer.from(this.#patterns);
    registers.copy(given, uapi.xsave.xmm, registerOffset.xmm, registerOffset.rbx);
    const upper = this.#hasAvx ? upperRange : { start: xmmRange.end, end: xmmRange.end };
    this.#diff(script, slots, vcpu, [xmmRange, upper], patchesOf(registers));
    return (record) => changesOf(record.structure(), given);
  }

  /** What changed of the upper halves of YMM. */
  upperChanges(script: Script, slots: Slots, vcpu: number): Read<readonly RegisterChange[]> {
    if (!this.#hasAvx) return () => noChanges;
    const { end } = upperRange;
    this.#diff(script, slots, vcpu, [upperRange, { start: end, end }], noPatches);
    return (record) => changesOf(record.structure(), this.#patterns);
  }

  #diff(script: Script, slots: Slots, vcpu: number, [first, second]: readonly [Range, Range], patches: Buffer): void {
    script.add('ioctlDiff', {
      vcpu,
      get: uapi.KVM_GET_XSAVE,
      slot: this.#slot(script, slots),
      start: first.start,
      end: first.end,
      secondStart: second.start,
      secondEnd: second.end,
      patches,
    });
  }

  #slot(script: Script, slots: Slots): number {
    return slots.of(script, 'xsave', () => this.#patterns);
  }
}

const noChanges: readonly RegisterChange[] = [];

function patchesOf(registers: Buffer): Buffer {
  return encodePatches([{ offset: uapi.xsave.xmm, bytes: registers.subarray(registerOffset.xmm, registerOffset.rbx) }]);
}

/** From 32-bit words that changed to 64-bit halves of registers. */
function changesOf(words: ReadonlyMap<number, number>, given: Buffer): readonly RegisterChange[] {
  if (words.size === 0) return noChanges;
  const now = Buffer.from(given);
  for (const [offset, value] of words) now.writeUInt32LE(value, offset);
  return [
    ...halves(xmmRange.start, (place, half) => `xmm${place}.${half === 0 ? 'lo' : 'hi'}`),
    ...halves(upperRange.start, (place, half) => `ymm${place}.${half + 2}`),
  ].flatMap(({ register, at }) => {
    const [before, after] = [given.readBigUInt64LE(at), now.readBigUInt64LE(at)];
    return before === after ? [] : [{ register, before, after }];
  });
}

function halves(start: number, nameOf: (register: number, half: number) => string): { register: string; at: number }[] {
  return Array.from({ length: 2 * xmmCount }, (_, half) => ({
    register: nameOf(half >> 1, half & 1),
    at: start + 8 * half,
  }));
}
