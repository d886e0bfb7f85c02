import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  buildMachine,
  effectiveVpIndexes,
  type MachinePlan,
  machinePlan,
} from '../../../generators/machine/machine.ts';
import { defaultVmmAnswer } from '../../../src/case/machine.ts';
import type { PlatformPlan } from '../../../generators/machine/platform.ts';
import { type Feature, featureWeights, type Swarm } from '../../../generators/swarm.ts';
import { usualSwarm } from '../usual-swarm.ts';

const noPreset = { tpr: 0, irr: [], isr: [] };
const planOf = (...indexes: number[]) => ({
  vcpus: indexes.map((index) => ({
    index,
    apic: 'x2apic' as const,
    eoi: 'hv-msr' as const,
    eoiWithSints: 'none' as const,
    idle: 'parked' as const,
    preset: noPreset,
    logsPpr: false,
    autoEoi: [0x40],
  })),
  halted: 0,
  hasGuestOsId: true,
  neighbour: null,
  vmmAnswer: defaultVmmAnswer,
  huge: null,
});
const indexesOf = (...indexes: number[]) => buildMachine(planOf(...indexes), null, 0).vcpus.map((vcpu) => vcpu.vpIndex);

describe('buildMachine', () => {
  it('should number vCPUs of one rank by position', () => {
    expect(indexesOf(-1, -1, -1)).toEqual([0, 1, 2]);
  });

  it('should permute vCPUs of different ranks', () => {
    expect(indexesOf(-3, -2, -1)).toEqual([2, 1, 0]);
    expect(indexesOf(-2, -3, -1)).toEqual([1, 2, 0]);
  });

  it('should leave given indexes alone and permute the others among their own positions', () => {
    expect(indexesOf(-2, 65, -1)).toEqual([2, 65, 0]);
  });

  it('should halt the vCPUs whose bits are set', () => {
    const { vcpus } = buildMachine({ ...planOf(-1, -1, -1), halted: 0b1010 }, null, 0);
    expect(vcpus.map((vcpu) => vcpu.idle)).toEqual(['parked', 'halted', 'parked']);
  });
});

describe('buildMachine, of a platform', () => {
  const odd = { tpr: 5, irr: [0x40], isr: [0x51] };
  const plan: MachinePlan = {
    vcpus: [0, 1, 2].map(() => ({
      index: -1,
      apic: 'xapic',
      eoi: 'apic',
      eoiWithSints: 'none',
      idle: 'uninitialized',
      preset: odd,
      logsPpr: true,
      autoEoi: [0x40],
    })),
    halted: 0,
    hasGuestOsId: false,
    neighbour: null,
    vmmAnswer: defaultVmmAnswer,
    huge: null,
  };
  const vcpus: PlatformPlan['vcpus'] = [
    { vcpuId: 2, keepsVpIndex: false, lacks: [], enforced: false, hasSints: false },
    { vcpuId: 1, keepsVpIndex: true, lacks: ['ex-masks'], enforced: true, hasSints: true },
    { vcpuId: 0, keepsVpIndex: false, lacks: ['hyperv'], enforced: false, hasSints: true },
  ];

  it('should have what the platform says, and the presets and idle states of the plan but for the sender', () => {
    const machine = buildMachine(plan, { irqchip: 'split', xen: true, vcpus }, 4);
    const common = { apic: 'xapic', eoi: 'apic', logsPpr: true, ...odd } as const;
    const own = vcpus.map(({ vcpuId, lacks, enforced }) => ({ vcpuId, lacks, enforced }));
    expect(machine).toEqual({
      irqchip: 'split',
      xen: true,
      guestOsId: 0n,
      schedule: null,
      neighbour: null,
      vmmAnswer: defaultVmmAnswer,
      vcpus: [
        { vpIndex: 0, idle: 'uninitialized', ...common, ...own[0], autoEoi: [] },
        { vpIndex: 4097, idle: 'parked', ...common, ...own[1], eoi: 'none', autoEoi: [0x40] },
        { vpIndex: 2, idle: 'uninitialized', ...common, ...own[2], autoEoi: [] },
      ],
    });
  });

  it('should have no presets and no idle states without a LAPIC', () => {
    const machine = buildMachine(plan, { irqchip: 'none', xen: false, vcpus }, 0);
    expect(machine.vcpus.map(({ idle, tpr, irr, isr }) => ({ idle, tpr, irr, isr }))).toEqual(
      machine.vcpus.map(() => ({ idle: 'parked', ...noPreset })),
    );
  });

  it('should halt only vCPUs that can', () => {
    const halted = { ...planOf(-1, -1, -1), halted: 0b111 };
    const idles = (platform: PlatformPlan | null) => buildMachine(halted, platform, 0).vcpus.map(({ idle }) => idle);
    expect(idles(null)).toEqual(['halted', 'halted', 'halted']);
    expect(idles({ irqchip: 'kernel', xen: false, vcpus })).toEqual(['parked', 'parked', 'parked']);
    const plainIds = vcpus.map((vcpu) => ({ ...vcpu, vcpuId: null }));
    expect(idles({ irqchip: 'kernel', xen: false, vcpus: plainIds })).toEqual(['halted', 'halted', 'parked']);
    expect(idles({ irqchip: 'split', xen: false, vcpus: plainIds })).toEqual(['parked', 'parked', 'parked']);
  });
});

describe('effectiveVpIndexes', () => {
  it('should be the position where the write is refused', () => {
    expect(effectiveVpIndexes(buildMachine(planOf(4096, 4095, 2 ** 32 - 1), null, 0))).toEqual([0, 4095, 2]);
  });
});

describe('machinePlan', () => {
  const only = (feature: Feature): Swarm => {
    const layouts = Object.keys(featureWeights).filter((name) => name.startsWith('layout.'));
    const off = Object.fromEntries(layouts.map((name) => [name, 0]));
    return { ...usualSwarm, weights: { ...featureWeights, ...off, [feature]: 1 } };
  };
  const machines = (feature: Feature) =>
    fc.sample(machinePlan(only(feature)), { seed: 42, numRuns: 300 }).map((plan) => buildMachine(plan, null, 0));

  it('should keep to the layout that is on', () => {
    for (const { vcpus } of machines('layout.inOrder'))
      vcpus.forEach((vcpu, position) => expect(vcpu.vpIndex).toBe(position));
    for (const { vcpus } of machines('layout.permuted')) {
      const sorted = vcpus.map((vcpu) => vcpu.vpIndex).sort((a, b) => a - b);
      expect(sorted).toEqual([...vcpus.keys()]);
    }
  });

  it('should make permutations that are not the identity', () => {
    const moved = machines('layout.permuted').filter(({ vcpus }) =>
      vcpus.some((vcpu, position) => vcpu.vpIndex !== position),
    );
    expect(moved.length).toBeGreaterThan(150);
  });

  it('should refuse a VP index only now and then', () => {
    const refused = machines('layout.mixed').filter(({ vcpus }) => vcpus.some((vcpu) => vcpu.vpIndex > 4095));
    expect(refused.length).toBeGreaterThan(10);
    expect(refused.length).toBeLessThan(120);
  });

  it('should have as many vCPUs as its platform', () => {
    const one = { vcpuId: null, keepsVpIndex: false, lacks: [], enforced: true, hasSints: false };
    const platform: PlatformPlan = { irqchip: 'kernel', xen: false, vcpus: [one, one, one] };
    const plans = fc.sample(machinePlan({ ...usualSwarm, platform }), { seed: 42, numRuns: 100 });
    expect(new Set(plans.map(({ vcpus }) => vcpus.length))).toEqual(new Set([3]));
  });

  it('should start without GUEST_OS_ID as often as the swarm says', () => {
    const without = (noGuestOsIdPercent: number) =>
      fc
        .sample(machinePlan({ ...usualSwarm, noGuestOsIdPercent }), { seed: 42, numRuns: 400 })
        .filter(({ hasGuestOsId }) => !hasGuestOsId).length;
    expect([without(0), without(100)]).toEqual([0, 400]);
    expect(without(25)).toSatisfy((count: number) => count > 70 && count < 130);
  });

  const presets = (feature: Feature) => {
    const names = Object.keys(featureWeights).filter((name) => name.startsWith('preset.'));
    const off = Object.fromEntries(names.map((name) => [name, 0]));
    const swarm = { ...usualSwarm, weights: { ...featureWeights, ...off, [feature]: 1 } };
    return fc
      .sample(machinePlan(swarm), { seed: 42, numRuns: 200 })
      .flatMap(({ vcpus }) => vcpus.map(({ preset }) => preset));
  };

  it.each<[Feature, boolean, boolean, boolean]>([
    ['preset.none', false, false, false],
    ['preset.tpr', true, false, false],
    ['preset.irr', false, true, false],
    ['preset.isr', false, false, true],
    ['preset.all', true, true, true],
  ])('should preset with %s what that says', (feature, hasTpr, hasIrr, hasIsr) => {
    for (const { tpr, irr, isr } of presets(feature)) {
      expect([tpr > 0, irr.length > 0, isr.length > 0]).toEqual([hasTpr, hasIrr, hasIsr]);
      for (const list of [irr, isr]) {
        expect(list).toEqual([...new Set(list)].sort((a, b) => a - b));
        expect(list.every((vector) => vector >= 16 && vector <= 255)).toBe(true);
      }
    }
  });

  it('should preset first and last vectors of classes, and every class of TPR', () => {
    const vectors = presets('preset.all').flatMap(({ irr, isr }) => [...irr, ...isr]);
    const atEdge = vectors.filter((vector) => vector % 16 === 0 || vector % 16 === 15).length;
    expect(atEdge / vectors.length).toBeGreaterThan(0.35);
    expect(new Set(vectors.map((vector) => vector >> 4)).size).toBe(15);
    expect(new Set(presets('preset.tpr').map(({ tpr }) => tpr)).size).toBe(15);
  });
});
