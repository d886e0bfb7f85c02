import { describe, expect, it } from 'vitest';
import { registerNames } from '../../../src/program/observation.ts';
import { VectorRegisters } from '../../../src/executor/vector-registers.ts';
import { registerPattern } from '../../../src/guest/image.ts';
import type { Vcpu } from '../../../src/kvm/kvm.ts';
import { sizes, xsave } from '../../../src/kvm/uapi.ts';

/** A vCPU that has nothing but these registers. */
function vcpuWith(area: Buffer): Vcpu {
  const parts: Pick<Vcpu, 'getXsave' | 'setXsave'> = {
    getXsave: (buffer) => void area.copy(buffer),
    setXsave: (buffer) => void buffer.copy(area),
  };
  return parts as Vcpu;
}

describe('VectorRegisters', () => {
  it('should see which registers changed since they were given', () => {
    const area = Buffer.alloc(sizes.kvm_xsave);
    const vcpu = vcpuWith(area);
    const registers = new VectorRegisters(true);
    registers.give(vcpu, Buffer.alloc(152, 0x11));
    expect(registers.changes(vcpu)).toEqual([]);

    area.writeBigUInt64LE(1n, xsave.xmm + 8);
    area.writeBigUInt64LE(2n, xsave.ymmHigh + 16 * 15 + 8);

    const ymm = { register: 'ymm15.3', before: registerPattern(31 + 0x40), after: 2n };
    expect(registers.changes(vcpu)).toEqual([{ register: 'xmm0.hi', before: 0x1111_1111_1111_1111n, after: 1n }, ymm]);
    expect(registers.upperChanges(vcpu)).toEqual([ymm]);
    expect(registerNames).toContain('ymm15.3');
  });

  it('should know of no upper halves where there are none', () => {
    const area = Buffer.alloc(sizes.kvm_xsave);
    const registers = new VectorRegisters(false);
    registers.setUp(vcpuWith(area));
    area.writeBigUInt64LE(2n, xsave.ymmHigh);

    expect(registers.upperChanges(vcpuWith(area))).toEqual([]);
  });
});
