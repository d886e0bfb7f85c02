/** From a case to the program that the hardware sees (TLFS "Hypercall Inputs", HV_VP_SET). */
import {
  bankCountMax,
  controlFields,
  HVCALL_SEND_IPI,
  HVCALL_SEND_IPI_EX,
  sendIpiExInput,
  sendIpiInput,
  vpsPerBank,
  xmmHalfCount,
} from '../abi/hypercall.ts';
import { putField, wordField } from '../abi/layout.ts';
import type { CallStep, Case, Step } from '../case/case.ts';
import { defaultInputGpa, readableBytesFrom } from '../case/memory.ts';
import { plainEnvironment } from '../case/steps/environment.ts';
import {
  callRegisterBytes,
  environmentRegisterBytes,
  type MemoryWrite,
  type Program,
  type ProgramCall,
  type ProgramStep,
  registerOffset,
} from './program.ts';
import { defaultRax, isPlainCall } from '../case/steps/call.ts';
import { environmentOf } from '../case/steps/environment.ts';
import { isCall } from '../case/steps/kinds.ts';

/** How many words of the tail follow the input in memory. */
const tailWordCount = 8;
/** Words of 64 bits before the banks. */
const headWords = { 'send-ipi': sendIpiInput.bits / 64, 'send-ipi-ex': sendIpiExInput.bits / 64 } as const;

/** Where the parts of a call stand in `longs` while it is put together. */
const registersAt = 0;
const controlAt = registersAt + environmentRegisterBytes / 8;
const addressesAt = controlAt + 1;
const inputAt = addressesAt + 2;

/*
 * A call is put together here and copied out: bigint arithmetic, or a typed array for each part, would be the hot spot of
 * the host side. Views of whole words: this is x86, so the host's byte order is the guest's.
 */
const longs = new BigUint64Array(inputAt + headWords['send-ipi-ex'] + bankCountMax + tailWordCount);
const words = new Uint32Array(longs.buffer);
const bytes = Buffer.from(longs.buffer);
/** All banks by number; zero between two calls. */
const halvesByBank = new Uint32Array(2 * bankCountMax);

/** Where registers stand in `longs`. */
const register = {
  rcx: registerOffset.rcx / 8,
  rdx: registerOffset.rdx / 8,
  r8: registerOffset.r8 / 8,
  rax: registerOffset.rax / 8,
  xmm: registerOffset.xmm / 8,
  rbx: registerOffset.rbx / 8,
  rsi: registerOffset.rsi / 8,
  rdi: registerOffset.rdi / 8,
} as const;

const field = {
  ...controlFields,
  // The same in both calls.
  vector: wordField(sendIpiInput, 'vector'),
  targetVtl: wordField(sendIpiInput, 'targetVtl'),
  padding: wordField(sendIpiInput, 'padding'),
};

const noWrites: readonly MemoryWrite[] = [];

export function encodeCase({ machine: { vcpus, ...machine }, steps }: Case): Program {
  return { machine, vcpus, steps: steps.map((step, index) => encodeStep(step, index, machine.xen !== false)) };
}

function encodeStep(step: Step, index: number, xen: boolean): ProgramStep {
  if (isCall(step)) return encodeCall(step, index, xen);
  const { do: kind, note: _, ...fields } = step;
  return { kind, ...fields } as ProgramStep;
}

/**
 * Puts the valid bank mask and the bank contents that a set of targets gives, banks ascending, into words from `start`
 * on, where the mask is 0; how many banks there are.
 */
export function putBanks(
  into: Uint32Array,
  start: number,
  targets: readonly number[],
  emptyBanks: readonly number[],
): number {
  putBits(into, start, emptyBanks);
  // By places: an iterator makes an object for every element, and some sets are large.
  for (let place = 0; place < targets.length; place++) {
    const vp = targets[place]!;
    putBit(into, start, Math.floor(vp / vpsPerBank));
    putBit(halvesByBank, 0, vp);
  }
  let count = 0;
  for (let half = 0; half < 2; half++) {
    for (let left = into[start + half]!; left !== 0; left &= left - 1) {
      const bank = 32 * half + 31 - Math.clz32(left & -left);
      const slot = start + 2 * (1 + count++);
      into[slot] = halvesByBank[2 * bank]!;
      into[slot + 1] = halvesByBank[2 * bank + 1]!;
      halvesByBank[2 * bank] = 0;
      halvesByBank[2 * bank + 1] = 0;
    }
  }
  return count;
}

function encodeCall(step: CallStep, index: number, xen: boolean): ProgramCall {
  const { fast, sender, tail } = step;
  const bankCount = putInput(step);
  const inputEnd = inputAt + headWords[step.do] + bankCount;
  putControl(step, bankCount);
  const gpa = step.gpa ?? defaultInputGpa(index);
  if (!fast) {
    longs[addressesAt] = gpa;
    longs[addressesAt + 1] = step.outputGpa;
  }
  const parameters = fast ? inputAt : addressesAt;
  // A call that may leave the guest is not plain.
  const environment = isPlainCall(step) && !xen ? plainEnvironment : environmentOf(step);
  if (step.mode === 'long') putLongParameters(parameters, step);
  else putHalves(parameters, step.mode === 'compat');
  fill(tail, register.xmm, register.xmm + xmmHalfCount);
  if (fast) copyLongs(register.xmm, inputAt + 2, Math.min(inputEnd, inputAt + 2 + xmmHalfCount));
  const registers = bytesOf(
    registersAt,
    environment === plainEnvironment ? callRegisterBytes : environmentRegisterBytes,
  );
  return { kind: 'call', sender, environment, registers, writes: fast ? noWrites : blockAt(gpa, inputEnd, tail) };
}

function putControl(step: CallStep, bankCount: number): void {
  const start = 2 * controlAt;
  longs[controlAt] = 0n;
  putField(words, start, field.callCode, step.do === 'send-ipi' ? HVCALL_SEND_IPI : HVCALL_SEND_IPI_EX);
  putField(words, start, field.isFast, step.fast ? 1 : 0);
  putField(words, start, field.variableHeaderSize, step.variableHeader ?? bankCount);
  putField(words, start, field.repCount, step.repCount);
  putField(words, start, field.repStartIndex, step.repStart);
  putBits(words, start, step.controlBits);
}

/** TLFS "Hypercall Inputs", x64: RCX, RDX, R8. */
function putLongParameters(parameters: number, step: CallStep): void {
  copyLongs(register.rcx, controlAt, controlAt + 1);
  copyLongs(register.rdx, parameters, parameters + 1);
  copyLongs(register.r8, parameters + 1, parameters + 2);
  longs[register.rax] = step.rax;
  fill(defaultRax, register.rbx, register.rdi + 1);
}

/**
 * TLFS "Hypercall Inputs", x86: EDX:EAX, EBX:ECX, EDI:ESI. In compatibility mode the upper halves of these registers
 * hold something else, which KVM must not see.
 */
function putHalves(parameters: number, dirty: boolean): void {
  const dirt = dirty ? defaultRax : 0n;
  fill(dirt, registersAt, register.xmm);
  fill(dirt, register.rbx, register.rdi + 1);
  putPair(register.rdx, register.rax, controlAt);
  putPair(register.rbx, register.rcx, parameters);
  putPair(register.rdi, register.rsi, parameters + 1);
}

/** Puts a word into the low halves of two registers. */
function putPair(high: number, low: number, from: number): void {
  words[2 * low] = words[2 * from]!;
  words[2 * high] = words[2 * from + 1]!;
}

/** Puts the input block at its place: fixed part first, then the banks; how many banks there are. */
function putInput(step: CallStep): number {
  const start = 2 * inputAt;
  fill(0n, inputAt, inputAt + headWords['send-ipi-ex']);
  putField(words, start, field.vector, step.vector);
  putField(words, start, field.targetVtl, step.targetVtl);
  putField(words, start, field.padding, step.padding);
  if (step.do === 'send-ipi') {
    putBits(words, start + 2, step.targets);
    return 0;
  }
  longs[inputAt + 1] = step.format;
  const maskStart = start + 4;
  const bankCount = putBanks(words, maskStart, step.targets, step.emptyBanks);
  for (const bit of step.maskFlips) words[maskStart + (bit >>> 5)]! ^= 1 << (bit & 31);
  return bankCount;
}

/** The block and its tail, cut off where memory ends; nothing when the address is in a hole. */
function blockAt(gpa: bigint, inputEnd: number, tail: bigint): readonly MemoryWrite[] {
  const room = readableBytesFrom(gpa);
  if (room === 0) return noWrites;
  const end = inputEnd + tailWordCount;
  fill(tail, inputEnd, end);
  return [{ gpa, bytes: bytesOf(inputAt, Math.min(room, 8 * (end - inputAt))) }];
}

function putBits(into: Uint32Array, start: number, bits: readonly number[]): void {
  for (let place = 0; place < bits.length; place++) putBit(into, start, bits[place]!);
}

function putBit(into: Uint32Array, start: number, bit: number): void {
  into[start + (bit >>> 5)]! |= 1 << (bit & 31);
}

/** As the arrays' own `fill` and `copyWithin`, whose calls cost more than what they do for a few words. */
function fill(long: bigint, start: number, end: number): void {
  for (let at = start; at < end; at++) longs[at] = long;
}

function copyLongs(to: number, from: number, end: number): void {
  for (let at = 2 * from; at < 2 * end; at++) words[2 * (to - from) + at] = words[at]!;
}

/** A copy of what stands in `longs`. */
function bytesOf(start: number, length: number): Buffer {
  const copy = Buffer.allocUnsafe(length);
  bytes.copy(copy, 0, 8 * start, 8 * start + length);
  return copy;
}
