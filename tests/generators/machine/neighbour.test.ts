import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { neighbourLifePlan, neighbourPlan } from '../../../generators/machine/neighbour.ts';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { isWellFormed } from '../../../src/case/checks.ts';
import { apicStates, irqchips } from '../../../src/case/limits.ts';
import { neighbourLives, plainNeighbour, xenKinds } from '../../../src/case/neighbour.ts';

const plans = fc.sample(neighbourPlan, { seed: 5, numRuns: 500 });

describe('neighbourPlan', () => {
  it('should draw only second VMs that a case may have', () => {
    for (const plan of plans) {
      const neighbour = { ...plan, life: 'beside' as const };
      expect(isWellFormed(makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi' })], { neighbour }))).toBe(true);
    }
  });

  it('should draw every irqchip, APIC and Xen, busy ones and such without Hyper-V', () => {
    expect(new Set(plans.map(({ irqchip }) => irqchip))).toEqual(new Set(irqchips));
    expect(new Set(plans.map(({ apic }) => apic))).toEqual(new Set(apicStates));
    expect(new Set(plans.map(({ xen }) => xen))).toEqual(new Set(xenKinds));
    expect(new Set(plans.map(({ busy }) => busy))).toEqual(new Set([true, false]));
    expect(new Set(plans.map(({ hyperv }) => hyperv))).toEqual(new Set([true, false]));
  });
});

describe('neighbourLifePlan', () => {
  const lives = fc.sample(neighbourLifePlan(plainNeighbour), { seed: 5, numRuns: 40_000 });

  it('should draw every life and none, and seldom the one that takes a second', () => {
    expect(new Set(lives.map((neighbour) => neighbour?.life))).toEqual(new Set([...neighbourLives, undefined]));
    expect(lives.filter((neighbour) => neighbour?.life === 'long-gone').length).toBeLessThan(40);
  });

  it('should draw none where the round has none', () => {
    expect(fc.sample(neighbourLifePlan(null), 20)).toEqual(Array.from({ length: 20 }, () => null));
  });
});
