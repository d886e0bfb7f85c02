import { describe, expect, it } from 'vitest';
import { arenaStart, ramEnd, romStart } from '../../src/case/memory.ts';
import type { ProgramOf } from '../../src/program/program.ts';
import { contractFor } from '../../oracle/contract.ts';
import { decideMsr, type MsrEffect, msrRules, pageAddress, vpIndexOf } from '../../oracle/msr.ts';
import { facts, oldFacts } from './programs.ts';

interface Row {
  readonly rule: string;
  readonly taken: boolean;
  readonly effect: MsrEffect;
  readonly msr: ProgramOf<'write-msr'>['msr'];
  readonly value: bigint;
  readonly guestOsId?: bigint;
  readonly hasSynic?: boolean;
  /** The rule that would decide without this one; the last one has none. */
  readonly otherwise: string;
}

const rows: readonly Row[] = [
  {
    rule: 'guest-os-id-written',
    taken: true,
    effect: 'guest-os-id',
    msr: 'guest-os-id',
    value: 0n,
    otherwise: 'vp-index-written',
  },
  {
    rule: 'guest-os-id-written',
    taken: true,
    effect: 'guest-os-id',
    msr: 'guest-os-id',
    value: 0xffff_ffff_ffff_ffffn,
    otherwise: 'vp-index-refused',
  },
  {
    rule: 'page-without-guest-os-id',
    taken: true,
    effect: 'none',
    msr: 'hypercall',
    value: arenaStart | 1n,
    guestOsId: 0n,
    otherwise: 'page-written',
  },
  {
    rule: 'page-without-guest-os-id',
    taken: true,
    effect: 'none',
    msr: 'hypercall',
    value: ramEnd | 1n,
    guestOsId: 0n,
    otherwise: 'page-not-writable',
  },
  {
    rule: 'page-disabled',
    taken: true,
    effect: 'no-page',
    msr: 'hypercall',
    value: arenaStart,
    otherwise: 'page-written',
  },
  {
    rule: 'page-disabled',
    taken: true,
    effect: 'no-page',
    msr: 'hypercall',
    value: 0xffff_ffff_ffff_fffen,
    otherwise: 'page-not-writable',
  },
  {
    rule: 'page-not-writable',
    taken: false,
    effect: 'none',
    msr: 'hypercall',
    value: ramEnd | 1n,
    otherwise: 'page-written',
  },
  {
    rule: 'page-not-writable',
    taken: false,
    effect: 'none',
    msr: 'hypercall',
    value: romStart | 1n,
    otherwise: 'page-written',
  },
  {
    rule: 'page-written',
    taken: true,
    effect: 'page',
    msr: 'hypercall',
    value: arenaStart | 1n,
    otherwise: 'vp-index-refused',
  },
  {
    rule: 'page-written',
    taken: true,
    effect: 'page',
    msr: 'hypercall',
    value: (ramEnd - 0x1000n) | 0xfffn,
    otherwise: 'vp-index-refused',
  },
  {
    rule: 'vp-index-refused',
    taken: false,
    effect: 'none',
    msr: 'vp-index',
    value: 4096n,
    otherwise: 'vp-index-written',
  },
  {
    rule: 'vp-index-refused',
    taken: false,
    effect: 'none',
    msr: 'vp-index',
    value: 0xffff_ffffn,
    guestOsId: 0n,
    otherwise: 'vp-index-written',
  },
  { rule: 'vp-index-written', taken: true, effect: 'vp-index', msr: 'vp-index', value: 4095n, otherwise: '' },
  { rule: 'sint-refused', taken: false, effect: 'none', msr: 'sint0', value: 1n, otherwise: 'sint-written' },
  { rule: 'sint-written', taken: true, effect: 'sint', msr: 'sint15', value: 0n, otherwise: 'vp-index-written' },
  {
    rule: 'sint-written',
    taken: true,
    effect: 'sint',
    msr: 'sint1',
    value: 0xffff_ffff_ffff_ffffn,
    hasSynic: true,
    otherwise: 'vp-index-refused',
  },
  {
    rule: 'vp-index-written',
    taken: true,
    effect: 'vp-index',
    msr: 'vp-index',
    value: 0x1_0000_0001n,
    guestOsId: 0n,
    otherwise: '',
  },
];

describe('decideMsr', () => {
  it.each(rows)('should let $rule decide a write of $value to $msr, and $otherwise without it', (row) => {
    const { rule, taken, effect, msr, value, guestOsId = 1n, hasSynic = false, otherwise } = row;
    const write: ProgramOf<'write-msr'> = { kind: 'write-msr', vcpu: 0, msr, value };
    const state = { guestOsId, synic: [hasSynic], contract: contractFor(facts) };
    expect(decideMsr(write, state)).toMatchObject({ name: rule, taken, effect });
    const other = msrRules.find((one) => one.name !== rule && one.applies(write, state));
    expect(other?.name ?? '').toBe(otherwise);
  });

  it('should have a row for every rule, and no name twice', () => {
    const names = msrRules.map(({ name }) => name);
    expect(new Set(rows.map(({ rule }) => rule))).toEqual(new Set(names));
    expect(new Set(names).size).toBe(names.length);
  });

  it.each([
    [1023n, 'vp-index-written'],
    [1024n, 'vp-index-refused'],
  ])('should let a KVM of 1024 vCPUs decide a VP index of %d by %s', (value, rule) => {
    const write: ProgramOf<'write-msr'> = { kind: 'write-msr', vcpu: 0, msr: 'vp-index', value };
    expect(decideMsr(write, { guestOsId: 1n, synic: [], contract: contractFor(oldFacts) }).name).toBe(rule);
  });

  it.each(msrRules)('should cite TLFS and a kernel function for $name', ({ source }) => {
    expect(source).toMatch(/^TLFS .*kvm_/);
  });
});

describe('pageAddress', () => {
  it.each([
    [0xe5001n, 0xe5000n],
    [0xe5fffn, 0xe5000n],
    [0xffff_ffff_ffff_ffffn, 0xffff_ffff_ffff_f000n],
  ])('should take bits 63:12 of 0x%s', (value, address) => {
    expect(pageAddress(value)).toBe(address);
  });
});

describe('vpIndexOf', () => {
  it.each([
    [0x7fn, 0x7f],
    [0xffff_ffffn, 0xffff_ffff],
    [0xffff_ffff_0000_0002n, 2],
  ])('should take the low half of 0x%s', (value, vpIndex) => {
    expect(vpIndexOf(value)).toBe(vpIndex);
  });
});
