/**
 * XMM registers and upper halves of YMM of a vCPU, as the host sets and reads them. No code of the guest program touches
 * the upper halves: they are given once, stay what they are, and are looked at behind the calls.
 */
import type { RegisterChange } from '../program/observation.ts';
import { registerOffset } from '../program/program.ts';
import { registerPattern } from '../guest/image.ts';
import type { Vcpu } from '../kvm/kvm.ts';
import * as uapi from '../kvm/uapi.ts';

const xmmCount = 16;
const noChanges: readonly RegisterChange[] = [];

export class VectorRegisters {
  readonly #hasAvx: boolean;
  readonly #given = Buffer.alloc(uapi.sizes.kvm_xsave);
  readonly #now = Buffer.alloc(uapi.sizes.kvm_xsave);

  constructor(hasAvx: boolean) {
    this.#hasAvx = hasAvx;
    const area = this.#given;
    area.writeUInt16LE(0x37f, 0);
    area.writeUInt32LE(0x1f80, uapi.xsave.mxcsr);
    const { x87, sse, avx } = uapi.xstate;
    area.writeBigUInt64LE(x87 | sse | (hasAvx ? avx : 0n), uapi.xsave.header);
    for (let half = 0; half < 2 * xmmCount; half++) {
      area.writeBigUInt64LE(registerPattern(half + 0x10), uapi.xsave.xmm + 8 * half);
      if (hasAvx) area.writeBigUInt64LE(registerPattern(half + 0x40), uapi.xsave.ymmHigh + 8 * half);
    }
  }

  /** Gives a vCPU patterns in all of them. */
  setUp(vcpu: Vcpu): void {
    vcpu.setXsave(this.#given);
  }

  /** The same, with those that a call gives. */
  give(vcpu: Vcpu, registers: Buffer): void {
    registers.copy(this.#given, uapi.xsave.xmm, registerOffset.xmm, registerOffset.rbx);
    vcpu.setXsave(this.#given);
  }

  /** What changed since `give`. */
  changes(vcpu: Vcpu): readonly RegisterChange[] {
    const upper = this.upperChanges(vcpu);
    const xmm = this.#compare(uapi.xsave.xmm, (place, half) => `xmm${place}.${half === 0 ? 'lo' : 'hi'}`);
    return upper.length === 0 ? xmm : [...xmm, ...upper];
  }

  /** What changed of the upper halves of YMM. */
  upperChanges(vcpu: Vcpu): readonly RegisterChange[] {
    vcpu.getXsave(this.#now);
    return this.#hasAvx ? this.#compare(uapi.xsave.ymmHigh, (place, half) => `ymm${place}.${half + 2}`) : noChanges;
  }

  #compare(start: number, nameOf: (register: number, half: number) => string): readonly RegisterChange[] {
    const end = start + 16 * xmmCount;
    if (this.#given.compare(this.#now, start, end, start, end) === 0) return noChanges;
    return Array.from({ length: 2 * xmmCount }, (_, half) => ({
      register: nameOf(half >> 1, half & 1),
      before: this.#given.readBigUInt64LE(start + 8 * half),
      after: this.#now.readBigUInt64LE(start + 8 * half),
    })).filter(({ before, after }) => before !== after);
  }
}
