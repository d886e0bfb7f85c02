import { describe, expect, it } from 'vitest';
import { makeCase, makeVcpu } from '../../../../src/case/case.ts';
import { hasWideIds, idRegister, vcpuIdOf } from '../../../../src/case/vcpus/vcpu-id.ts';

describe('vcpuIdOf', () => {
  it('should be the position unless one is given', () => {
    const { vcpus } = makeCase([{}, { vcpuId: 0 }, { vcpuId: 254 }], []).machine;
    expect([vcpuIdOf(vcpus[0]!, 5), vcpuIdOf(vcpus[1]!, 5), vcpuIdOf(vcpus[2]!, 5)]).toEqual([5, 0, 254]);
  });
});

describe('hasWideIds', () => {
  const inOrder = (count: number) => Array.from({ length: count }, () => makeVcpu({}));

  it.each([
    [inOrder(255), false],
    [inOrder(256), true],
    [[makeVcpu({ vcpuId: 254 })], false],
    [[makeVcpu({ vcpuId: 255 })], true],
  ])('should tell whether any ID is above 254', (vcpus, isWide) => {
    expect(hasWideIds(vcpus)).toBe(isWide);
  });
});

describe('idRegister', () => {
  it('should have the ID in the top byte, or in full in an x2APIC of a machine with wide IDs', () => {
    expect(idRegister(254, true, false)).toBe(0xfe00_0000);
    expect(idRegister(254, false, true)).toBe(0xfe00_0000);
    expect(idRegister(254, true, true)).toBe(254);
    expect(idRegister(1023, true, true)).toBe(1023);
  });
});
