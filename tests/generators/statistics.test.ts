/** What a campaign's cases are made of: each dimension must occur, and the mix must keep its proportions. */
import { beforeAll, describe, expect, it } from 'vitest';
import { drawBatch, isConcurrentBatch } from '../../generators/batch.ts';
import type { CallStep, Case } from '../../src/case/case.ts';
import { brokenRules } from './broken-rules.ts';
import { callDimensions } from './call-dimensions.ts';
import { indexes, machineDimensions } from './machine-dimensions.ts';
import { runsMeanwhile } from '../../src/case/limits.ts';
import { isCall } from '../../src/case/steps/kinds.ts';

/**
 * What a round draws holds for all of its cases (how many rules are broken, which changes and acts there are), so figures
 * are as certain as there are many rounds, not many cases: 200 step by step and 28 concurrent ones.
 */
const batchCount = 228;
const batchSize = 25;

let cases: Case[] = [];
let steps: CallStep[] = [];
let concurrent: Case[] = [];

beforeAll(() => {
  const numbers = Array.from({ length: batchCount }, (_, batch) => batch);
  const draw = (batch: number): Case[] => drawBatch('statistics', batch, batchSize).cases;
  cases = numbers.filter((batch) => !isConcurrentBatch(batch)).flatMap(draw);
  concurrent = numbers.filter(isConcurrentBatch).flatMap(draw);
  steps = cases.flatMap((value) => value.steps.filter(isCall));
});

describe('drawBatch, over 5000 cases', () => {
  it.each(machineDimensions)('should draw cases with %s', (_, is, least) => {
    expect(cases.filter(is).length).toBeGreaterThanOrEqual(least);
  });

  it.each(callDimensions)('should draw calls with %s', (_, is, least) => {
    expect(steps.filter(is).length).toBeGreaterThanOrEqual(least);
  });

  it('should break no rule in about half of the steps, and one rule in most of the others', () => {
    // One round in five breaks none, the others about half: 56 % in the long run.
    const counts = steps.map((step) => brokenRules(step).length);
    const share = (is: (count: number) => boolean) => counts.filter(is).length / counts.length;
    expect(share((count) => count === 0)).toSatisfy((value: number) => value > 0.5 && value < 0.6);
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
        .filter(isCall)
        .filter((step) => brokenRules(step).length === 0)
        .map((step) => indexes(value).some((index) => step.targets.includes(index))),
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

const senders = (value: Case): Set<number> => new Set(value.steps.filter(isCall).map(({ sender }) => sender));
const hasIdle = (value: Case, idle: string): boolean => value.machine.vcpus.some((vcpu) => vcpu.idle === idle);
/** Whether a call names the VP of a vCPU that does that. */
const reaches = (value: Case, idle: string): boolean =>
  value.steps.filter(isCall).some(({ targets }) => {
    return value.machine.vcpus.some((vcpu) => vcpu.idle === idle && targets.includes(vcpu.vpIndex));
  });

const isOfOneWord = (value: Case): boolean => {
  const legal = value.steps.filter(isCall).filter(({ vector }) => vector >= 0x10 && vector <= 0xff);
  return legal.length > 3 && new Set(legal.map(({ vector }) => vector >> 5)).size === 1;
};

describe('drawBatch, over 700 concurrent cases', () => {
  it('should draw concurrent cases in those batches and nowhere else', () => {
    expect(concurrent.length).toBe(28 * batchSize);
    expect(cases.length).toBe(200 * batchSize);
    expect(concurrent.every(({ machine }) => machine.schedule !== null)).toBe(true);
    expect(cases.every(({ machine }) => machine.schedule === null)).toBe(true);
  });

  it.each<[string, (value: Case) => boolean, number]>([
    ['a halted receiver that is meant', (value) => reaches(value, 'halted'), 200],
    ['a spinning receiver that is meant', (value) => reaches(value, 'spinning'), 150],
    ['one sender', (value) => senders(value).size === 1, 200],
    ['several senders', (value) => senders(value).size > 1, 230],
    ['several phases', ({ steps: all }) => all.filter((step) => step.do === 'run').length > 1, 400],
    ['a VP index that changes meanwhile', ({ steps: all }) => all.some((step) => step.do === 'write-msr'), 250],
    ['a VMM that disturbs them', ({ steps: all }) => all.some((step) => step.do === 'vmm'), 250],
    ['calls of several senders with vectors of one word', (value) => senders(value).size > 1 && isOfOneWord(value), 90],
    [
      'one sender and a receiver that runs or sleeps',
      (value) => senders(value).size === 1 && value.machine.vcpus.some(runsMeanwhile),
      200,
    ],
    ['nobody who takes part but senders', (value) => !hasIdle(value, 'halted') && !hasIdle(value, 'spinning'), 5],
  ])('should draw cases with %s', (_, is, least) => {
    expect(concurrent.filter(is).length).toBeGreaterThanOrEqual(least);
  });
});
