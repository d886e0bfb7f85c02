/**
 * Calls in any processor mode, at any CPL, through the hypercall page or with the other vendor's instruction. The host
 * sets every register, lets the vCPU run up to the exit behind the call, and compares every register.
 */
import type { CallExit, GuestException, RegisterChange } from '../case/observation.ts';
import { isRealMode } from '../case/limits.ts';
import { type CallEntry, registerOffset, vmmResult } from '../case/program.ts';
import {
  entryCode,
  exceptionStubBytes,
  hypercallInPage,
  instructionBytes,
  otherInstruction,
  writeEntryInstructions,
} from '../guest/entry-image.ts';
import {
  codeBase,
  copyGivenRegisters,
  keepsUpperHalves,
  quietGeneralRegisters,
  setEntrySpecialRegisters,
} from '../guest/entry-registers.ts';
import { registerPattern } from '../guest/image.ts';
import { hostOffset, ports } from '../guest/memory-map.ts';
import { Overlay } from '../guest/overlay.ts';
import { type HypercallInstruction, withErrorCode } from '../guest/program.ts';
import type { Vcpu } from '../kvm/kvm.ts';
import * as uapi from '../kvm/uapi.ts';
import type { CallResult } from './call-result.ts';

const pageHeadBytes = 16;
const xmmCount = 16;
const RFLAGS_RF = 0x10000n;

/** Where a call begins, where its hypercall instruction is, and what it must push to come back. */
interface Place {
  readonly start: number;
  readonly instruction: number;
  readonly pushBytes: number;
}

/** Registers of a mode and CPL. */
interface Template {
  readonly special: Overlay;
  /** struct kvm_regs, without what the call gives. */
  readonly general: Buffer;
}

export class EntryCaller {
  readonly #memory: Buffer;
  readonly #instruction: HypercallInstruction;
  readonly #hasAvx: boolean;
  readonly #templates = new Map<string, Template>();
  /** What the general registers should be after the call, and what they are. */
  readonly #expected = Buffer.alloc(uapi.sizes.kvm_regs);
  readonly #actual = Buffer.alloc(uapi.sizes.kvm_regs);
  readonly #before = Buffer.alloc(uapi.sizes.kvm_xsave);
  readonly #after = Buffer.alloc(uapi.sizes.kvm_xsave);

  constructor(memory: Buffer, instruction: HypercallInstruction, hasAvx: boolean) {
    this.#memory = memory;
    this.#instruction = instruction;
    this.#hasAvx = hasAvx;
    this.#fillQuietVectors();
  }

  /** The result of a call, or the description of an exit that does not belong to it. */
  call(vcpu: Vcpu, entry: CallEntry, registers: Buffer): CallResult | string {
    const place = this.#placeOf(entry);
    if (place === null) return { result: null, exception: null, exit: 'no-code', registers: [] };
    this.#enter(vcpu, entry, registers, place);
    vcpu.run();
    const exit = answered(vcpu);
    if (exit !== null) vcpu.run();
    const { reason, port } = vcpu;
    vcpu.regs.copy(this.#actual);
    if (reason !== uapi.KVM_EXIT_IO || (port !== ports.returned && port !== ports.exception)) {
      const name = uapi.exitReasonNames[reason] ?? `exit ${reason}`;
      return `${name} at 0x${this.#actual.readBigUInt64LE(uapi.regs.rip).toString(16)} in ${entry.mode} mode`;
    }
    const exception = port === ports.exception ? this.#takeException(entry, this.#actual, place) : null;
    // `ret` takes the return address off the stack.
    if (exception === null && place.pushBytes > 0) {
      this.#expected.writeUInt32LE(this.#expected.readUInt32LE(uapi.regs.rsp) + place.pushBytes, uapi.regs.rsp);
    }
    const general = this.#generalChanges(exception === null);
    const changes = [...general, ...this.#vectorChanges(vcpu), ...this.#codeChange(place)];
    const result = exception === null ? this.#actual.readBigUInt64LE(uapi.regs.rax) : null;
    return { result, exception, exit, registers: changes };
  }

  #placeOf({ page, opcode, mode }: CallEntry): Place | null {
    if (page === null) {
      const start = opcode === 'native' ? entryCode.native : entryCode.other;
      return { start, instruction: start, pushBytes: 0 };
    }
    const start = hostOffset(page);
    const offset = hypercallInPage(this.#memory.subarray(start, start + pageHeadBytes), this.#instruction);
    return offset === null ? null : { start, instruction: start + offset, pushBytes: mode === 'long' ? 8 : 4 };
  }

  /** Sets all registers; `#expected` becomes the general ones. */
  #enter(vcpu: Vcpu, entry: CallEntry, registers: Buffer, place: Place): void {
    const { special, general } = this.#templateOf(entry);
    vcpu.getSregs();
    special.apply(vcpu.sregs);
    const expected = this.#expected;
    general.copy(expected);
    copyGivenRegisters(registers, expected);
    if (place.pushBytes > 0) {
      const rsp = general.readUInt32LE(uapi.regs.rsp) - place.pushBytes;
      expected.writeUInt32LE(rsp, uapi.regs.rsp);
      this.#memory.writeUInt32LE(entryCode.back, rsp);
      if (place.pushBytes === 8) this.#memory.writeUInt32LE(0, rsp + 4);
    }
    expected.writeUInt32LE(place.start - codeBase(entry.mode), uapi.regs.rip);
    expected.copy(vcpu.regs);
    vcpu.setAllRegs();
    registers.copy(this.#before, uapi.xsave.xmm, registerOffset.xmm, registerOffset.rbx);
    vcpu.setXsave(this.#before);
  }

  #templateOf(entry: CallEntry): Template {
    const key = `${entry.mode} ${entry.cpl}`;
    let template = this.#templates.get(key);
    if (template === undefined) {
      const special = new Overlay(uapi.sizes.kvm_sregs, (buffer) =>
        setEntrySpecialRegisters(buffer, entry, this.#instruction),
      );
      template = { special, general: quietGeneralRegisters(entry.mode) };
      this.#templates.set(key, template);
    }
    return template;
  }

  /** Everything but the registers that calls read: it is the same for all of them. */
  #fillQuietVectors(): void {
    const area = this.#before;
    area.writeUInt16LE(0x37f, 0);
    area.writeUInt32LE(0x1f80, uapi.xsave.mxcsr);
    const { x87, sse, avx } = uapi.xstate;
    area.writeBigUInt64LE(x87 | sse | (this.#hasAvx ? avx : 0n), uapi.xsave.header);
    for (let half = 12; half < 2 * xmmCount; half++) {
      area.writeBigUInt64LE(registerPattern(half + 0x10), uapi.xsave.xmm + 8 * half);
    }
    if (!this.#hasAvx) return;
    for (let half = 0; half < 2 * xmmCount; half++) {
      area.writeBigUInt64LE(registerPattern(half + 0x40), uapi.xsave.ymmHigh + 8 * half);
    }
  }

  /** Reads what the exception pushed, and makes `general` the registers at the time of the exception. */
  #takeException({ mode, cpl }: CallEntry, general: Buffer, place: Place): GuestException {
    const rip = Number(general.readBigUInt64LE(uapi.regs.rip));
    // In real mode the stubs' segment begins with them.
    const vector = (rip - (isRealMode(mode) ? 0 : entryCode.stubs)) / exceptionStubBytes;
    const width = isRealMode(mode) ? 2 : keepsUpperHalves(mode) ? 8 : 4;
    const frame = Number(general.readBigUInt64LE(uapi.regs.rsp));
    const word = (index: number): bigint => {
      const at = frame + width * index;
      return width === 8 ? this.#memory.readBigUInt64LE(at) : BigInt(this.#memory.readUIntLE(at, width));
    };
    const first = !isRealMode(mode) && withErrorCode.has(vector) ? 1 : 0;
    const hasStack = width === 8 || cpl > 0;
    general.writeBigUInt64LE(word(first + 2) & ~RFLAGS_RF, uapi.regs.rflags);
    general.writeBigUInt64LE(hasStack ? word(first + 3) : BigInt(frame + width * 3), uapi.regs.rsp);
    return { vector, ripOffset: Number(word(first)) + codeBase(mode) - place.instruction };
  }

  /**
   * General registers that are not as expected. Where RIP is shows in the port, and RAX is the result register of a call
   * that returns; of one that faults it is one that must not change.
   */
  #generalChanges(hasResult: boolean): RegisterChange[] {
    const [expected, actual] = [this.#expected, this.#actual];
    actual.copy(expected, uapi.regs.rip, uapi.regs.rip, uapi.regs.rip + 8);
    if (hasResult) actual.copy(expected, uapi.regs.rax, uapi.regs.rax, uapi.regs.rax + 8);
    if (expected.equals(actual)) return [];
    return Object.entries(uapi.regs).flatMap(([register, at]) => {
      const [before, after] = [expected.readBigUInt64LE(at), actual.readBigUInt64LE(at)];
      return before === after ? [] : [{ register, before, after }];
    });
  }

  #vectorChanges(vcpu: Vcpu): RegisterChange[] {
    vcpu.getXsave(this.#after);
    const changes: RegisterChange[] = [];
    const compare = (start: number, nameOf: (register: number, half: number) => string): void => {
      const end = start + 16 * xmmCount;
      if (this.#before.compare(this.#after, start, end, start, end) === 0) return;
      for (let half = 0; half < 2 * xmmCount; half++) {
        const before = this.#before.readBigUInt64LE(start + 8 * half);
        const after = this.#after.readBigUInt64LE(start + 8 * half);
        if (before !== after) changes.push({ register: nameOf(half >> 1, half & 1), before, after });
      }
    };
    compare(uapi.xsave.xmm, (register, half) => `xmm${register}.${half === 0 ? 'lo' : 'hi'}`);
    if (this.#hasAvx) compare(uapi.xsave.ymmHigh, (register, half) => `ymm${register}.${half + 2}`);
    return changes;
  }

  /** Whether KVM rewrote the instruction (KVM_X86_QUIRK_FIX_HYPERCALL_INSN), which is then put back. */
  #codeChange({ start, instruction }: Place): RegisterChange[] {
    if (start !== entryCode.native && start !== entryCode.other) return [];
    const meant = start === entryCode.native ? this.#instruction : otherInstruction(this.#instruction);
    const before = instructionBytes(meant).readUIntLE(0, 3);
    const after = this.#memory.readUIntLE(instruction, 3);
    if (before === after) return [];
    writeEntryInstructions(this.#memory, this.#instruction);
    return [{ register: 'code', before: BigInt(before), after: BigInt(after) }];
  }
}

/** Answers a hypercall that KVM handed to us, if the last exit is one. */
function answered(vcpu: Vcpu): Exclude<CallExit, 'no-code'> | null {
  const { reason } = vcpu;
  if (reason === uapi.KVM_EXIT_XEN) vcpu.answerHypercall(uapi.kvmRun.xenResult, BigInt(vmmResult));
  else if (reason === uapi.KVM_EXIT_HYPERV) vcpu.answerHypercall(uapi.kvmRun.hypervResult, BigInt(vmmResult));
  else return null;
  return reason === uapi.KVM_EXIT_XEN ? 'xen' : 'hyperv';
}
