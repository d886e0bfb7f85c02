/** Laws of `caseArbitrary`, and what seed 42 draws: a change of the generators is never silent. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawBatch } from '../../generators/batch.ts';
import { caseArbitrary } from '../../generators/case.ts';
import { usualSwarm } from './usual-swarm.ts';
import { type Case, formatCase, makeCase, makeStep, parseCase } from '../../src/case/case.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { itKeepsTheLaws } from './laws.ts';
import { isAllowedGpa } from '../../src/case/memory.ts';
import { isCall } from '../../src/case/steps/kinds.ts';

const arbitrary = caseArbitrary(usualSwarm);

describe('caseArbitrary', () => {
  itKeepsTheLaws<Case>({ arbitrary, expectValid, keyOf: formatCase, shrinks: 25 });

  it('should give a call to every case, and a run step to every counted one', () => {
    const always = caseArbitrary({ ...usualSwarm, countedPercent: 100, stepCountMax: 64 });
    const never = caseArbitrary({ ...usualSwarm, countedPercent: 0, stepCountMax: 1 });
    for (const [from, runs] of [
      [always, true],
      [never, false],
    ] as const) {
      for (const value of drawn(from)) {
        expect(value.steps.some((step) => step.do === 'run')).toBe(runs);
        expect(value.steps.some(isCall)).toBe(true);
      }
    }
  });

  it('should shrink what no generator draws: remarks, a refused address, a set of every VP', () => {
    const everyVp = Array.from({ length: 4096 }, (_, vp) => vp);
    const value: Case = {
      ...makeCase([{ vpIndex: 3 }], [makeStep({ do: 'send-ipi-ex', vector: 0x77, targets: everyVp, note: 'n' })]),
      why: 'by hand',
      origin: { seed: 's', path: '0:0' },
    };
    expect(arbitrary.canShrinkWithoutContext(value)).toBe(true);
    const [first] = arbitrary.shrink(value, undefined);
    expect(first!.value.why).toBe('');
  });

  it.each([null, 3, 'text', {}, { machine: {}, steps: [] }, { machine: { vcpus: [] }, steps: [{ do: 'other' }] }])(
    'should not claim to shrink %j',
    (value) => {
      expect(arbitrary.canShrinkWithoutContext(value)).toBe(false);
    },
  );

  it('should draw the cases of seed 42 that it always drew', () => {
    const cases = Array.from({ length: 10 }, (_, batch) => drawBatch('42', batch, 25).cases).flat();
    const hash = createHash('sha256').update(cases.map(formatCase).join('')).digest('hex');
    expect(hash.slice(0, 16)).toMatchSnapshot();
  });

  it.each([
    [2, 1],
    [6, 17],
    [10, 6],
  ])('should draw in batch %i of seed 42, as case %i, what it always drew', (batch, index) => {
    expect(formatCase(drawBatch('42', batch, index + 1).cases[index]!)).toMatchSnapshot();
  });
});

function expectValid(value: Case): void {
  expect(parseCase(formatCase(value))).toEqual(value);
  for (const step of value.steps) {
    if (isCall(step) && step.gpa !== null) expect(isAllowedGpa(step.gpa)).toBe(true);
  }
  expect(encodeCase(value).steps).toHaveLength(value.steps.length);
}

function drawn(from: typeof arbitrary): Case[] {
  return fc.sample(from, { seed: 42, numRuns: 100 });
}
