import { beforeEach, describe, expect, it } from 'vitest';
import { registerNames } from '../../../src/case/observation.ts';
import { registerChanges } from '../../../src/executor/register-changes.ts';
import { flagsBefore, registerPattern } from '../../../src/guest/image.ts';
import * as map from '../../../src/guest/memory-map.ts';
import { area } from '../../../src/guest/memory-map.ts';

const base = map.vcpuArea(1);
const count = 3;
const entryBytes = 128;
let memory: Buffer;

/** Rings as they are after calls that changed nothing. */
beforeEach(() => {
  memory = Buffer.alloc(0x100000);
  const put = (ring: number, offset: number, index: number, value: bigint) =>
    memory.writeBigUInt64LE(value, base + ring + entryBytes * index + offset);
  for (let index = 0; index < count; index++) {
    for (let offset = 0; offset < entryBytes; offset += 8) {
      const value = BigInt(1000 * index + offset);
      put(area.input, offset, index, value);
      put(area.output, offset, index, value);
    }
    map.quietRegisters.forEach((_, place) => put(area.outputRegisters, 8 * place, index, registerPattern(place + 1)));
    put(area.outputRegisters, map.outputFlagsOffset, index, flagsBefore);
    for (let xmm = 6; xmm <= 15; xmm++) {
      const [ring, offset] = xmm < 14 ? [area.outputXmm, 16 * (xmm - 6)] : [area.outputRegisters, 96 + 16 * (xmm - 14)];
      put(ring, offset, index, registerPattern(2 * xmm + 0x10));
      put(ring, offset + 8, index, registerPattern(2 * xmm + 0x11));
    }
    put(area.results, map.resultEntry.rsp, index, BigInt(base + area.input + entryBytes * index));
  }
});

describe('registerChanges', () => {
  it('should be null when nothing changed', () => {
    expect(registerChanges(memory, base, count)).toBeNull();
  });

  it.each([
    ['rcx', area.output, 0],
    ['rdx', area.output, 8],
    ['r8', area.output, 16],
    ['xmm0.lo', area.output, 32],
    ['xmm5.hi', area.output, 120],
    ['rbx', area.outputRegisters, 0],
    ['r15', area.outputRegisters, 80],
    ['rflags', area.outputRegisters, 88],
    ['xmm14.lo', area.outputRegisters, 96],
    ['xmm15.hi', area.outputRegisters, 120],
    ['xmm6.lo', area.outputXmm, 0],
    ['xmm13.hi', area.outputXmm, 120],
    ['rsp', area.results, map.resultEntry.rsp],
  ])('should name %s when a bit of it changed in the second call', (register, ring, offset) => {
    const at = base + ring + entryBytes + offset;
    const before = memory.readBigUInt64LE(at);
    memory.writeBigUInt64LE(before ^ (1n << 63n), at);

    const changes = registerChanges(memory, base, count);

    expect(registerNames).toContain(register);
    expect([...changes!]).toEqual([[1, [{ register, before, after: before ^ (1n << 63n) }]]]);
  });
});
