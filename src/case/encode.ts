/** From a case to the program that the hardware sees (TLFS "Hypercall Inputs", HV_VP_SET). */
import {
  bankCountMax,
  controlWord,
  extendedCallBit,
  HVCALL_SEND_IPI,
  HVCALL_SEND_IPI_EX,
  sendIpiExInput,
  sendIpiInput,
  vpsPerBank,
  xmmHalfCount,
} from '../abi/hypercall.ts';
import { encodeBits, maxOf } from '../abi/layout.ts';
import type { CallStep, Case, Step } from './case.ts';
import { defaultInputGpa, readableBytesFrom } from './memory.ts';
import {
  type CallEntry,
  callRegisterBytes,
  entryRegisterBytes,
  type MemoryWrite,
  type Program,
  type ProgramCall,
  type ProgramStep,
  registerOffset,
} from './program.ts';
import { defaultRax } from './schema.ts';

/** How many words of the tail follow the input in memory. */
const tailWordCount = 8;

export function encodeCase({ machine: { vcpus, ...machine }, steps }: Case): Program {
  return { machine, vcpus, steps: steps.map((step, index) => encodeStep(step, index, machine.xen)) };
}

function encodeStep(step: Step, index: number, xen: boolean): ProgramStep {
  switch (step.do) {
    case 'run':
      return { kind: 'run' };
    case 'act': {
      const { do: kind, note: _, ...act } = step;
      return { kind, ...act };
    }
    case 'write-msr':
      return { kind: 'msr', vcpu: step.vcpu, msr: step.msr, value: step.value };
    case 'set-apic':
      return { kind: 'apic', vcpu: step.vcpu, apic: step.apic };
    case 'init':
      return { kind: 'init', vcpu: step.vcpu };
    case 'send-ipi':
    case 'send-ipi-ex':
      return encodeCall(step, index, xen);
  }
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

function encodeCall(step: CallStep, index: number, xen: boolean): ProgramCall {
  const { callCode, bankCount, words } = inputOf(step);
  const control =
    encodeBits(controlWord, {
      callCode: BigInt(callCode),
      isFast: step.fast ? 1n : 0n,
      variableHeaderSize: BigInt(step.variableHeader ?? bankCount),
      repCount: BigInt(step.repCount),
      repStartIndex: BigInt(step.repStart),
    }) | bitsToWord(step.controlBits);
  const gpa = step.gpa ?? defaultInputGpa(index);
  const entry = entryOf(step, xen);
  // Views of whole words: this is x86, so the host's byte order is the guest's.
  const registers = new BigUint64Array((entry === null ? callRegisterBytes : entryRegisterBytes) / 8);
  const parameters = step.fast ? [words[0]!, words[1]!] : [gpa, step.outputGpa];
  if (entry === null || entry.mode === 'long') putLongParameters(registers, control, parameters, step);
  else putHalves(registers, control, parameters, entry.mode === 'compat');
  for (let half = 0; half < xmmHalfCount; half++) {
    registers[registerOffset.xmm / 8 + half] = (step.fast ? words[2 + half] : undefined) ?? step.tail;
  }
  const writes = step.fast ? [] : blockAt(gpa, words, step.tail);
  return { kind: 'call', sender: step.sender, entry, registers: Buffer.from(registers.buffer), writes };
}

/** The guest's ring knows one way to call, and no call in it may leave the guest. */
function entryOf({ mode, cpl, page, opcode, controlBits }: CallStep, xen: boolean): CallEntry | null {
  const isPlain = mode === 'long' && cpl === 0 && page === null && opcode === 'native';
  const mayLeave = xen || controlBits.includes(extendedCallBit);
  return isPlain && !mayLeave ? null : { mode, cpl, page, opcode };
}

/** TLFS "Hypercall Inputs", x64: RCX, RDX, R8. */
function putLongParameters(registers: BigUint64Array, control: bigint, parameters: bigint[], step: CallStep): void {
  registers[registerOffset.rcx / 8] = control;
  registers[registerOffset.rdx / 8] = parameters[0]!;
  registers[registerOffset.r8 / 8] = parameters[1]!;
  registers[registerOffset.rax / 8] = step.rax;
  if (registers.length * 8 === callRegisterBytes) return;
  for (const name of ['rbx', 'rsi', 'rdi'] as const) registers[registerOffset[name] / 8] = defaultRax;
}

/**
 * TLFS "Hypercall Inputs", x86: EDX:EAX, EBX:ECX, EDI:ESI. In compatibility mode the upper halves of these registers
 * hold something else, which KVM must not see.
 */
function putHalves(registers: BigUint64Array, control: bigint, parameters: bigint[], dirty: boolean): void {
  const dirt = dirty ? defaultRax & (maxOf(32) << 32n) : 0n;
  const put = (high: 'rdx' | 'rbx' | 'rdi', low: 'rax' | 'rcx' | 'rsi', value: bigint) => {
    registers[registerOffset[high] / 8] = (value >> 32n) | dirt;
    registers[registerOffset[low] / 8] = (value & maxOf(32)) | dirt;
  };
  put('rdx', 'rax', control);
  put('rbx', 'rcx', parameters[0]!);
  put('rdi', 'rsi', parameters[1]!);
  registers[registerOffset.r8 / 8] = dirty ? defaultRax : 0n;
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

/** The block and its tail, cut off where memory ends; nothing when the address is in a hole. */
function blockAt(gpa: bigint, words: readonly bigint[], tail: bigint): MemoryWrite[] {
  const room = readableBytesFrom(gpa);
  if (room === 0n) return [];
  const block = new BigUint64Array(words.length + tailWordCount).fill(tail, words.length);
  block.set(words);
  const bytes = Buffer.from(block.buffer);
  return [{ gpa, bytes: room < BigInt(bytes.length) ? bytes.subarray(0, Number(room)) : bytes }];
}

function bitsToWord(bits: readonly number[]): bigint {
  return bits.reduce((value, bit) => value | (1n << BigInt(bit)), 0n);
}
