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
  const livesOf = (isPatient: boolean) =>
    fc.sample(neighbourLifePlan(plainNeighbour, isPatient), { seed: 5, numRuns: 4000 }).map((one) => one?.life);

  it('should draw every life and none, and the one that takes a second in patient rounds alone', () => {
    expect(new Set(livesOf(false))).toEqual(new Set(['beside', 'gone', undefined]));
    expect(new Set(livesOf(true))).toEqual(new Set(['beside', 'long-gone', undefined]));
    expect(livesOf(true).filter((life) => life === 'long-gone').length).toBeLessThan(0.08 * 4000);
    expect(new Set([...livesOf(false), ...livesOf(true)])).toEqual(new Set([...neighbourLives, undefined]));
  });

  it('should draw none where the round has none', () => {
    expect(fc.sample(neighbourLifePlan(null, true), 20)).toEqual(Array.from({ length: 20 }, () => null));
  });
});
