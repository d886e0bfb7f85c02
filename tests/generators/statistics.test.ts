/** What a campaign's cases are made of: each dimension must occur, and the mix must keep its proportions. */
import { beforeAll, describe, expect, it } from 'vitest';
import { drawBatch } from '../../generators/batch.ts';
import type { CallStep, Case } from '../../src/case/case.ts';
import { isCall } from '../../src/case/checks.ts';
import { brokenRules } from './broken-rules.ts';
import { callDimensions } from './call-dimensions.ts';
import { indexes, machineDimensions } from './machine-dimensions.ts';

const batchCount = 50;
const batchSize = 100;

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

  it.each(callDimensions)('should draw calls with %s', (_, is, least) => {
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
