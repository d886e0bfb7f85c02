import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PlatformPlan, platformPlan, plainVcpuPlatform } from '../../../generators/machine/platform.ts';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { cpuidFeatures } from '../../../src/case/limits.ts';
import { itDrawsLawfully } from '../laws.ts';
import { isWellFormed } from '../../../src/case/checks.ts';

const plans = fc.sample(platformPlan, { seed: 42, numRuns: 2000 });
const share = (is: (plan: PlatformPlan) => boolean) => plans.filter(is).length / plans.length;

describe('platformPlan', () => {
  itDrawsLawfully<PlatformPlan>({
    arbitrary: platformPlan,
    expectValid: ({ irqchip, xen, vcpus }) => {
      const value = makeCase(vcpus, [makeStep({ do: 'send-ipi' })], { irqchip, xen });
      expect(isWellFormed(value)).toBe(true);
    },
    keyOf: (plan) => JSON.stringify(plan),
  });

  it('should have one to four vCPUs', () => {
    expect(new Set(plans.map(({ vcpus }) => vcpus.length))).toEqual(new Set([1, 2, 3, 4]));
  });

  it.each<[string, (plan: PlatformPlan) => boolean, number, number]>([
    ['the kernel’s irqchip', ({ irqchip }) => irqchip === 'kernel', 0.5, 0.65],
    ['a split irqchip', ({ irqchip }) => irqchip === 'split', 0.2, 0.35],
    ['no irqchip', ({ irqchip }) => irqchip === 'none', 0.08, 0.2],
    ['Xen', ({ xen }) => xen, 0.15, 0.3],
    ['vCPU ids that are no positions', ({ vcpus }) => vcpus.some(({ vcpuId }) => vcpuId !== null), 0.4, 0.6],
    ['a vCPU that keeps its VP index', ({ vcpus }) => vcpus.some(({ keepsVpIndex }) => keepsVpIndex), 0.5, 0.75],
    ['auto-EOI SINTs', ({ vcpus }) => vcpus.some(({ hasSints }) => hasSints), 0.3, 0.9],
    // Rounds without a platform, six in ten, have nothing but this; 0.2 % of platforms have it in the long run.
    ['nothing special on any vCPU', ({ vcpus }) => vcpus.every(isPlain), 0.001, 0.3],
    ...cpuidFeatures.map((name): [string, (plan: PlatformPlan) => boolean, number, number] => [
      `${name} missing somewhere`,
      ({ vcpus }) => vcpus.some(({ lacks }) => lacks.includes(name)),
      0.1,
      0.7,
    ]),
    ...cpuidFeatures.map((name): [string, (plan: PlatformPlan) => boolean, number, number] => [
      `${name} alone missing where CPUID is enforced`,
      ({ vcpus }) => vcpus.some(({ lacks, enforced }) => enforced && lacks.join() === name),
      0.05,
      0.5,
    ]),
    [
      'two of three features missing',
      ({ vcpus }) => vcpus.some(({ lacks }) => lacks.length === 2 && !lacks.includes('hyperv')),
      0.02,
      0.3,
    ],
    [
      'enforced and not enforced in one VM',
      ({ vcpus }) => new Set(vcpus.map(({ enforced }) => enforced)).size === 2,
      0.3,
      0.9,
    ],
  ])('should have %s in its share of platforms', (_, is, least, most) => {
    expect(share(is)).toBeGreaterThanOrEqual(least);
    expect(share(is)).toBeLessThanOrEqual(most);
  });
});

function isPlain(vcpu: PlatformPlan['vcpus'][number]): boolean {
  return JSON.stringify(vcpu) === JSON.stringify(plainVcpuPlatform);
}
