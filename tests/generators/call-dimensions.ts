/** What calls must occur among a campaign's cases: name, predicate, and how often in 5000 cases. */
import type { CallStep, SendIpiExStep, Step } from '../../src/case/case.ts';
import { callModes } from '../../src/case/steps/environment.ts';
import { banksOf, blockBytes, maskOf } from './broken-rules.ts';
import { isCall } from '../../src/case/steps/kinds.ts';

const u64 = (1n << 64n) - 1n;
const ramEnd = 0x100000n;
const romStart = 0x200000n;
const romEnd = 0x202000n;

const isEx = (step: CallStep): step is SendIpiExStep => step.do === 'send-ipi-ex';
const whenEx = (is: (step: SendIpiExStep) => boolean) => (step: CallStep) => isEx(step) && is(step);
const isSlow = (step: CallStep) => !step.fast;
const slowAt = (gpa: bigint) => (step: CallStep) => isSlow(step) && step.gpa === gpa;
const blockEnd = (step: CallStep) => step.gpa! + BigInt(blockBytes(step));

export const callDimensions: [name: string, is: (step: CallStep) => boolean, least: number][] = [
  ...callModes.map((mode): [string, (step: CallStep) => boolean, number] => [
    `${mode} mode`,
    (step) => step.mode === mode,
    mode === 'long' ? 10_000 : 100,
  ]),
  ...(['compat', 'protected32', 'unpaged32', 'protected16'] as const).map(
    (mode): [string, (step: CallStep) => boolean, number] => [
      `${mode} mode, XMM fast`,
      (step) => isEx(step) && step.fast && step.mode === mode,
      25,
    ],
  ),
  ...[1, 2, 3].map((cpl): [string, (step: CallStep) => boolean, number] => [
    `CPL ${cpl}`,
    (step) => step.cpl === cpl,
    150,
  ]),
  ['the hypercall page', (step) => step.page !== null, 25],
  ['the hypercall page and 32-bit registers', (step) => step.page !== null && step.mode !== 'long', 10],
  ['the other opcode', (step) => step.opcode === 'other', 100],
  ['the other opcode above CPL 0', (step) => step.opcode === 'other' && step.cpl > 0, 40],
  ['the other opcode in real mode', (step) => step.opcode === 'other' && step.mode === 'real', 5],
  ['an extended call', (step) => step.controlBits.includes(15), 25],
  ['another call code', (step) => step.controlBits.some((bit) => bit < 15), 300],
  ['RAX 11', (step) => step.rax === 11n, 40],
  ['RAX with bit 31', hasBit31, 150],
  ['an address in the read-only slot', (step) => isSlow(step) && isInRom(step.gpa), 150],
  [
    'a block over the end of the read-only slot',
    (step) => isSlow(step) && isInRom(step.gpa) && blockEnd(step) > romEnd,
    20,
  ],
  ['send-ipi slow', (step) => !isEx(step) && isSlow(step), 5000],
  ['send-ipi fast', (step) => !isEx(step) && step.fast, 5000],
  ['send-ipi-ex slow', (step) => isEx(step) && isSlow(step), 5000],
  ['send-ipi-ex fast', (step) => isEx(step) && step.fast, 5000],
  ...[0, 0xf, 0x10, 0x11, 0x1f, 0x20, 0xfe, 0xff, 0x100, 0x110, 0x1ff, 0x80000010, 0xffffffff].map(
    (vector): [string, (step: CallStep) => boolean, number] => [
      `vector 0x${vector.toString(16)}`,
      (step) => step.vector === vector,
      100,
    ],
  ),
  ...[0, 1, 2, 10, 11, 12, 16, 17, 63, 64].map((count): [string, (step: CallStep) => boolean, number] => [
    `${count} banks`,
    whenEx((step) => banksOf(step).size === count),
    100,
  ]),
  ['a fast call in a 32-bit code segment', (step) => step.mode === 'compat' && step.cpl === 0 && step.fast, 1000],
  ['XMM fast, 11 banks, plain', (step) => isEx(step) && step.fast && banksOf(step).size === 11, 50],
  ['XMM fast, 12 banks, plain', (step) => isEx(step) && step.fast && banksOf(step).size === 12, 50],
  ['a gap between banks', whenEx((step) => banksOf(step).has(2) && !banksOf(step).has(1)), 100],
  ['a full bank', (step) => [...banksOf(step)].some((bank) => holdsBank(step, bank)), 300],
  ['all 4096 VPs', (step) => step.targets.length === 4096, 5],
  ['no targets', (step) => step.targets.length === 0, 1000],
  ['empty but valid banks', whenEx((step) => step.emptyBanks.length > 0), 500],
  ['all, without banks', whenEx((step) => step.format === 1n && banksOf(step).size === 0), 100],
  ['all, with banks', whenEx((step) => step.format === 1n && banksOf(step).size > 0), 500],
  ...[2n, 7n, (1n << 32n) | 1n, u64, 1n << 63n].map((format): [string, (step: CallStep) => boolean, number] => [
    `format 0x${format.toString(16)}`,
    whenEx((step) => step.format === format),
    50,
  ]),
  ...[-1, 1].map((delta): [string, (step: CallStep) => boolean, number] => [
    `header off by ${delta}`,
    whenEx((step) => step.maskFlips.length === 0 && step.variableHeader === banksOf(step).size + delta),
    150,
  ]),
  ...[0, 11, 12, 64, 1023].map((header): [string, (step: CallStep) => boolean, number] => [
    `header ${header}`,
    (step) => step.variableHeader === header,
    100,
  ]),
  ['header on send-ipi', (step) => !isEx(step) && (step.variableHeader ?? 0) > 0, 500],
  ['mask flipped, header as given', whenEx((step) => step.maskFlips.length > 0 && step.variableHeader === null), 1000],
  ['mask moved, same count', whenEx(isMoved), 100],
  [
    'mask and header agree, banks do not',
    whenEx((step) => step.variableHeader === maskOf(step).size && maskOf(step).size !== banksOf(step).size),
    100,
  ],
  ...[27, 30, 31, 44, 47, 60, 63].map((bit): [string, (step: CallStep) => boolean, number] => [
    `control bit ${bit}`,
    (step) => step.controlBits.includes(bit),
    50,
  ]),
  ['two control bits', (step) => step.controlBits.length === 2, 100],
  ['rep count', (step) => step.repCount > 0, 500],
  ['largest rep count', (step) => step.repCount === 0xfff, 20],
  ['rep start', (step) => step.repStart > 0, 500],
  ['target VTL', (step) => step.targetVtl > 0, 500],
  ['UseTargetVtl with VTL 0', (step) => step.targetVtl === 0x10, 50],
  ['padding', (step) => step.padding > 0, 500],
  ['address misaligned', (step) => isSlow(step) && step.gpa !== null && step.gpa % 8n !== 0n, 500],
  [
    'block over a page end',
    (step) => step.gpa !== null && step.gpa >> 12n !== (blockEnd(step) - 1n) >> 12n && blockEnd(step) <= ramEnd,
    150,
  ],
  ['block ends with RAM', (step) => step.gpa !== null && blockEnd(step) === ramEnd, 100],
  ['block one byte past RAM', (step) => step.gpa !== null && blockEnd(step) === ramEnd + 1n, 50],
  ['header in RAM, banks out', whenEx((step) => banksOf(step).size > 0 && step.gpa === ramEnd - 24n), 20],
  ['address in the hole', slowAt(0x80000000n), 20],
  ['address 1 << 40', slowAt(1n << 40n), 20],
  ['address 1 << 52', slowAt(1n << 52n), 20],
  ['address ~7', slowAt(u64 - 7n), 20],
  ['address 2^64-1', slowAt(u64), 20],
  ['output address', (step) => step.outputGpa !== 0n, 300],
  ['tail 0', (step) => step.tail === 0n, 100],
  ['tail 0x55…', (step) => step.tail === 0x5555_5555_5555_5555n, 50],
  ['bad vector with an empty set', whenEx((step) => maskOf(step).size === 0 && step.vector < 0x10), 10],
  ['to itself', (step) => step.sender === 0 && step.targets.includes(0), 500],
];

/** In 64-bit mode, where RAX is the caller's own. */
export function hasBit31(step: Step): boolean {
  return isCall(step) && step.mode === 'long' && (step.rax & 0x8000_0000n) !== 0n;
}

function isInRom(gpa: bigint | null): boolean {
  return gpa !== null && gpa >= romStart && gpa < romEnd;
}

function holdsBank(step: CallStep, bank: number): boolean {
  const first = step.targets.indexOf(bank * 64);
  return first !== -1 && step.targets[first + 63] === bank * 64 + 63;
}

function isMoved(step: SendIpiExStep): boolean {
  const banks = banksOf(step);
  const mask = maskOf(step);
  return step.maskFlips.length === 2 && mask.size === banks.size && [...mask].some((bank) => !banks.has(bank));
}
