import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { contractFor } from '../../../oracle/contract.ts';
import { decodeCall } from '../../../oracle/call/decode.ts';
import { ModelMemory } from '../../../oracle/state/memory.ts';
import { predict } from '../../../oracle/model.ts';
import { effectiveVpIndexes, namesVp, selectTargets } from '../../../oracle/call/targets.ts';
import { facts, programOf, registersOf } from '../programs.ts';

const contract = contractFor(facts);
const fastEx = (xmm: readonly bigint[], count: number) =>
  decodeCall(registersOf({ rcx: 0x0001_0015n | (BigInt(count) << 17n), rdx: 0xfen, xmm }), new ModelMemory(), contract);
const all = Array.from({ length: 4096 }, (_, vp) => vp);

describe('namesVp', () => {
  it('should read the worked example of TLFS: {0, 5, 130} is mask 0x5 and banks {0x21, 0x4}', () => {
    const call = fastEx([0x5n, 0x21n, 0x4n], 2);
    expect(all.filter((vp) => namesVp(call, vp))).toEqual([0, 5, 130]);
  });

  it('should find VP 65 in bank 1, bit 1, and VP 4095 in bank 63, bit 63', () => {
    expect(all.filter((vp) => namesVp(fastEx([0x2n, 0x2n], 1), vp))).toEqual([65]);
    expect(all.filter((vp) => namesVp(fastEx([1n << 63n, 1n << 63n], 1), vp))).toEqual([4095]);
  });

  it('should name nobody beyond 64 banks (4721f8160f17)', () => {
    expect(namesVp(fastEx([1n, 1n], 1), 4096)).toBe(false);
    expect(namesVp(fastEx([1n << 32n, 1n], 1), 4096)).toBe(false);
  });
});

describe('selectTargets', () => {
  it('should go through the vCPUs in creation order, all of a VP index included', () => {
    const call = fastEx([1n, 0b110n], 1);
    expect(selectTargets(call, 'named', [2, 0, 1, 2])).toEqual([0, 2, 3]);
    expect(selectTargets(call, 'all', [2, 0, 1, 2])).toEqual([0, 1, 2, 3]);
    expect(selectTargets(call, 'nobody', [2, 0, 1, 2])).toEqual([]);
  });

  it('should select exactly the VPs that a well-formed call names', () => {
    const vps = fc.uniqueArray(fc.integer({ min: 0, max: 4095 }), { minLength: 1, maxLength: 5 });
    const property = fc.property(vps, vps, fc.boolean(), (machine, others, fast) => {
      const targets = [...machine.slice(0, 2), ...others];
      const step = makeStep({ do: 'send-ipi-ex', targets, fast });
      const program = encodeCase(
        makeCase(
          machine.map((vpIndex) => ({ vpIndex })),
          [step],
        ),
      );
      const expected = [...machine.keys()].filter((position) => targets.includes(machine[position]!));
      expect(predict(program, facts).steps[0]).toMatchObject({ rule: 'deliver', result: 0n, receivers: expected });
    });
    fc.assert(property, { seed: 7, numRuns: 300 });
  });
});

describe('effectiveVpIndexes', () => {
  it.each([
    [1024, [70, 1023, 2, 3, 4]],
    [4096, [70, 1023, 1024, 4095, 4]],
  ])('should keep the position where a KVM of %i vCPUs refuses the index', (kvmMaxVcpus, expected) => {
    const { vcpus } = programOf([70, 1023, 1024, 4095, 4096], []);
    expect(effectiveVpIndexes(vcpus, contractFor({ ...facts, kvmMaxVcpus }))).toEqual(expected);
  });

  it('should look at 32 bits of the value', () => {
    const { vcpus } = programOf([2 ** 32 + 7, 2 ** 32 - 1], []);
    expect(effectiveVpIndexes(vcpus, contract)).toEqual([7, 1]);
  });
});
