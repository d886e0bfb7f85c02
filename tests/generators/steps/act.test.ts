import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actPlan } from '../../../generators/steps/act.ts';
import { usualSwarm } from '../usual-swarm.ts';
import { type ActStep, makeCase } from '../../../src/case/case.ts';
import { actKinds, registerWays, waitPoints } from '../../../src/case/steps/act.ts';
import { itDrawsLawfully } from '../laws.ts';
import { isWellFormed } from '../../../src/case/checks.ts';

const eight = Array.from({ length: 8 }, () => ({}));

describe('actPlan', () => {
  itDrawsLawfully<ActStep>({
    arbitrary: actPlan(usualSwarm),
    expectValid: (plan) => expect(isWellFormed(makeCase(eight, [plan]))).toBe(true),
    keyOf: (plan) => JSON.stringify(plan),
  });

  it('should draw every act, every way and every point', () => {
    const plans = fc.sample(actPlan(usualSwarm), { seed: 42, numRuns: 1000 });
    expect(new Set(plans.map(({ act }) => act))).toEqual(new Set(actKinds));
    expect(new Set(plans.map(({ by }) => by))).toEqual(new Set(registerWays));
    expect(new Set(plans.map(({ at }) => at))).toEqual(new Set(waitPoints));
    expect(plans.some(({ act, by, open }) => act === 'set-tpr' && by === 'apic' && !open)).toBe(true);
  });
});
