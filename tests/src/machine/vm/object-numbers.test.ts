import { describe, expect, it } from 'vitest';
import { handLimits } from '../../../../src/hand/operations.ts';
import { ObjectNumbers } from '../../../../src/machine/vm/object-numbers.ts';

describe('ObjectNumbers', () => {
  it('should leave out those that are somebody else’s, and take what was given back', () => {
    const numbers = new ObjectNumbers({ vms: 2, vcpus: 3 });
    const [first, second] = [numbers.take(4), numbers.take(2)];
    expect(first).toEqual({ vm: 2, firstVcpu: 3, vcpuCount: 4 });
    expect(second).toEqual({ vm: 3, firstVcpu: 7, vcpuCount: 2 });
    numbers.giveBack(first);
    expect(numbers.take(3)).toEqual({ vm: 2, firstVcpu: 3, vcpuCount: 3 });
    // One vCPU is free in between, which is too few.
    expect(numbers.take(2).firstVcpu).toBe(9);
  });

  it('should say so when there are no more', () => {
    const numbers = new ObjectNumbers({ vms: 0, vcpus: 1 });
    expect(() => numbers.take(handLimits.vcpus)).toThrow(`a hand has ${handLimits.vcpus} vCPUs`);
    numbers.clear();
    for (let vm = 0; vm < handLimits.vms; vm++) numbers.take(1);
    expect(() => numbers.take(1)).toThrow(`a hand has ${handLimits.vms} VMs`);
    numbers.clear();
    expect(numbers.take(1)).toEqual({ vm: 0, firstVcpu: 1, vcpuCount: 1 });
  });
});
