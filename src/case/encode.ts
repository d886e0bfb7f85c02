/** From a case to the program that the hardware sees (TLFS "Hypercall Inputs", HV_VP_SET). */
import {
  bankCountMax,
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
  // Halves of banks as 32-bit numbers: a bigint operation for every target would be the hot spot of the host side.
  const halves = new Uint32Array(2 * bankCountMax);
  const isGiven = new Uint8Array(bankCountMax);
  for (const bank of emptyBanks) isGiven[bank] = 1;
  for (const vp of targets) {
    isGiven[Math.floor(vp / vpsPerBank)] = 1;
    halves[vp >>> 5]! |= 1 << (vp & 31);
  }
  let mask = 0n;
  const banks: bigint[] = [];
  for (let bank = 0; bank < bankCountMax; bank++) {
    if (isGiven[bank] === 0) continue;
    mask |= 1n << BigInt(bank);
    banks.push((BigInt(halves[2 * bank + 1]!) << 32n) | BigInt(halves[2 * bank]!));
  }
  return { mask, banks };
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
  // Views of whole words: this is x86, so the host's byte order is the guest's.
  const registers = new BigUint64Array(callRegisterBytes / 8);
  const gpa = step.gpa ?? defaultInputGpa(index);
  registers[registerOffset.rcx / 8] = control;
  registers[registerOffset.rdx / 8] = step.fast ? words[0]! : gpa;
  registers[registerOffset.r8 / 8] = step.fast ? words[1]! : step.outputGpa;
  for (let half = 0; half < xmmHalfCount; half++) {
    registers[registerOffset.xmm / 8 + half] = (step.fast ? words[2 + half] : undefined) ?? step.tail;
  }
  const writes = step.fast ? [] : blockAt(gpa, words, step.tail);
  return { kind: 'call', sender: step.sender, registers: Buffer.from(registers.buffer), writes };
}

/** The input block as 64-bit words: fixed part first, then the banks. The fields after the first word are words. */
function inputOf(step: CallStep): { callCode: number; bankCount: number; words: bigint[] } {
  const first = { vector: BigInt(step.vector), targetVtl: BigInt(step.targetVtl), padding: BigInt(step.padding) };
  if (step.do === 'send-ipi') {
    const words = [encodeBits(sendIpiInput, first), bitsToWord(step.targets)];
    return { callCode: HVCALL_SEND_IPI, bankCount: 0, words };
  }
  const { mask, banks } = encodeBanks(step.targets, step.emptyBanks);
  const words = [encodeBits(sendIpiExInput, first), step.format, mask ^ bitsToWord(step.maskFlips), ...banks];
  return { callCode: HVCALL_SEND_IPI_EX, bankCount: banks.length, words };
}

/** The block and its tail, cut off where RAM ends; nothing when the address is outside of RAM. */
function blockAt(gpa: bigint, words: readonly bigint[], tail: bigint): MemoryWrite[] {
  if (gpa >= ramEnd) return [];
  const block = new BigUint64Array(words.length + tailWordCount).fill(tail, words.length);
  block.set(words);
  const bytes = Buffer.from(block.buffer);
  const room = ramEnd - gpa;
  return [{ gpa, bytes: room < BigInt(bytes.length) ? bytes.subarray(0, Number(room)) : bytes }];
}

function bitsToWord(bits: readonly number[]): bigint {
  return bits.reduce((value, bit) => value | (1n << BigInt(bit)), 0n);
}
