import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildCall, type CallPlan, callPlan } from '../../../generators/call/call.ts';
import type { Quirk } from '../../../generators/call/quirk.ts';
import { usualSwarm } from '../usual-swarm.ts';
import { type CallStep, makeStep } from '../../../src/case/case.ts';

const plan: CallPlan = {
  kind: 'send-ipi-ex',
  fast: false,
  environment: { mode: 'long', cpl: 0, way: 'bare', rflags: 'plain', page: 0 },
  sender: 0,
  vector: { value: 0xfe, distinct: false },
  targets: [{ vcpu: null, offset: 0, count: 2, stride: 64 }],
  oddities: [],
  breaks: [],
};
const surroundings = () => ({
  index: 1,
  sender: 0,
  vpIndexes: [0, 65],
  usedVectors: new Set<number>(),
  pages: [],
  canOpen: true,
  sint: null,
});
const build = (given: Partial<CallPlan>) => buildCall({ ...plan, ...given }, surroundings());
const plainEx = makeStep({ do: 'send-ipi-ex', vector: 0xfe, targets: [0, 64] });
const plain = makeStep({ do: 'send-ipi', vector: 0xfe, targets: [0] });

describe('buildCall', () => {
  it('should build the plain calls', () => {
    expect(build({})).toEqual(plainEx);
    expect(build({ kind: 'send-ipi' })).toEqual(plain);
  });

  it('should be by the sender that is given, whomever the plan names', () => {
    expect(buildCall({ ...plan, sender: 5 }, { ...surroundings(), sender: 1 }).sender).toBe(1);
  });

  it('should go through a page that is enabled, and bare as long as none is', () => {
    const environment = { mode: 'compat', cpl: 3, way: 'page', rflags: 'plain', page: 1 } as const;
    const pages = [0xf0000n, 0xf1000n];
    expect(buildCall({ ...plan, environment }, { ...surroundings(), pages })).toEqual({
      ...plainEx,
      mode: 'compat',
      cpl: 3,
      page: 0xf1000n,
    });
    expect(build({ environment })).toEqual({ ...plainEx, mode: 'compat', cpl: 3 });
  });

  it('should take the next unused vector where vectors are to be distinct, and remember it', () => {
    const usedVectors = new Set([0xff, 0x10]);
    const vector = { value: 0xff, distinct: true };
    const next = () => buildCall({ ...plan, vector }, { ...surroundings(), usedVectors }).vector;
    expect([next(), next()]).toEqual([0x11, 0x12]);
    expect(
      buildCall({ ...plan, vector: { ...vector, distinct: false } }, { ...surroundings(), usedVectors }).vector,
    ).toBe(0xff);
  });

  it.each<[string, Quirk, Partial<CallStep>]>([
    ['a vector', { on: 'vector', value: 0x100 }, { vector: 0x100 }],
    ['a rep count', { on: 'repCount', value: 1 }, { repCount: 1 }],
    ['a format', { on: 'format', value: 7n }, { format: 7n }],
    ['control bits, once and in order', { on: 'controlBits', bits: [60, 27, 60] }, { controlBits: [27, 60] }],
    ['empty banks', { on: 'emptyBanks', bits: [3] }, { emptyBanks: [3] }],
    ['one bank more in the header', { on: 'variableHeader', from: 'banks', value: 1 }, { variableHeader: 3 }],
    ['a header below 0, wrapped', { on: 'variableHeader', from: 'banks', value: -3 }, { variableHeader: 1023 }],
    ['a header of its own', { on: 'variableHeader', from: 'zero', value: 11 }, { variableHeader: 11 }],
    ['a flipped mask', { on: 'mask', bits: [1, 5], headerFollows: false }, { maskFlips: [1, 5] }],
    [
      'a mask that the header follows',
      { on: 'mask', bits: [5, 6], headerFollows: true },
      { maskFlips: [5, 6], variableHeader: 4 },
    ],
    ['a bank by another number', { on: 'moveBank', place: 3, to: 40 }, { maskFlips: [1, 40] }],
    ['an address off its slot', { on: 'address', anchor: 'slot', offset: 4n }, { gpa: 0xe0404n }],
    ['an address before a page end', { on: 'address', anchor: 'page', offset: -24n }, { gpa: 0xf2000n - 24n }],
    ['an address before the end of RAM', { on: 'address', anchor: 'ram', offset: -24n }, { gpa: 0xfffe8n }],
    ['a block that ends with RAM', { on: 'address', anchor: 'block', offset: 0n }, { gpa: 0xfffd8n }],
    ['an address far away', { on: 'address', anchor: 'zero', offset: 1n << 52n }, { gpa: 1n << 52n }],
    ['an address in the read-only slot', { on: 'address', anchor: 'rom', offset: 3n }, { gpa: 0x200003n }],
    ['an address before its end', { on: 'address', anchor: 'romEnd', offset: -16n }, { gpa: 0x201ff0n }],
    [
      'its own slot where no page is enabled',
      { on: 'address', anchor: 'hypercallPage', offset: 3n },
      { gpa: 0xe0403n },
    ],
    ['a RAX', { on: 'rax', value: 0x8000_0000n }, { rax: 0x8000_0000n }],
    ['a RAX by which KVM would do nothing', { on: 'rax', value: 11n }, { rax: 11n }],
    ['no RAX by which KVM or Xen would do something', { on: 'rax', value: 10n }, {}],
    ['no address that a case may not have', { on: 'address', anchor: 'zero', offset: 0xfee00000n }, { gpa: null }],
  ])('should give send-ipi-ex %s', (_, quirk, difference) => {
    expect(build({ breaks: [quirk] })).toEqual({ ...plainEx, ...difference });
  });

  it('should give send-ipi a header where send-ipi-ex gets a mask that disagrees', () => {
    const quirk: Quirk = { on: 'mask', bits: [1, 5], headerFollows: false };
    expect(build({ kind: 'send-ipi', breaks: [quirk] })).toEqual({ ...plain, variableHeader: 2 });
  });

  it('should put an input block into the hypercall page that was enabled last', () => {
    const quirk: Quirk = { on: 'address', anchor: 'hypercallPage', offset: 8n };
    const pages = [0xf0000n, 0xf1000n];
    expect(buildCall({ ...plan, oddities: [quirk] }, { ...surroundings(), pages }).gpa).toBe(0xf1008n);
  });

  it('should give a fast call no address', () => {
    const quirk: Quirk = { on: 'address', anchor: 'ram', offset: 0n };
    expect(build({ fast: true, breaks: [quirk] })).toEqual({ ...plainEx, fast: true });
  });
});

describe('callPlan', () => {
  it('should draw breaks as often as the swarm says', () => {
    const plans = fc.sample(callPlan({ ...usualSwarm, breakCounts: [1, 0, 0] }), { seed: 42, numRuns: 200 });
    expect(plans.every(({ breaks }) => breaks.length === 0)).toBe(true);
    const broken = fc.sample(callPlan({ ...usualSwarm, breakCounts: [0, 1, 1] }), { seed: 42, numRuns: 200 });
    expect(new Set(broken.map(({ breaks }) => breaks.length))).toEqual(new Set([1, 2]));
  });

  it('should send to a SINT that a step before wrote, by its vector, where it has none of its own', () => {
    const callOf = (distinct: boolean) => {
      const drawn = fc.sample(callPlan(usualSwarm), { seed: 1, numRuns: 1 })[0]!;
      const untargeted = { ...drawn, vector: { value: 0x31, distinct }, targets: [], breaks: [], oddities: [] };
      const sint = { vcpu: 1, vector: 0x77 };
      return buildCall(untargeted, {
        index: 0,
        sender: 0,
        vpIndexes: [0, 9],
        usedVectors: new Set(),
        pages: [],
        canOpen: false,
        sint,
      });
    };
    expect(callOf(false)).toMatchObject({ vector: 0x77, targets: [9] });
    expect(callOf(true)).toMatchObject({ vector: 0x31, targets: [] });
  });
});
