import { describe, expect, it } from 'vitest';
import { beyondCapacity, withinCapacity } from '../../../../src/campaign/target/capacity.ts';
import { corpusBatch } from '../../../../src/campaign/stream/batches.ts';
import { makeCase, makeStep } from '../../../../src/case/case.ts';

const step = makeStep({ do: 'send-ipi', targets: [0] });
const withIds = (...ids: number[]) =>
  makeCase(
    ids.map((vcpuId, vpIndex) => ({ vpIndex, vcpuId, apic: 'x2apic' as const })),
    [step],
  );
const small = { kvmMaxVcpus: 3, vcpuIdLimit: 1023 };

describe('beyondCapacity', () => {
  it('should take ids below the limit, and any where no KVM was asked', () => {
    expect(beyondCapacity(withIds(0, 1022), small)).toBeNull();
    expect(beyondCapacity(withIds(0, 4095), { kvmMaxVcpus: 3 })).toBeNull();
  });

  it('should name what is too much', () => {
    expect(beyondCapacity(withIds(0, 1023), small)).toBe(
      'a vCPU has the id 1023, and KVM_CAP_MAX_VCPU_ID is 1023 here',
    );
    expect(beyondCapacity(withIds(0, 1, 2, 3), small)).toBe('4 vCPUs, and KVM_CAP_MAX_VCPUS is 3 here');
  });
});

describe('withinCapacity', () => {
  const files = ['a', 'b', 'c'];
  const batch = corpusBatch(
    [withIds(0, 1), withIds(0, 4095), withIds(1, 0)].map((value, index) => ({ file: files[index]!, value })),
  );

  it('should leave out what is beyond it, and keep the others at their places', () => {
    const within = withinCapacity(batch, small);
    expect(within.cases).toEqual([batch.cases[0], batch.cases[2]]);
    expect([0, 1].map((index) => within.placeOf(index).path)).toEqual(['a', 'c']);
  });

  it('should give the batch itself where all fit', () => {
    expect(withinCapacity(batch, { kvmMaxVcpus: 3, vcpuIdLimit: 4096 })).toBe(batch);
  });
});
