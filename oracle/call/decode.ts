/**
 * From the registers and the memory of a call to what KVM decodes from them (TLFS "Hypercall Inputs"; kvm_hv_hypercall
 * and kvm_hv_send_ipi). Shares the layouts with the encoder and nothing else.
 */
import {
  controlFields,
  controlWord,
  HV_GENERIC_SET_ALL,
  HVCALL_SEND_IPI,
  HVCALL_SEND_IPI_EX,
  sendIpiExInput,
  sendIpiInput,
  xmmHalfCount,
} from '../../src/abi/hypercall.ts';
import { fieldOf, reservedBitsOf, type WordField } from '../../src/abi/layout.ts';
import { registerOffset } from '../../src/program/program.ts';
import { type Caller, plainCaller } from './caller.ts';
import type { Contract } from '../contract.ts';
import type { ModelMemory } from '../state/memory.ts';
import { type Halves, halvesOf, popcount, readHalves, readLong, zeroHalves } from '../words.ts';

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

export const isIpi = (call: Call): boolean => call.code === HVCALL_SEND_IPI;
export const isIpiEx = (call: Call): boolean => call.code === HVCALL_SEND_IPI_EX;
/** Whether it names all VPs by its format. */
export const namesAll = (call: Call): boolean =>
  isIpiEx(call) && call.format.low === Number(HV_GENERIC_SET_ALL) && call.format.high === 0;

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

/** A call that is being decoded: one object from the head to the banks. */
type Draft = { -readonly [Name in keyof Call]: Call[Name] };

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
  const low = registers.readUInt32LE(registerOffset.rcx);
  const high = registers.readUInt32LE(registerOffset.rcx + 4);
  const call: Draft = {
    caller,
    rax: readHalves(registers, registerOffset.rax),
    code: extract(low, high, controlFields.callCode),
    isFast: extract(low, high, controlFields.isFast) === 1,
    variableHeader: extract(low, high, controlFields.variableHeaderSize),
    repCount: extract(low, high, controlFields.repCount),
    repStart: extract(low, high, controlFields.repStartIndex),
    reserved: halvesOf((low & reservedMask.low) >>> 0, (high & reservedMask.high) >>> 0),
    gpa: readLong(registers, registerOffset.rdx),
    headIsReadable: true,
    vector: 0,
    afterVector: 0,
    format: zeroHalves,
    mask: zeroHalves,
    maskCount: 0,
    banksAreReadable: true,
    bankBytes: noBytes,
    bankOffset: 0,
    bankCount: 0,
  };
  if (call.code === HVCALL_SEND_IPI) decodeSendIpi(call, registers, memory);
  else if (call.code === HVCALL_SEND_IPI_EX) decodeSendIpiEx(call, registers, memory, contract);
  return call;
}

/** One half (0 low, 1 high) of the bank in a slot; 0 where no bank was given. */
export function bankHalf(call: Call, slot: number, half: number): number {
  return slot < call.bankCount ? call.bankBytes.readUInt32LE(call.bankOffset + 8 * slot + 4 * half) : 0;
}

function decodeSendIpi(call: Draft, registers: Buffer, memory: ModelMemory): void {
  putMask(call, onlyBank0);
  const view = call.isFast ? null : memory.read(call.gpa, headBytes);
  if (!call.isFast && view === null) {
    call.headIsReadable = false;
    return;
  }
  const bytes = view === null ? registers : view.bytes;
  const offset = view === null ? registerOffset.rdx : view.offset;
  putHead(call, bytes, offset);
  putBanks(call, bytes, offset + inputOffset.processorMask, 1);
}

function decodeSendIpiEx(call: Draft, registers: Buffer, memory: ModelMemory, contract: Contract): void {
  if (call.isFast) {
    putHead(call, registers, registerOffset.rdx);
    call.format = readHalves(registers, registerOffset.r8);
    putMask(call, readHalves(registers, registerOffset.xmm));
    putBanks(call, registers, registerOffset.xmm + 8, Math.min(call.variableHeader, xmmBankCount));
    return;
  }
  const said = contract.readsVariableHeader ? call.variableHeader : maskCountAt(call.gpa, memory);
  const count = Math.min(said, contract.bankReadMax);
  const whole = memory.read(call.gpa, headBytesEx + 8 * count);
  const view = whole ?? memory.read(call.gpa, headBytesEx);
  call.banksAreReadable = whole !== null;
  if (view === null) {
    call.headIsReadable = false;
    return;
  }
  const { bytes, offset } = view;
  putHead(call, bytes, offset);
  call.format = readHalves(bytes, offset + inputOffset.format);
  putMask(call, readHalves(bytes, offset + inputOffset.validBankMask));
  if (whole !== null) putBanks(call, bytes, offset + headBytesEx, count);
}

/** Banks that a KVM expects which does not read the variable header. */
function maskCountAt(gpa: bigint, memory: ModelMemory): number {
  const head = memory.read(gpa, headBytesEx);
  return head === null ? 0 : popcount(readHalves(head.bytes, head.offset + inputOffset.validBankMask));
}

function putHead(call: Draft, bytes: Buffer, offset: number): void {
  call.vector = bytes.readUInt32LE(offset + inputOffset.vector);
  call.afterVector = bytes.readUInt32LE(offset + inputOffset.afterVector);
}

function putMask(call: Draft, mask: Halves): void {
  call.mask = mask;
  call.maskCount = popcount(mask);
}

function putBanks(call: Draft, bytes: Buffer, offset: number, count: number): void {
  call.bankBytes = bytes;
  call.bankOffset = offset;
  call.bankCount = count;
}

function extract(low: number, high: number, { word, shift, max }: WordField): number {
  return (((word === 0 ? low : high) >>> shift) & max) >>> 0;
}

function maskOfBits(bits: readonly number[]): Halves {
  const halves = { low: 0, high: 0 };
  for (const bit of bits) {
    if (bit < 32) halves.low = (halves.low | (1 << bit)) >>> 0;
    else halves.high = (halves.high | (1 << (bit - 32))) >>> 0;
  }
  return halves;
}
