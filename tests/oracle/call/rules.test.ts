import { describe, expect, it } from 'vitest';
import { ramEnd } from '../../../src/case/memory.ts';
import { plainCaller } from '../../../oracle/call/caller.ts';
import { contractFor } from '../../../oracle/contract.ts';
import { type Call, decodeCall } from '../../../oracle/call/decode.ts';
import { ModelMemory } from '../../../oracle/state/memory.ts';
import { decide, kvmRules } from '../../../oracle/call/rules.ts';
import { bytesOf, facts, registersOf } from '../programs.ts';
import { meetings, passing } from './rule-borders.ts';
import { type Arriving, rows } from './rule-rows.ts';

describe('decide', () => {
  it.each(rows)('should let $rule decide ($answer), and $otherwise without it', (row) => {
    const { decoded, contract } = arriving(row);
    const decided = decide(kvmRules, decoded, contract);
    expect(decided.name).toBe(row.rule);
    expect(decided.answer).toEqual(row.answer);
    if (row.otherwise === '') return;
    const others = kvmRules.filter(({ name }) => name !== row.rule);
    expect(decide(others, decoded, contract).name).toBe(row.otherwise);
  });

  it.each(meetings)('should let $rule decide when there are $title', (row) => {
    const { decoded, contract } = arriving(row);
    expect(decide(kvmRules, decoded, contract).name).toBe(row.rule);
  });

  it.each(passing)('should let $rule decide $title', (row) => {
    const { decoded, contract } = arriving(row);
    expect(decide(kvmRules, decoded, contract).name).toBe(row.rule);
  });

  it('should need fewer readable banks when KVM cannot have as many VPs', () => {
    const sixtyFour = { rcx: 0x0080_0015n, rdx: ramEnd - 24n - 128n };
    const memory = [0xfen, 0n, 2n ** 64n - 1n];
    const ruleFor = (kvmMaxVcpus: number) => {
      const { decoded, contract } = arriving({ call: sixtyFour, memory, on: { kvmMaxVcpus } });
      return decide(kvmRules, decoded, contract).name;
    };
    expect(ruleFor(1024)).toBe('deliver');
    expect(ruleFor(1025)).toBe('banks-unreadable');
    expect(ruleFor(4096)).toBe('banks-unreadable');
  });

  it('should have a row for every rule', () => {
    expect(new Set(rows.map(({ rule }) => rule))).toEqual(new Set(kvmRules.map(({ name }) => name)));
  });

  it('should throw when no rule applies', () => {
    expect(() => decide([], arriving({ call: { rcx: 0xbn } }).decoded, contractFor(facts))).toThrow('call code 0xb');
  });
});

describe('kvmRules', () => {
  it.each(kvmRules)('should cite TLFS and a kernel function for $name', ({ source }) => {
    expect(source).toMatch(/^TLFS .*; .*\b(kvm|hv|group7)_/);
  });

  it('should have no name twice', () => {
    expect(new Set(kvmRules.map(({ name }) => name)).size).toBe(kvmRules.length);
  });

  it.each([
    ['other-opcode-privileged', { cpu: 'AuthenticAMD' }, { cpu: 'GenuineIntel' }],
    ['other-opcode-real-mode', { cpu: 'GenuineIntel' }, { cpu: 'AuthenticAMD' }],
    ['xen-hypercall', { xen: true }, { xen: false }],
    ['access-denied', { kernelRelease: '5.14' }, { kernelRelease: '5.13' }],
    ['reserved-control-bits', { kernelRelease: '5.17' }, { kernelRelease: '5.16' }],
    ['xmm-input-denied', { kernelRelease: '5.14' }, { kernelRelease: '5.13' }],
    ['variable-header-on-fixed-call', { kernelRelease: '5.17' }, { kernelRelease: '5.16' }],
    ['fast-ex-unknown', { kernelRelease: '5.17' }, { kernelRelease: '5.18' }],
    ['no-lapic', { kernelRelease: '5.15' }, { kernelRelease: '5.10' }],
    ['bank-count-mismatch', { kernelRelease: '5.17' }, { kernelRelease: '5.16' }],
    ['too-many-fast-banks', { kernelRelease: '5.18' }, { kernelRelease: '5.17' }],
    ['extended-call-fast', { kernelRelease: '6.12' }, { kernelRelease: '6.1' }],
    ['extended-call', { kernelRelease: '6.12' }, { kernelRelease: '6.1' }],
  ])('should reach %s on %o and not on %o', (name, there, elsewhere) => {
    const found = kvmRules.find((rule) => rule.name === name)!;
    expect(found.isReachable!(contractFor({ ...facts, ...there }))).toBe(true);
    expect(found.isReachable!(contractFor({ ...facts, ...elsewhere }))).toBe(false);
  });

  it('should reach every other rule on every KVM', () => {
    const limited = kvmRules.filter((rule) => 'isReachable' in rule);
    expect(limited.length).toBe(13);
  });

  it('should deliver by the last two rules alone', () => {
    const reaching = kvmRules.filter(({ reach }) => reach !== 'nobody').map(({ name, reach }) => [name, reach]);
    expect(reaching).toEqual([
      ['deliver-to-all', 'all'],
      ['deliver', 'named'],
    ]);
  });
});

function arriving({ call, memory = [], caller = {}, on = {} }: Arriving): {
  decoded: Call;
  contract: ReturnType<typeof contractFor>;
} {
  const contract = contractFor({ ...facts, ...on });
  const modelMemory = new ModelMemory();
  if (memory.length > 0) modelMemory.write({ gpa: call.rdx ?? 0n, bytes: bytesOf(memory) });
  return { decoded: decodeCall(registersOf(call), modelMemory, contract, { ...plainCaller, ...caller }), contract };
}
