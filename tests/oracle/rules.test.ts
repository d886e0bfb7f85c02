import { describe, expect, it } from 'vitest';
import { arenaStart, ramEnd } from '../../src/case/memory.ts';
import { contractFor } from '../../oracle/contract.ts';
import { type Call, decodeCall } from '../../oracle/decode.ts';
import { ModelMemory } from '../../oracle/memory.ts';
import { decide, kvmRules } from '../../oracle/rules.ts';
import { bytesOf, type CallRegisters, facts, registersOf } from './programs.ts';

interface Row {
  readonly rule: string;
  readonly status: number;
  /** The rule that decides the same call when `rule` is taken away: it shows that nothing else is wrong. */
  readonly otherwise: string;
  readonly call: CallRegisters;
  /** Words at RDX. */
  readonly memory?: readonly bigint[];
}

const inHole = ramEnd;
const twelveBanks = 0xfffn;

const rows: readonly Row[] = [
  // 0x000b fast, vector 0xfe, VP 0; bit 63 of the control word.
  {
    rule: 'reserved-control-bits',
    status: 3,
    otherwise: 'deliver',
    call: { rcx: 0x8000_0000_0001_000bn, rdx: 0xfen, r8: 1n },
  },
  {
    rule: 'reserved-control-bits',
    status: 3,
    otherwise: 'deliver',
    call: { rcx: 0x0000_0000_8001_000bn, rdx: 0xfen, r8: 1n },
  },
  { rule: 'unknown-call-code', status: 2, otherwise: 'bad-vector', call: { rcx: 0x0001_000fn, rdx: 0xfen, r8: 1n } },
  {
    rule: 'variable-header-on-fixed-call',
    status: 3,
    otherwise: 'deliver',
    call: { rcx: 0x0003_000bn, rdx: 0xfen, r8: 1n },
  },
  {
    rule: 'rep-on-simple-call',
    status: 3,
    otherwise: 'deliver',
    call: { rcx: 0x0000_0001_0001_000bn, rdx: 0xfen, r8: 1n },
  },
  {
    rule: 'rep-on-simple-call',
    status: 3,
    otherwise: 'deliver-to-all',
    call: { rcx: 0x0001_0000_0001_0015n, rdx: 0xfen, r8: 1n },
  },
  { rule: 'input-unreadable', status: 3, otherwise: 'bad-vector', call: { rcx: 0x000bn, rdx: inHole - 15n } },
  { rule: 'input-unreadable', status: 3, otherwise: 'empty-sparse-set', call: { rcx: 0x0015n, rdx: inHole - 23n } },
  { rule: 'input-unreadable', status: 3, otherwise: 'bad-vector', call: { rcx: 0x000bn, rdx: 0xffff_ffff_ffff_fff8n } },
  {
    rule: 'fast-reserved-bits',
    status: 3,
    otherwise: 'deliver',
    call: { rcx: 0x0001_000bn, rdx: 0x10_0000_00fen, r8: 1n },
  },
  // 0x0015 fast, two banks in the variable header and one in the mask.
  {
    rule: 'bank-count-mismatch',
    status: 3,
    otherwise: 'deliver',
    call: { rcx: 0x0005_0015n, rdx: 0xfen, xmm: [1n, 1n] },
  },
  {
    rule: 'bank-count-mismatch',
    status: 3,
    otherwise: 'deliver-to-all',
    call: { rcx: 0x0001_0015n, rdx: 0xfen, r8: 1n, xmm: [1n] },
  },
  { rule: 'empty-sparse-set', status: 0, otherwise: 'deliver', call: { rcx: 0x0001_0015n, rdx: 0xfen } },
  {
    rule: 'too-many-fast-banks',
    status: 3,
    otherwise: 'deliver',
    call: { rcx: 0x0019_0015n, rdx: 0xfen, xmm: [twelveBanks] },
  },
  // 0x0015 slow, the 24 bytes end where RAM ends and the one bank begins there.
  {
    rule: 'banks-unreadable',
    status: 3,
    otherwise: 'deliver',
    call: { rcx: 0x0002_0015n, rdx: ramEnd - 24n },
    memory: [0xfen, 0n, 1n],
  },
  { rule: 'bad-vector', status: 3, otherwise: 'deliver', call: { rcx: 0x0001_000bn, rdx: 0x0fn, r8: 1n } },
  { rule: 'bad-vector', status: 3, otherwise: 'deliver', call: { rcx: 0x0001_000bn, rdx: 0x100n, r8: 1n } },
  { rule: 'bad-vector', status: 3, otherwise: 'deliver', call: { rcx: 0x0001_000bn, rdx: 0x8000_00fen, r8: 1n } },
  { rule: 'bad-vector', status: 3, otherwise: 'deliver-to-all', call: { rcx: 0x0001_0015n, rdx: 5n, r8: 1n } },
  { rule: 'deliver-to-all', status: 0, otherwise: 'deliver', call: { rcx: 0x0001_0015n, rdx: 0x10n, r8: 1n } },
  { rule: 'deliver', status: 0, otherwise: '', call: { rcx: 0x0001_000bn, rdx: 0xffn } },
  { rule: 'deliver', status: 0, otherwise: '', call: { rcx: 0x000bn, rdx: arenaStart + 1n }, memory: [0x10n, 1n] },
];

/** Calls that break several rules at once: the one that KVM meets first decides. */
const meetings: readonly { readonly title: string; readonly rule: string; readonly call: CallRegisters }[] = [
  {
    title: 'reserved bits and an unknown call code',
    rule: 'reserved-control-bits',
    call: { rcx: 0x8000_0000_0000_0099n },
  },
  { title: 'an unknown call code and reps', rule: 'unknown-call-code', call: { rcx: 0x0001_0000_0000_0099n } },
  { title: 'reps and an unreadable input', rule: 'rep-on-simple-call', call: { rcx: 0x1_0000_0015n, rdx: inHole } },
  { title: 'a header and reps', rule: 'variable-header-on-fixed-call', call: { rcx: 0x0001_0000_0002_000bn } },
  { title: 'an empty sparse set and vector 5', rule: 'empty-sparse-set', call: { rcx: 0x0001_0015n, rdx: 5n } },
  {
    title: 'an empty sparse set and an odd format',
    rule: 'empty-sparse-set',
    call: { rcx: 0x0001_0015n, rdx: 0xfen, r8: 0x1_0000_0001n },
  },
  {
    title: 'vector 5 and too many fast banks',
    rule: 'too-many-fast-banks',
    call: { rcx: 0x0019_0015n, rdx: 5n, xmm: [twelveBanks] },
  },
  {
    title: 'format all and too many fast banks',
    rule: 'deliver-to-all',
    call: { rcx: 0x0019_0015n, rdx: 0xfen, r8: 1n, xmm: [twelveBanks] },
  },
  {
    title: 'bits after the vector of a fast Ex call',
    rule: 'empty-sparse-set',
    call: { rcx: 0x0001_0015n, rdx: -1n & (2n ** 64n - 1n) },
  },
];

describe('decide', () => {
  it.each(rows)('should let $rule decide ($status)', ({ rule, status, otherwise, call, memory }) => {
    const decoded = decode(call, memory);
    const decided = decide(kvmRules, decoded, contractFor(facts));
    expect(decided.name).toBe(rule);
    expect(decided.status).toBe(status);
    if (otherwise === '') return;
    const others = kvmRules.filter(({ name }) => name !== rule);
    expect(decide(others, decoded, contractFor(facts)).name).toBe(otherwise);
  });

  it.each(meetings)('should let $rule decide when there are $title', ({ rule, call }) => {
    expect(decide(kvmRules, decode(call), contractFor(facts)).name).toBe(rule);
  });

  it('should need fewer readable banks when KVM cannot have as many VPs', () => {
    const sixtyFour = { rcx: 0x0080_0015n, rdx: ramEnd - 24n - 128n };
    const memory = [0xfen, 0n, 2n ** 64n - 1n];
    const ruleFor = (kvmMaxVcpus: number) => {
      const contract = contractFor({ ...facts, kvmMaxVcpus });
      return decide(kvmRules, decode(sixtyFour, memory, contract), contract).name;
    };
    expect(ruleFor(1024)).toBe('deliver');
    expect(ruleFor(4096)).toBe('banks-unreadable');
  });

  it('should have a row for every rule', () => {
    expect(new Set(rows.map(({ rule }) => rule))).toEqual(new Set(kvmRules.map(({ name }) => name)));
  });

  it('should throw when no rule applies', () => {
    expect(() => decide([], decode({ rcx: 0xbn }), contractFor(facts))).toThrow('call code 0xb');
  });
});

describe('kvmRules', () => {
  it.each(kvmRules)('should cite TLFS and a kernel function for $name', ({ source }) => {
    expect(source).toMatch(/^TLFS .*; .*\b(kvm|hv)_/);
  });

  it('should have no name twice', () => {
    expect(new Set(kvmRules.map(({ name }) => name)).size).toBe(kvmRules.length);
  });
});

function decode(call: CallRegisters, memory: readonly bigint[] = [], contract = contractFor(facts)): Call {
  const modelMemory = new ModelMemory();
  if (memory.length > 0) modelMemory.write({ gpa: call.rdx ?? 0n, bytes: bytesOf(memory) });
  return decodeCall(registersOf(call), modelMemory, contract);
}
