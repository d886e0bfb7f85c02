import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { usualSwarm } from '../usual-swarm.ts';
import { buildVpSet, type RunPlan, vpSetPlan } from '../../../generators/call/vp-set.ts';

const once = { count: 1, stride: 1 };
const run = (offset: number, count: number, stride: number): RunPlan => ({ vcpu: null, offset, count, stride });

describe('buildVpSet', () => {
  const vpIndexes = [0, 65, 4095];

  it.each<[string, RunPlan[], number, number[]]>([
    ['nothing', [], 4096, []],
    ['the VP of a vCPU', [{ vcpu: 1, offset: 0, ...once }], 4096, [65]],
    ['a vCPU modulo machine size', [{ vcpu: 7, offset: 0, ...once }], 4096, [65]],
    ['a neighbour', [{ vcpu: 1, offset: -64, ...once }], 4096, [1]],
    ['a neighbour below 0, from the end', [{ vcpu: 0, offset: -1, ...once }], 4096, [4095]],
    ['a neighbour above the end, from 0', [{ vcpu: 2, offset: 64, ...once }], 4096, [63]],
    ['a far neighbour in a processor mask', [{ vcpu: 1, offset: -2048, ...once }], 64, [1]],
    ['one VP in each of three banks', [run(1, 3, 64)], 4096, [1, 65, 129]],
    [
      'overlapping runs, each VP once and in order',
      [run(5, 3, 1), run(4, 2, 1), run(4095, 1, 1)],
      4096,
      [4, 5, 6, 7, 4095],
    ],
    ['bits 31, 32 and 63', [run(31, 2, 1), run(63, 1, 1)], 64, [31, 32, 63]],
  ])('should make %s', (_, plan, end, expected) => {
    expect(buildVpSet(plan, vpIndexes, end)).toEqual(expected);
  });

  it('should make all VPs from wherever it starts', () => {
    expect(buildVpSet([run(640, 4096, 1)], [0], 4096)).toEqual(Array.from({ length: 4096 }, (_, vp) => vp));
  });

  it('should stay inside the set, ascending and without doubles', () => {
    const indexes = fc.array(fc.nat(4095), { minLength: 1, maxLength: 8 });
    const property = fc.property(vpSetPlan(usualSwarm), indexes, fc.constantFrom(64, 4096), (plan, vpIndexes_, end) => {
      const set = buildVpSet(plan, vpIndexes_, end);
      expect(set).toEqual([...new Set(set)].sort((a, b) => a - b));
      for (const vp of set) expect(vp >= 0 && vp < end).toBe(true);
    });
    fc.assert(property, { seed: 42, numRuns: 500 });
  });
});
