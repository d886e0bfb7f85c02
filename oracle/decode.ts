/**
 * From the registers and the memory of a call to what KVM decodes from them (TLFS "Hypercall Inputs"; kvm_hv_hypercall
 * and kvm_hv_send_ipi). Shares the layouts with the encoder and nothing else.
 */
import {
  controlWord,
  HVCALL_SEND_IPI,
  HVCALL_SEND_IPI_EX,
  sendIpiExInput,
  sendIpiInput,
  xmmHalfCount,
} from '../src/abi/hypercall.ts';
import { fieldOf, reservedBitsOf, type WordField, wordField } from '../src/abi/layout.ts';
import { registerOffset } from '../src/case/program.ts';
import { type Caller, plainCaller } from './caller.ts';
import type { Contract } from './contract.ts';
import type { ModelMemory } from './memory.ts';
import { type Halves, popcount, readHalves, zeroHalves } from './words.ts';

/** A decoded call and its caller. Of an input that cannot be read, and of an unknown call code, everything after the head is 0. */
export interface Call {
  readonly caller: Caller;
  /** RAX; EAX alone outside of 64-bit mode. Only calls that are none of Hyper-V have something in it. */
  readonly rax: Halves;
  readonly code: number;
  readonly isFast: boolean;
  /** Variable header size in 8-byte units. */
  readonly variableHeader: number;
  readonly repCount: number;
  readonly repStart: number;
  /** The control word's bits that KVM calls reserved: {31:27, 47:44, 63:60}. */
  readonly reserved: Halves;
  /** Input address of a slow call: RDX. */
  readonly gpa: bigint;
  /** Whether the fixed part of the input could be read. */
  readonly headIsReadable: boolean;
  /** All 32 bits. */
  readonly vector: number;
  /** The 32 bits after the vector: HV_INPUT_VTL and padding. */
  readonly afterVector: number;
  /** HV_VP_SET format; sparse for the non-Ex call. */
  readonly format: Halves;
  /** Valid bank mask; the non-Ex call's processor mask is bank 0 of a set that has only that bank. */
  readonly mask: Halves;
  /** Number of bits in the mask. */
  readonly maskCount: number;
  /** Whether the bank contents that KVM reads could be read. */
  readonly banksAreReadable: boolean;
  /** Bank contents in slot order, `bankCount` of them from `bankOffset` of `bankBytes`. */
  readonly bankBytes: Buffer;
  readonly bankOffset: number;
  readonly bankCount: number;
}

const field = {
  callCode: wordField(controlWord, 'callCode'),
  isFast: wordField(controlWord, 'isFast'),
  variableHeaderSize: wordField(controlWord, 'variableHeaderSize'),
  repCount: wordField(controlWord, 'repCount'),
  repStartIndex: wordField(controlWord, 'repStartIndex'),
};

/** HV_HYPERCALL_RSVD0_MASK to RSVD2_MASK of hyperv-tlfs.h: KVM counts the nested bit among the reserved ones. */
const reservedMask = maskOfBits([...reservedBitsOf(controlWord), fieldOf(controlWord, 'isNested').shift]);

/** Byte offsets in the input block; the vector and what follows it are the same in both calls. */
const inputOffset = {
  vector: fieldOf(sendIpiInput, 'vector').shift / 8,
  afterVector: fieldOf(sendIpiInput, 'targetVtl').shift / 8,
  processorMask: fieldOf(sendIpiInput, 'processorMask').shift / 8,
  format: fieldOf(sendIpiExInput, 'format').shift / 8,
  validBankMask: fieldOf(sendIpiExInput, 'validBankMask').shift / 8,
} as const;
const headBytes = sendIpiInput.bits / 8;
const headBytesEx = sendIpiExInput.bits / 8;

/** Halves of XMM registers that hold banks: the first one holds the valid bank mask (kvm_hv_get_hc_data). */
export const xmmBankCount = xmmHalfCount - 1;

const onlyBank0: Halves = { low: 1, high: 0 };
const noBytes = Buffer.alloc(0);

/**
 * Decodes a call from its registers, laid out as those of a 64-bit caller (`arrive`), and the guest memory at the time
 * of the call.
 */
export function decodeCall(
  registers: Buffer,
  memory: ModelMemory,
  contract: Contract,
  caller: Caller = plainCaller,
): Call {
  const control = readHalves(registers, registerOffset.rcx);
  const head: Control = {
    caller,
    rax: readHalves(registers, registerOffset.rax),
    code: extract(control, field.callCode),
    isFast: extract(control, field.isFast) === 1,
    variableHeader: extract(control, field.variableHeaderSize),
    repCount: extract(control, field.repCount),
    repStart: extract(control, field.repStartIndex),
    reserved: {
      low: (control.low & reservedMask.low) >>> 0,
      high: (control.high & reservedMask.high) >>> 0,
    },
    gpa: registers.readBigUInt64LE(registerOffset.rdx),
  };
  if (head.code === HVCALL_SEND_IPI) return decodeSendIpi(head, registers, memory);
  if (head.code === HVCALL_SEND_IPI_EX) return decodeSendIpiEx(head, registers, memory, contract);
  return assemble(head, true, noInput, zeroHalves, zeroHalves, true, noBanks);
}

/** One half (0 low, 1 high) of the bank in a slot; 0 where no bank was given. */
export function bankHalf(call: Call, slot: number, half: number): number {
  return slot < call.bankCount ? call.bankBytes.readUInt32LE(call.bankOffset + 8 * slot + 4 * half) : 0;
}

type Control = Pick<
  Call,
  'caller' | 'rax' | 'code' | 'isFast' | 'variableHeader' | 'repCount' | 'repStart' | 'reserved' | 'gpa'
>;

interface InputHead {
  readonly vector: number;
  readonly afterVector: number;
}
const noInput: InputHead = { vector: 0, afterVector: 0 };

interface Banks {
  readonly bytes: Buffer;
  readonly offset: number;
  readonly count: number;
}
const noBanks: Banks = { bytes: noBytes, offset: 0, count: 0 };

function decodeSendIpi(head: Control, registers: Buffer, memory: ModelMemory): Call {
  const view = head.isFast ? { bytes: registers, offset: registerOffset.rdx } : memory.read(head.gpa, headBytes);
  if (view === null) return assemble(head, false, noInput, zeroHalves, onlyBank0, true, noBanks);
  const { bytes, offset } = view;
  const banks = { bytes, offset: offset + inputOffset.processorMask, count: 1 };
  return assemble(head, true, readHead(bytes, offset), zeroHalves, onlyBank0, true, banks);
}

function decodeSendIpiEx(head: Control, registers: Buffer, memory: ModelMemory, contract: Contract): Call {
  if (head.isFast) {
    const mask = readHalves(registers, registerOffset.xmm);
    const banks = {
      bytes: registers,
      offset: registerOffset.xmm + 8,
      count: Math.min(head.variableHeader, xmmBankCount),
    };
    const format = readHalves(registers, registerOffset.r8);
    return assemble(head, true, readHead(registers, registerOffset.rdx), format, mask, true, banks);
  }
  const count = Math.min(head.variableHeader, contract.bankReadMax);
  const whole = memory.read(head.gpa, headBytesEx + 8 * count);
  const view = whole ?? memory.read(head.gpa, headBytesEx);
  if (view === null) return assemble(head, false, noInput, zeroHalves, zeroHalves, false, noBanks);
  const { bytes, offset } = view;
  const format = readHalves(bytes, offset + inputOffset.format);
  const mask = readHalves(bytes, offset + inputOffset.validBankMask);
  const banks = whole === null ? noBanks : { bytes, offset: offset + headBytesEx, count };
  return assemble(head, true, readHead(bytes, offset), format, mask, whole !== null, banks);
}

function readHead(bytes: Buffer, offset: number): InputHead {
  return {
    vector: bytes.readUInt32LE(offset + inputOffset.vector),
    afterVector: bytes.readUInt32LE(offset + inputOffset.afterVector),
  };
}

/** One place builds every call, so that all have the same shape. */
function assemble(
  head: Control,
  headIsReadable: boolean,
  input: InputHead,
  format: Halves,
  mask: Halves,
  banksAreReadable: boolean,
  banks: Banks,
): Call {
  return {
    caller: head.caller,
    rax: head.rax,
    code: head.code,
    isFast: head.isFast,
    variableHeader: head.variableHeader,
    repCount: head.repCount,
    repStart: head.repStart,
    reserved: head.reserved,
    gpa: head.gpa,
    headIsReadable,
    vector: input.vector,
    afterVector: input.afterVector,
    format,
    mask,
    maskCount: popcount(mask),
    banksAreReadable,
    bankBytes: banks.bytes,
    bankOffset: banks.offset,
    bankCount: banks.count,
  };
}

function extract(value: Halves, { word, shift, max }: WordField): number {
  return (((word === 0 ? value.low : value.high) >>> shift) & max) >>> 0;
}

function maskOfBits(bits: readonly number[]): Halves {
  const halves = { low: 0, high: 0 };
  for (const bit of bits) {
    if (bit < 32) halves.low = (halves.low | (1 << bit)) >>> 0;
    else halves.high = (halves.high | (1 << (bit - 32))) >>> 0;
  }
  return halves;
}
