import { describe, expect, it } from 'vitest';
import { makeVcpu, type VcpuSetup } from '../../../../src/case/case.ts';
import { likeVcpusFrom, repeatVcpu } from '../../../../src/case/vcpus/like-vcpus.ts';

const three = repeatVcpu(makeVcpu({ vpIndex: 5 }), 3);

describe('repeatVcpu', () => {
  it('should count VP indexes up, and ids where there are some', () => {
    expect(three.map(({ vpIndex, vcpuId }) => [vpIndex, vcpuId])).toEqual([[5, null], [6, null], [7, null]]); // prettier-ignore
    const withIds = repeatVcpu(makeVcpu({ vpIndex: 0, vcpuId: 300 }), 2);
    expect(withIds.map(({ vcpuId }) => vcpuId)).toEqual([300, 301]);
  });
});

describe('likeVcpusFrom', () => {
  it('should count what repeatVcpu made', () => {
    expect([0, 1, 2].map((start) => likeVcpusFrom(three, start))).toEqual([3, 2, 1]);
    expect(likeVcpusFrom(repeatVcpu(makeVcpu({ vcpuId: 9, irr: [0x40], lacks: ['ex-masks'] }), 4), 0)).toBe(4);
  });

  it.each<Partial<VcpuSetup>>([
    { vpIndex: 9 },
    { vcpuId: 2 },
    { apic: 'xapic' },
    { eoi: 'none' },
    { idle: 'halted' },
    { lacks: ['hyperv'] },
    { enforced: true },
    { tpr: 1 },
    { irr: [0x40] },
    { isr: [0x40] },
    { autoEoi: [0x40] },
    { logsPpr: true },
  ])('should end in front of a vCPU with %j', (odd) => {
    expect(likeVcpusFrom(three.with(2, { ...three[2]!, ...odd }), 0)).toBe(2);
  });
});
