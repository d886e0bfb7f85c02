/**
 * Calls that the ring cannot make: in 32-bit and 16-bit modes, and with the other vendor's instruction. The host sets
 * every register, lets the vCPU run up to the exit behind the call, and compares every register.
 */
import type { GuestException, RegisterChange } from '../program/observation.ts';
import { isRealMode } from '../case/limits.ts';
import type { CallEnvironment } from '../program/program.ts';
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
import { hostOffset, ports } from '../guest/memory-map.ts';
import { Overlay } from '../guest/overlay.ts';
import { type HypercallInstruction, withErrorCode } from '../guest/program.ts';
import type { Vcpu } from '../kvm/kvm.ts';
import * as uapi from '../kvm/uapi.ts';
import { answerExit } from './call-exit.ts';
import type { CallResult } from './call-result.ts';
import type { VectorRegisters } from './vector-registers.ts';
import { isSameLong, wordsOf } from './words.ts';

/** Registers of struct kvm_regs, in its order. */
const generalRegisters = Object.keys(uapi.regs);
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
  readonly #vectors: VectorRegisters;
  readonly #instructionWords: { readonly native: number; readonly other: number };
  readonly #templates = new Map<string, Template>();
  /** What the general registers should be after the call, and what they are. */
  readonly #expected = Buffer.alloc(uapi.sizes.kvm_regs);
  readonly #actual = Buffer.alloc(uapi.sizes.kvm_regs);
  readonly #expectedWords = wordsOf(this.#expected);
  readonly #actualWords = wordsOf(this.#actual);

  constructor(memory: Buffer, instruction: HypercallInstruction, vectors: VectorRegisters) {
    this.#memory = memory;
    this.#instruction = instruction;
    this.#vectors = vectors;
    const wordOf = (meant: HypercallInstruction): number => instructionBytes(meant).readUIntLE(0, 3);
    this.#instructionWords = { native: wordOf(instruction), other: wordOf(otherInstruction(instruction)) };
  }

  /** The result of a call, or the description of an exit that does not belong to it. */
  call(vcpu: Vcpu, entry: CallEnvironment, registers: Buffer): CallResult | string {
    const place = this.#placeOf(entry);
    if (place === null) return { result: null, exception: null, exit: 'no-code', registers: [] };
    this.#enter(vcpu, entry, registers, place);
    vcpu.run();
    const exit = answerExit(vcpu);
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
    const changes = [...general, ...this.#vectors.changes(vcpu), ...this.#codeChange(place)];
    const result = exception === null ? this.#actual.readBigUInt64LE(uapi.regs.rax) : null;
    return { result, exception, exit, registers: changes };
  }

  #placeOf({ page, opcode, mode }: CallEnvironment): Place | null {
    if (page === null) {
      const start = opcode === 'native' ? entryCode.native : entryCode.other;
      return { start, instruction: start, pushBytes: 0 };
    }
    const start = hostOffset(page);
    const offset = hypercallInPage(this.#memory, start, this.#instruction);
    return offset === null ? null : { start, instruction: start + offset, pushBytes: mode === 'long' ? 8 : 4 };
  }

  /** Sets all registers; `#expected` becomes the general ones. */
  #enter(vcpu: Vcpu, entry: CallEnvironment, registers: Buffer, place: Place): void {
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
    this.#vectors.give(vcpu, registers);
  }

  #templateOf(entry: CallEnvironment): Template {
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

  /** Reads what the exception pushed, and makes `general` the registers at the time of the exception. */
  #takeException({ mode, cpl }: CallEnvironment, general: Buffer, place: Place): GuestException {
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
    // A call in a 32-bit mode changes RDX, so this is no rare path: bigints are made of what changed alone.
    const changes: RegisterChange[] = [];
    for (const [index, register] of generalRegisters.entries()) {
      if (isSameLong(this.#expectedWords, 2 * index, this.#actualWords, 2 * index)) continue;
      const [before, after] = [expected.readBigUInt64LE(8 * index), actual.readBigUInt64LE(8 * index)];
      changes.push({ register, before, after });
    }
    return changes;
  }

  /** Whether KVM rewrote the instruction (KVM_X86_QUIRK_FIX_HYPERCALL_INSN), which is then put back. */
  #codeChange({ start, instruction }: Place): RegisterChange[] {
    if (start !== entryCode.native && start !== entryCode.other) return [];
    const before = this.#instructionWords[start === entryCode.native ? 'native' : 'other'];
    const after = this.#memory.readUIntLE(instruction, 3);
    if (before === after) return [];
    writeEntryInstructions(this.#memory, this.#instruction);
    return [{ register: 'code', before: BigInt(before), after: BigInt(after) }];
  }
}
