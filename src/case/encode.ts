/** From a case to the program that the hardware sees (TLFS "Hypercall Inputs", HV_VP_SET). */
import {
  controlWord,
  HVCALL_SEND_IPI,
  HVCALL_SEND_IPI_EX,
  sendIpiExInput,
  sendIpiInput,
  vpsPerBank,
  xmmHalfCount,
} from '../abi/hypercall.ts';
import { encodeBits } from '../abi/layout.ts';
import type { CallStep, Case } from './case.ts';
import { defaultInputGpa, ramEnd } from './memory.ts';
import { callRegisterBytes, type MemoryWrite, type Program, type ProgramCall, registerOffset } from './program.ts';

/** How many words of the tail follow the input in memory. */
const tailWordCount = 8;
const word = (1n << 64n) - 1n;

export function encodeCase(value: Case): Program {
  return {
    vcpus: value.machine.vcpus,
    steps: value.steps.map((step, index) => (step.do === 'run' ? { kind: 'run' } : encodeCall(step, index))),
  };
}

/** The valid bank mask and the bank contents that a set of targets gives, banks ascending. */
export function encodeBanks(
  targets: readonly number[],
  emptyBanks: readonly number[],
): { mask: bigint; banks: bigint[] } {
  const contents = new Map<number, bigint>(emptyBanks.map((bank) => [bank, 0n]));
  for (const vp of targets) {
    const bank = Math.floor(vp / vpsPerBank);
    contents.set(bank, (contents.get(bank) ?? 0n) | (1n << BigInt(vp % vpsPerBank)));
  }
  const banks = [...contents.keys()].sort((a, b) => a - b);
  return {
    mask: banks.reduce((mask, bank) => mask | (1n << BigInt(bank)), 0n),
    banks: banks.map((bank) => contents.get(bank)!),
  };
}

function encodeCall(step: CallStep, index: number): ProgramCall {
  const { callCode, bankCount, words } = inputOf(step);
  const control =
    encodeBits(controlWord, {
      callCode: BigInt(callCode),
      isFast: step.fast ? 1n : 0n,
      variableHeaderSize: BigInt(step.variableHeader ?? bankCount),
      repCount: BigInt(step.repCount),
      repStartIndex: BigInt(step.repStart),
    }) | bitsToWord(step.controlBits);
  const registers = Buffer.alloc(callRegisterBytes);
  registers.writeBigUInt64LE(control, registerOffset.rcx);
  const gpa = step.gpa ?? defaultInputGpa(index);
  registers.writeBigUInt64LE(step.fast ? words[0]! : gpa, registerOffset.rdx);
  registers.writeBigUInt64LE(step.fast ? words[1]! : step.outputGpa, registerOffset.r8);
  for (let half = 0; half < xmmHalfCount; half++) {
    const value = (step.fast ? words[2 + half] : undefined) ?? step.tail;
    registers.writeBigUInt64LE(value, registerOffset.xmm + 8 * half);
  }
  return { kind: 'call', sender: step.sender, registers, writes: step.fast ? [] : blockAt(gpa, words, step.tail) };
}

/** The input block as 64-bit words: fixed part first, then the banks. */
function inputOf(step: CallStep): { callCode: number; bankCount: number; words: bigint[] } {
  const head = { vector: BigInt(step.vector), targetVtl: BigInt(step.targetVtl), padding: BigInt(step.padding) };
  if (step.do === 'send-ipi') {
    const input = encodeBits(sendIpiInput, { ...head, processorMask: bitsToWord(step.targets) });
    return { callCode: HVCALL_SEND_IPI, bankCount: 0, words: splitWords(input, 2) };
  }
  const { mask, banks } = encodeBanks(step.targets, step.emptyBanks);
  const validBankMask = mask ^ bitsToWord(step.maskFlips);
  const input = encodeBits(sendIpiExInput, { ...head, format: step.format, validBankMask });
  return { callCode: HVCALL_SEND_IPI_EX, bankCount: banks.length, words: [...splitWords(input, 3), ...banks] };
}

/** The block and its tail, cut off where RAM ends; nothing when the address is outside of RAM. */
function blockAt(gpa: bigint, words: readonly bigint[], tail: bigint): MemoryWrite[] {
  const bytes = Buffer.alloc(8 * (words.length + tailWordCount));
  words.forEach((value, index) => bytes.writeBigUInt64LE(value, 8 * index));
  for (let index = 0; index < tailWordCount; index++) bytes.writeBigUInt64LE(tail, 8 * (words.length + index));
  if (gpa >= ramEnd) return [];
  const room = ramEnd - gpa;
  return [{ gpa, bytes: room < BigInt(bytes.length) ? bytes.subarray(0, Number(room)) : bytes }];
}

function bitsToWord(bits: readonly number[]): bigint {
  return bits.reduce((value, bit) => value | (1n << BigInt(bit)), 0n);
}

function splitWords(value: bigint, count: number): bigint[] {
  return Array.from({ length: count }, (_, index) => (value >> BigInt(64 * index)) & word);
}
