import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawBatch, isConcurrentBatch, isHugeBatch } from '../../../generators/batch.ts';
import { hugePlan, othersOf } from '../../../generators/machine/huge.ts';
import { isWellFormed } from '../../../src/case/checks.ts';
import { hasWideIds, vcpuIdOf } from '../../../src/case/vcpus/vcpu-id.ts';

const plans = fc.sample(hugePlan, { seed: 3, numRuns: 300 });

describe('hugePlan', () => {
  it('should draw 256 to 1,024 vCPUs, few of them most often, and ids up to 4,095', () => {
    const counts = plans.map(({ vcpuCount }) => vcpuCount);
    expect(Math.min(...counts)).toBe(256);
    expect(Math.max(...counts)).toBe(1024);
    expect(counts.filter((count) => count === 1024).length).toBeLessThan(60);
    expect(new Set(plans.map(({ lastId }) => lastId))).toContain(4095);
  });
});

describe('othersOf', () => {
  it('should fill up behind the drawn vCPUs, in order', () => {
    const others = othersOf({ vcpuCount: 300, lastId: null }, 7);
    expect(others).toHaveLength(293);
    expect(others[0]).toMatchObject({ vpIndex: 7, vcpuId: null, apic: 'x2apic' });
  });

  it('should end with the last id', () => {
    const others = othersOf({ vcpuCount: 256, lastId: 4095 }, 4);
    expect(others.map(vcpuIdOf).slice(-2)).toEqual([4094, 4095]);
    expect(new Set(others.map(vcpuIdOf)).size).toBe(252);
    expect(hasWideIds(others)).toBe(true);
  });
});

describe('isHugeBatch', () => {
  it('should be one of 256, the first of them early, and none that is concurrent', () => {
    const huge = Array.from({ length: 25_600 }, (_, batch) => batch).filter(isHugeBatch);
    expect(huge).toHaveLength(100);
    expect(huge[0]).toBe(21);
    expect(huge.filter(isConcurrentBatch)).toEqual([]);
  });

  it('should have some cases of hundreds of vCPUs, all of which fit together', () => {
    const { cases, swarm } = drawBatch('huge', 21, 64);
    const sizes = cases.map(({ machine }) => machine.vcpus.length);
    expect(sizes.filter((size) => size > 8).every((size) => size === swarm.huge!.vcpuCount)).toBe(true);
    expect(sizes.filter((size) => size > 8).length).toBeGreaterThan(0);
    expect(sizes.filter((size) => size > 8).length).toBeLessThan(16);
    for (const value of cases) expect(isWellFormed(value)).toBe(true);
  });
});
