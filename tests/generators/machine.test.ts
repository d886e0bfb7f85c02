import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildMachine, effectiveVpIndexes, machinePlan } from '../../generators/machine.ts';
import { type Feature, featureWeights, type Swarm, usualSwarm } from '../../generators/swarm.ts';

const planOf = (...indexes: number[]) => ({
  vcpus: indexes.map((index) => ({ index, apic: 'x2apic' as const, eoi: 'hv-msr' as const })),
  halted: 0,
});
const indexesOf = (...indexes: number[]) => buildMachine(planOf(...indexes)).vcpus.map((vcpu) => vcpu.vpIndex);

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
    const { vcpus } = buildMachine({ ...planOf(-1, -1, -1), halted: 0b1010 });
    expect(vcpus.map((vcpu) => vcpu.idle)).toEqual(['parked', 'halted', 'parked']);
  });
});

describe('effectiveVpIndexes', () => {
  it('should be the position where the write is refused', () => {
    expect(effectiveVpIndexes(buildMachine(planOf(4096, 4095, 2 ** 32 - 1)))).toEqual([0, 4095, 2]);
  });
});

describe('machinePlan', () => {
  const only = (feature: Feature): Swarm => {
    const layouts = Object.keys(featureWeights).filter((name) => name.startsWith('layout.'));
    const off = Object.fromEntries(layouts.map((name) => [name, 0]));
    return { ...usualSwarm, weights: { ...featureWeights, ...off, [feature]: 1 } };
  };
  const machines = (feature: Feature) =>
    fc.sample(machinePlan(only(feature)), { seed: 42, numRuns: 300 }).map(buildMachine);

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
});
