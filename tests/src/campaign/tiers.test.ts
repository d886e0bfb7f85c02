import { describe, expect, it } from 'vitest';
import { drawBatch, isConcurrentBatch } from '../../../generators/batch.ts';
import { predict } from '../../../oracle/model.ts';
import { disagreements, twinsOf } from '../../../src/campaign/tiers.ts';
import { type Case, makeCase, makeStep } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import type { Observation } from '../../../src/program/observation.ts';
import { modelFacts, observationOf } from '../../../src/model/model-executor.ts';
import { isWellFormed } from '../../../src/case/checks.ts';

const run = makeStep({ do: 'run' });
const race = makeCase(
  [{ vpIndex: 0 }, { vpIndex: 1, idle: 'halted' }],
  [makeStep({ do: 'send-ipi', fast: true, vector: 0x40, targets: [1] }), run],
  { schedule: 1 },
);

function seen(value: Case): Observation {
  return observationOf(predict(encodeCase(value), modelFacts), { exact: true });
}

function compare(value: Case, change: (observation: Observation) => Observation = (one) => one) {
  const { counted, pending } = twinsOf(value)!;
  return disagreements(value, change(seen(value)), seen(counted), pending === null ? null : seen(pending));
}

describe('disagreements', () => {
  it('should be none between the tiers of drawn cases, as the model has them', () => {
    const concurrent = [...Array(100).keys()].find(isConcurrentBatch)!;
    const values = drawBatch('tiers', concurrent, 100).cases.filter((value) => twinsOf(value) !== null);
    expect(values.length).toBeGreaterThan(30);
    for (const value of values) {
      const { counted, pending } = twinsOf(value)!;
      expect([counted, ...(pending === null ? [] : [pending])].every(isWellFormed)).toBe(true);
      expect(compare(value)).toEqual([]);
    }
  });

  it('should tell an interrupt that only the concurrent tier lost, from both others', () => {
    const lost = compare(race, (one) => ({
      ...one,
      steps: one.steps.map((step) => ({ ...step, arrivals: [[], []] })),
      lapics: [new Map(), new Map()],
    }));
    expect(lost.map(({ vcpu, what }) => `${vcpu} ${what.split(' ').slice(0, 4).join(' ')}`)).toEqual([
      '1 interrupts of the counted',
      '1 TMR of the counted',
      '1 interrupts of the pending',
      '1 TMR of the pending',
    ]);
  });

  it('should tell a result that is another one', () => {
    const wrong = compare(race, (one) => ({ ...one, steps: one.steps.map((step) => ({ ...step, result: 3n })) }));
    expect(wrong.map(({ step, what }) => `${step} ${what}`)).toEqual([
      '0 result of the counted tier against the concurrent one',
      '0 result of the pending tier against the concurrent one',
    ]);
  });
});

describe('twinsOf', () => {
  it('should leave out cases in which the order decides who is meant, and those that are no race', () => {
    const moving = { ...race, steps: [makeStep({ do: 'write-msr', msr: 'vp-index', value: 5n }), ...race.steps] };
    expect(twinsOf(moving)).toBeNull();
    expect(twinsOf({ ...race, machine: { ...race.machine, schedule: null } })).toBeNull();
  });
});
