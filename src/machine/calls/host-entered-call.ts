/**
 * Calls that the ring cannot make: in 32-bit and 16-bit modes, and with the other vendor's instruction. The host sets
 * every register, lets the vCPU run up to the exit behind the call, and compares every register.
 */
import { entryCode, exceptionStubBytes, instructionBytes, otherInstruction } from '../../guest/entry-image.ts';
import {
  copyGivenRegisters,
  keepsUpperHalves,
  quietGeneralRegisters,
  setEntrySpecialRegisters,
} from '../../guest/entry-registers.ts';
import { ports } from '../../guest/memory-map.ts';
import { constantBytes } from '../../guest/constant-bytes.ts';
import { type GuestCode, withErrorCode } from '../../guest/program.ts';
import { memoryParts } from '../../hand/operations.ts';
import type { ExitRecord } from '../../hand/record.ts';
import { encodePatches, type Script } from '../../hand/script.ts';
import * as uapi from '../../hand/uapi.ts';
import type { GuestException, RegisterChange } from '../../program/observation.ts';
import { type Environment, isRealMode } from '../../case/steps/environment.ts';
import type { ProgramCall } from '../../program/program.ts';
import { addForPage } from './hypercall-page.ts';
import type { Slots } from '../vm/slots.ts';
import { type CallResult, exitName, exitOf, UnexpectedExit } from '../stop.ts';
import type { Vcpu } from '../vcpu/vcpu.ts';
import type { VectorRegisters } from './vector-registers.ts';
import type { Read } from '../writer.ts';

/** Registers of struct kvm_regs, in its order. */
const generalRegisters = Object.keys(uapi.regs);
const rspIndex = generalRegisters.indexOf('rsp');
const RFLAGS_RF = 0x10000n;
/** What is read of the frame that an exception pushes: SS, RSP, RFLAGS, CS, RIP and an error code of 8 bytes each. */
const frameBytes = 48;

/** Where a call begins, where its hypercall instruction is, and what it must push to come back. */
interface Place {
  readonly start: number;
  readonly instruction: number;
  readonly pushBytes: number;
}

const noCode: CallResult = { result: null, exception: null, exit: 'no-code', registers: [] };

export class HostEnteredCalls {
  readonly #vm: number;
  readonly #code: GuestCode;
  readonly #slots: Slots;
  readonly #vectors: VectorRegisters;

  constructor(vm: number, code: GuestCode, slots: Slots, vectors: VectorRegisters) {
    this.#vm = vm;
    this.#code = code;
    this.#slots = slots;
    this.#vectors = vectors;
  }

  /** Makes one call. Reading throws UnexpectedExit where its vCPU makes an exit that does not belong to the call. */
  call(script: Script, vcpu: Vcpu, call: ProgramCall, vmmAnswer: bigint): Read<CallResult> {
    const { environment } = call;
    vcpu.leaveHome();
    const { page, opcode, mode } = environment;
    if (page === null) {
      const start = opcode === 'native' ? entryCode.native : entryCode.other;
      return this.#callAt(script, vcpu, call, vmmAnswer, { start, instruction: start, pushBytes: 0 });
    }
    const pushBytes = mode === 'long' ? 8 : 4;
    const read = addForPage(script, this.#vm, page, this.#code.instruction, (instruction) =>
      this.#callAt(script, vcpu, call, vmmAnswer, { start: Number(page), instruction, pushBytes }),
    );
    return (record) => read(record) ?? noCode;
  }

  #callAt(
    script: Script,
    vcpu: Vcpu,
    { environment, registers }: ProgramCall,
    vmmAnswer: bigint,
    place: Place,
  ): Read<CallResult> {
    const before = this.#enter(script, vcpu, environment, registers, place);
    const { object } = vcpu;
    script.add('run', {
      vcpu: object,
      thread: vcpu.thread,
      port: ports.returned,
      otherPort: ports.exception,
      answer: vmmAnswer,
      watch: 0,
      lenient: 0,
    });
    script.add('registersDiff', { vcpu: object, general: before });
    script.branch('ifPort', { vcpu: object, port: ports.exception }, () => {
      script.add('readAtRegister', { vcpu: object, register: rspIndex, length: frameBytes });
    });
    const readVectors = this.#vectors.changes(script, this.#slots, object, registers);
    const readCode = this.#codeChange(script, place);
    return (record) => {
      const exit = record.exit();
      refuseUnexpected(vcpu, environment, exit);
      const after = record.registers(before);
      const frame = record.u8() === 1 ? record.bytes(record.u32()) : null;
      const exception = frame === null ? null : takeException(environment, after, frame, place);
      // `ret` takes the return address off the stack.
      const expected = Buffer.from(before);
      if (exception === null && place.pushBytes > 0) {
        expected.writeUInt32LE(expected.readUInt32LE(uapi.regs.rsp) + place.pushBytes, uapi.regs.rsp);
      }
      const changes = [
        ...generalChanges(expected, after, exception === null),
        ...readVectors(record),
        ...readCode(record),
      ];
      const result = exception === null ? after.readBigUInt64LE(uapi.regs.rax) : null;
      const [answer] = exit.answers;
      return { result, exception, exit: answer === undefined ? null : exitOf(answer.reason), registers: changes };
    };
  }

  /** Sets all registers; the result is the general ones. */
  #enter(script: Script, vcpu: Vcpu, environment: Environment, registers: Buffer, place: Place): Buffer {
    const { mode, cpl } = environment;
    const special = this.#slots.of(script, `special ${mode} ${cpl}`, () => {
      const set = (buffer: Buffer) => setEntrySpecialRegisters(buffer, environment, this.#code.instruction);
      return encodePatches(constantBytes(uapi.sizes.kvm_sregs, set));
    });
    const general = quietGeneralRegisters(mode);
    copyGivenRegisters(registers, general);
    if (place.pushBytes > 0) {
      const rsp = general.readUInt32LE(uapi.regs.rsp) - place.pushBytes;
      general.writeUInt32LE(rsp, uapi.regs.rsp);
      const back = Buffer.alloc(place.pushBytes);
      back.writeUInt32LE(entryCode.back, 0);
      script.add('write', { vm: this.#vm, where: memoryParts.memory, offset: rsp, bytes: back });
    }
    general.writeUInt32LE(place.start, uapi.regs.rip);
    script.add('enter', { vcpu: vcpu.object, specialPatches: special, general });
    this.#vectors.give(script, this.#slots, vcpu.object, registers);
    return general;
  }

  /** Whether KVM rewrote the instruction (KVM_X86_QUIRK_FIX_HYPERCALL_INSN), which is then put back. */
  #codeChange(script: Script, { start }: Place): Read<RegisterChange[]> {
    if (start !== entryCode.native && start !== entryCode.other) return () => [];
    script.add('diff', { vm: this.#vm, offset: start, length: 8, stride: 0, count: 1, restore: 1, most: 1 });
    const native = this.#code.instruction;
    const before = instructionBytes(start === entryCode.native ? native : otherInstruction(native)).readUIntLE(0, 3);
    return (record) =>
      record.words().map(({ actual }) => ({
        register: 'code',
        before: BigInt(before),
        after: actual & 0xff_ffffn,
      }));
  }
}

function refuseUnexpected(vcpu: Vcpu, { mode }: Environment, { facts }: ExitRecord): void {
  if (facts === null) return;
  const rip = facts.registers.readBigUInt64LE(uapi.regs.rip).toString(16);
  throw new UnexpectedExit(`vCPU ${vcpu.position}: ${exitName(facts)} at 0x${rip} in ${mode} mode`);
}

/** Reads what the exception pushed, and makes `general` the registers at the time of the exception. */
function takeException({ mode, cpl }: Environment, general: Buffer, frame: Buffer, place: Place): GuestException {
  const rip = Number(general.readBigUInt64LE(uapi.regs.rip));
  // In real mode the stubs' segment begins with them.
  const vector = (rip - (isRealMode(mode) ? 0 : entryCode.stubs)) / exceptionStubBytes;
  const width = isRealMode(mode) ? 2 : keepsUpperHalves(mode) ? 8 : 4;
  const rsp = general.readBigUInt64LE(uapi.regs.rsp);
  const word = (index: number): bigint => {
    const at = width * index;
    if (at + width > frame.length) return 0n;
    return width === 8 ? frame.readBigUInt64LE(at) : BigInt(frame.readUIntLE(at, width));
  };
  const first = !isRealMode(mode) && withErrorCode.has(vector) ? 1 : 0;
  const hasStack = width === 8 || cpl > 0;
  general.writeBigUInt64LE(word(first + 2) & ~RFLAGS_RF, uapi.regs.rflags);
  general.writeBigUInt64LE(hasStack ? word(first + 3) : rsp + BigInt(width * 3), uapi.regs.rsp);
  return { vector, ripOffset: Number(word(first)) - place.instruction };
}

/**
 * General registers that are not as expected. Where RIP is shows in the port, and RAX is the result register of a call
 * that returns; of one that faults it is one that must not change.
 */
function generalChanges(expected: Buffer, actual: Buffer, hasResult: boolean): RegisterChange[] {
  return generalRegisters.flatMap((register, index) => {
    if (register === 'rip' || (hasResult && register === 'rax')) return [];
    const [before, after] = [expected.readBigUInt64LE(8 * index), actual.readBigUInt64LE(8 * index)];
    return before === after ? [] : [{ register, before, after }];
  });
}
