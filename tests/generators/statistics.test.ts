/** What a campaign's cases are made of: each dimension must occur, and the mix must keep its proportions. */
import { beforeAll, describe, expect, it } from 'vitest';
import { drawBatch } from '../../generators/batch.ts';
import type { CallStep, Case, SendIpiExStep, Step } from '../../src/case/case.ts';
import { banksOf, blockBytes, brokenRules, maskOf } from './broken-rules.ts';

const batchCount = 50;
const batchSize = 100;
const u64 = (1n << 64n) - 1n;
const ramEnd = 0x100000n;

const isCall = (step: Step): step is CallStep => step.do !== 'run';
const indexes = (value: Case) => value.machine.vcpus.map((vcpu) => vcpu.vpIndex);
const inOrder = (value: Case) => indexes(value).every((index, position) => index === position);
const isPermuted = (value: Case) =>
  !inOrder(value) && [...indexes(value)].sort((a, b) => a - b).every((index, position) => index === position);

const machineDimensions: [name: string, is: (value: Case) => boolean, least: number][] = [
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((count): [string, (value: Case) => boolean, number] => [
    `${count} vCPUs`,
    (value) => value.machine.vcpus.length === count,
    100,
  ]),
  ['VP indexes in order', (value) => value.machine.vcpus.length > 2 && inOrder(value), 300],
  ['VP indexes permuted', isPermuted, 300],
  ['VP indexes doubled', (value) => new Set(indexes(value)).size < value.machine.vcpus.length, 300],
  ...[31, 32, 63, 64, 65, 127, 128, 191, 1023, 1024, 2047, 4031, 4032, 4095].map(
    (index): [string, (value: Case) => boolean, number] => [
      `VP index ${index}`,
      (value) => indexes(value).includes(index),
      100,
    ],
  ),
  ['VP index 4096', (value) => indexes(value).includes(4096), 5],
  ['VP index 65535', (value) => indexes(value).includes(65535), 5],
  ['VP index 2^32-1', (value) => indexes(value).includes(2 ** 32 - 1), 5],
  ...(['x2apic', 'xapic', 'software-disabled', 'hardware-disabled'] as const).map(
    (apic): [string, (value: Case) => boolean, number] => [
      `APIC ${apic}`,
      (value) => value.machine.vcpus.some((vcpu) => vcpu.apic === apic),
      500,
    ],
  ),
  ['EOI by APIC', (value) => value.machine.vcpus.some((vcpu) => vcpu.eoi === 'apic'), 1000],
  ['halted vCPUs', (value) => value.machine.vcpus.some((vcpu) => vcpu.idle === 'halted'), 2],
  ['one step', (value) => value.steps.length === 1, 50],
  ['64 steps', (value) => value.steps.length === 64, 5],
  ['distinct vectors', (value) => new Set(vectors(value)).size === vectors(value).length, 500],
  ['repeated vectors', (value) => new Set(vectors(value)).size < vectors(value).length, 500],
  ['a run step between calls', (value) => value.steps.slice(0, -1).some((step) => step.do === 'run'), 500],
];

const isEx = (step: CallStep): step is SendIpiExStep => step.do === 'send-ipi-ex';
const whenEx = (is: (step: SendIpiExStep) => boolean) => (step: CallStep) => isEx(step) && is(step);
const isSlow = (step: CallStep) => !step.fast;
const slowAt = (gpa: bigint) => (step: CallStep) => isSlow(step) && step.gpa === gpa;
const blockEnd = (step: CallStep) => step.gpa! + BigInt(blockBytes(step));

const stepDimensions: [name: string, is: (step: CallStep) => boolean, least: number][] = [
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
    200,
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
    200,
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

let cases: Case[] = [];
let steps: CallStep[] = [];

beforeAll(() => {
  const batches = Array.from({ length: batchCount }, (_, batch) => drawBatch('statistics', batch, batchSize).cases);
  cases = batches.flat();
  steps = cases.flatMap((value) => value.steps.filter(isCall));
});

describe('drawBatch, over 5000 cases', () => {
  it.each(machineDimensions)('should draw cases with %s', (_, is, least) => {
    expect(cases.filter(is).length).toBeGreaterThanOrEqual(least);
  });

  it.each(stepDimensions)('should draw calls with %s', (_, is, least) => {
    expect(steps.filter(is).length).toBeGreaterThanOrEqual(least);
  });

  it('should break no rule in about half of the steps, and one rule in most of the others', () => {
    const counts = steps.map((step) => brokenRules(step).length);
    const share = (is: (count: number) => boolean) => counts.filter(is).length / counts.length;
    expect(share((count) => count === 0)).toSatisfy((value: number) => value > 0.42 && value < 0.58);
    expect(share((count) => count === 1)).toSatisfy((value: number) => value > 0.3 && value < 0.5);
    expect(share((count) => count > 1)).toSatisfy((value: number) => value > 0.03 && value < 0.2);
  });

  it.each(['vector', 'header', 'reserved', 'repetitions', 'address', 'registers', 'vtl'])(
    'should break the %s rule alone',
    (rule) => {
      const alone = steps.filter((step) => brokenRules(step).join() === rule).length;
      expect(alone).toBeGreaterThan(300);
    },
  );

  it('should reach a VP of the machine with about half of the calls that break no rule', () => {
    const reaches = cases.flatMap((value) =>
      value.steps
        .filter((step) => step.do !== 'run' && brokenRules(step).length === 0)
        .map((step) => indexes(value).some((index) => (step as CallStep).targets.includes(index))),
    );
    expect(reaches.filter(Boolean).length / reaches.length).toBeGreaterThan(0.4);
  });

  it('should have run steps in about 40 % of cases', () => {
    const counted = cases.filter((value) => value.steps.some((step) => step.do === 'run')).length / cases.length;
    expect(counted).toSatisfy((value: number) => value > 0.3 && value < 0.5);
  });

  it('should have 16 steps in a case on average, and 64 at most', () => {
    const lengths = cases.map((value) => value.steps.length);
    const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
    expect(mean).toSatisfy((value: number) => value > 12 && value < 20);
    expect(Math.max(...lengths)).toBe(64);
  });

  it('should have halted vCPUs in at most 2 % of cases, as they are slow', () => {
    const halted = cases.filter((value) => value.machine.vcpus.some((vcpu) => vcpu.idle === 'halted'));
    expect(halted.length / cases.length).toBeLessThan(0.02);
  });
});

function vectors(value: Case): number[] {
  return value.steps.filter(isCall).map((step) => step.vector);
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
