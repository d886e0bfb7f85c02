import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Caller } from '../../../oracle/call/caller.ts';
import { contractFor } from '../../../oracle/contract.ts';
import { deviations, explainViolations, openPoints } from '../../../oracle/tlfs/deviations.ts';
import { predict } from '../../../oracle/model.ts';
import { judgeByTlfs, type Violation } from '../../../oracle/tlfs/tlfs.ts';
import { tlfsRules } from '../../../oracle/tlfs/tlfs-rules.ts';
import { tlfsSourceOf } from '../../../oracle/tlfs/tlfs-text.ts';
import { makeCase, makeStep, parseCase } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { ramEnd } from '../../../src/case/memory.ts';
import type { Program } from '../../../src/program/program.ts';
import { factsFor } from '../../../src/docs/deviations-page.ts';
import { type CallRegisters, facts, literalCall, oldFacts, programOf } from '../programs.ts';

const folder = join(import.meta.dirname, '..', '..', '..', 'corpus', 'known');
const known = (name: string): Program => encodeCase(parseCase(readFileSync(join(folder, `${name}.json`), 'utf8')));

/** Names of the deviations and violations without one, call by call. */
function explained(program: Program, kvmMaxVcpus = 4096): { names: string[]; unlisted: number }[] {
  const target = { ...facts, kvmMaxVcpus };
  return judgeByTlfs(program, predict(program, target), target).map((judged) => {
    const found = explainViolations(judged);
    return { names: found.known.map(({ name }) => name), unlisted: found.unlisted.length };
  });
}

describe('deviations', () => {
  it.each(deviations)('should show $name, and only that, in its minimal case', (deviation) => {
    const { kvmMaxVcpus } = factsFor(deviation);
    expect(explained(known(deviation.name), kvmMaxVcpus)).toEqual([{ names: [deviation.name], unlisted: 0 }]);
  });

  it('should have a minimal case for each and no other files', () => {
    expect(readdirSync(folder).sort()).toEqual(deviations.map(({ name }) => `${name}.json`).sort());
  });

  it('should show bank-read-capped only on a KVM that caps', () => {
    expect(explained(known('bank-read-capped'), 4096)).toEqual([{ names: [], unlisted: 0 }]);
  });

  it('should take #DB behind a call with TF for no word on the call', () => {
    const plain = { do: 'send-ipi' as const, fast: true, targets: [0] };
    const reserved = { ...plain, padding: 1 };
    for (const call of [plain, reserved]) {
      const [bare, traced] = (['plain', 'tf'] as const).map((rflags) =>
        explained(encodeCase(makeCase([{ vpIndex: 0 }], [makeStep({ ...call, rflags })]))),
      );
      expect(traced).toEqual(bare);
    }
  });

  it("should leave KVM's own faults out: a 32-bit call through the page of a VM with Xen", () => {
    const steps = [
      makeStep({ do: 'write-msr', msr: 'hypercall', value: 0xe0001n }),
      makeStep({ do: 'send-ipi', mode: 'compat', page: 0xe0000n, targets: [0] }),
    ];
    const program = encodeCase(makeCase([{ vpIndex: 0 }], steps, { xen: true }));
    expect(predict(program, facts).steps[1]).toMatchObject({ rule: 'reserved-control-bits' });
    expect(explained(program)).toEqual([{ names: [], unlisted: 0 }]);
  });

  it.each(deviations)('should cite both sides of $name', ({ id, tlfs, kvm, since }) => {
    expect(id).toMatch(/^D\d\d$/);
    expect(tlfsSourceOf(tlfs.rule)).toMatch(/^WEB /);
    expect(kvm.source).toMatch(/^kvm_/);
    expect(since ?? '4.20').toMatch(/^\d\.\d+/);
  });

  it.each(openPoints)('should cite why $name is open', ({ rule }) => {
    expect(tlfsSourceOf(rule)).toMatch(/^(WEB|PDF6) /);
  });

  it('should stand by number', () => {
    const ids = deviations.map(({ id }) => id);
    expect(ids).toEqual(ids.toSorted());
  });

  it('should name an open point for every rule of TLFS that is not certain', () => {
    const open = tlfsRules.filter(({ certainty }) => certainty !== 'certain').map(({ name }) => name);
    const others = ['extended-call', 'named-vps-receive'];
    const named = openPoints.map(({ rule }) => rule);
    expect(new Set([...named, ...others])).toEqual(new Set([...open, ...others]));
  });

  it('should have no name and no number twice', () => {
    expect(new Set(deviations.map(({ name }) => name)).size).toBe(deviations.length);
    expect(new Set(deviations.map(({ id }) => id)).size).toBe(deviations.length);
  });
});

/** More of what each deviation covers than its minimal case. */
const others: readonly { readonly names: readonly string[]; readonly title: string; readonly call: CallRegisters }[] = [
  { names: ['bad-vector-status'], title: 'vector 0x100', call: { rcx: 0x0001_000bn, rdx: 0x100n } },
  { names: ['bad-vector-status'], title: 'all VPs, vector 5', call: { rcx: 0x0001_0015n, rdx: 5n, r8: 1n } },
  { names: ['fast-0b-vtl-rejected'], title: 'VTL 0', call: { rcx: 0x0001_000bn, rdx: 0x10_0000_00fen } },
  { names: ['fast-0b-vtl-rejected'], title: 'reserved bits', call: { rcx: 0x0001_000bn, rdx: 0x20_0000_00fen } },
  { names: [], title: 'a higher VTL', call: { rcx: 0x0001_000bn, rdx: 0x11_0000_00fen } },
  { names: ['nested-bit-rejected'], title: 'Is Nested, bad vector', call: { rcx: 0x8001_000bn, rdx: 5n } },
  { names: [], title: 'Is Nested and bit 63', call: { rcx: 0x8000_0000_8001_000bn, rdx: 0xfen } },
  { names: [], title: 'Is Nested and a rep count', call: { rcx: 0x0001_8001_000bn, rdx: 0xfen } },
  { names: [], title: 'an absent VP', call: { rcx: 0x0001_000bn, rdx: 0xfen, r8: 4n } },
  { names: [], title: 'all VPs with 12 banks', call: { rcx: 0x0019_0015n, rdx: 0xfen, r8: 1n, xmm: [0xfffn] } },
  { names: [], title: 'all VPs, header without mask', call: { rcx: 0x0003_0015n, rdx: 0xfen, r8: 1n } },
  { names: [], title: 'padding of a fast Ex call', call: { rcx: 0x0001_0015n, rdx: 0x100_0000_00fen } },
  {
    names: ['ex-fast-reserved-unchecked', 'unknown-format-is-sparse', 'empty-sparse-skips-vector'],
    title: 'three things at once',
    call: { rcx: 0x0001_0015n, rdx: 0x20_0000_0005n, r8: 2n },
  },
  { names: ['gpa-unreadable-status'], title: 'the last address', call: { rcx: 0x0bn, rdx: 0xffff_ffff_ffff_ffffn } },
  { names: [], title: 'an address in a hole', call: { rcx: 0x0bn, rdx: 0x100000n } },
  { names: [], title: 'a block over the end of RAM', call: { rcx: 0x0bn, rdx: 0xffff8n } },
];

describe('explainViolations', () => {
  it.each(others)('should give $names for $title', ({ names, call }) => {
    expect(explained(programOf([0, 65], [literalCall(call)]))).toEqual([{ names, unlisted: 0 }]);
  });

  it('should leave what is not listed', () => {
    const program = programOf([0], [literalCall({ rcx: 0x0001_000bn, rdx: 0xfen, r8: 1n })]);
    const outcome = predict(program, facts);
    const refused = { ...outcome, steps: outcome.steps.map((step) => ({ ...step, result: 3n, receivers: [] })) };
    const [judged] = judgeByTlfs(program, refused, facts);
    expect(explainViolations(judged!)).toEqual({
      known: [],
      unlisted: [{ kind: 'refused', rule: 'named-vps-receive' }],
    });
  });
});

const ipiSlow = { rcx: 0x0bn, rdx: 0xe0000n };
const ipiFast = { rcx: 0x0001_000bn };
const exSlow = { rcx: 0x0015n, rdx: 0xe0000n };
const exFast = { rcx: 0x0001_0015n };
const unknownCode = { rcx: 0x0fn };
/** 0x0015 slow with 16 and 17 banks, of which none is in RAM. */
const banks = (count: bigint) => ({ rcx: 0x15n | (count << 17n), rdx: ramEnd - 24n });

interface Left {
  readonly kind: Violation['kind'];
  readonly rule: string;
  readonly call: CallRegisters;
  readonly caller?: Partial<Caller>;
  /** The rule by which KVM decided. */
  readonly by?: string;
  readonly known: string | null;
}

/** Whatever a KVM may do: what each entry of the list explains, and what is next to it and not explained. */
const left: readonly Left[] = [
  { kind: 'status', rule: 'vector-out-of-range', call: ipiFast, by: 'bad-vector', known: 'bad-vector-status' },
  { kind: 'refused', rule: 'named-vps-receive', call: ipiFast, by: 'bad-vector', known: 'bad-vector-status' },
  { kind: 'faulted', rule: 'vector-out-of-range', call: ipiFast, by: 'bad-vector', known: null },
  { kind: 'extra', rule: 'named-vps-receive', call: ipiFast, by: 'bad-vector', known: null },
  { kind: 'missing', rule: 'named-vps-receive', call: ipiFast, by: 'bad-vector', known: null },
  { kind: 'status', rule: 'vector-out-of-range', call: ipiFast, by: 'no-lapic', known: null },
  { kind: 'accepted', rule: 'target-vtl-reserved', call: ipiSlow, known: 'slow-0b-reserved-unchecked' },
  { kind: 'accepted', rule: 'target-vtl-reserved', call: ipiFast, known: null },
  { kind: 'accepted', rule: 'target-vtl-reserved', call: exSlow, known: 'ex-slow-reserved-unchecked' },
  { kind: 'accepted', rule: 'target-vtl-reserved', call: exFast, known: 'ex-fast-reserved-unchecked' },
  { kind: 'accepted', rule: 'target-vtl-reserved', call: unknownCode, known: null },
  { kind: 'status', rule: 'target-vtl-reserved', call: ipiSlow, known: null },
  { kind: 'status', rule: 'target-vtl-reserved', call: exSlow, known: null },
  { kind: 'status', rule: 'target-vtl-reserved', call: exFast, known: null },
  {
    kind: 'status',
    rule: 'target-vtl-reserved',
    call: ipiFast,
    by: 'fast-reserved-bits',
    known: 'fast-0b-vtl-rejected',
  },
  {
    kind: 'refused',
    rule: 'named-vps-receive',
    call: ipiFast,
    by: 'fast-reserved-bits',
    known: 'fast-0b-vtl-rejected',
  },
  { kind: 'accepted', rule: 'unknown-format', call: exFast, known: 'unknown-format-is-sparse' },
  { kind: 'status', rule: 'unknown-format', call: exFast, known: null },
  {
    kind: 'accepted',
    rule: 'vector-out-of-range',
    call: exFast,
    by: 'empty-sparse-set',
    known: 'empty-sparse-skips-vector',
  },
  { kind: 'accepted', rule: 'vector-out-of-range', call: exFast, known: null },
  { kind: 'accepted', rule: 'unknown-call-code', call: exFast, by: 'empty-sparse-set', known: null },
  { kind: 'accepted', rule: 'gpa-misaligned', call: ipiSlow, known: 'gpa-misaligned-accepted' },
  { kind: 'status', rule: 'gpa-misaligned', call: ipiSlow, known: null },
  { kind: 'accepted', rule: 'gpa-page-cross', call: exSlow, known: 'gpa-page-cross-accepted' },
  { kind: 'status', rule: 'gpa-page-cross', call: exSlow, known: null },
  { kind: 'accepted', rule: 'gpa-page-cross', call: { rcx: 0x0bn, rdx: ramEnd }, known: null },
  { kind: 'accepted', rule: 'gpa-page-cross', call: banks(17n), known: 'bank-read-capped' },
  { kind: 'status', rule: 'gpa-page-cross', call: banks(17n), known: null },
  { kind: 'accepted', rule: 'gpa-page-cross', call: banks(16n), known: null },
  { kind: 'status', rule: 'gpa-outside-space', call: ipiSlow, by: 'input-unreadable', known: 'gpa-unreadable-status' },
  { kind: 'status', rule: 'gpa-outside-space', call: exSlow, by: 'banks-unreadable', known: 'gpa-unreadable-status' },
  { kind: 'accepted', rule: 'gpa-outside-space', call: exSlow, by: 'banks-unreadable', known: null },
  {
    kind: 'refused',
    rule: 'named-vps-receive',
    call: { rcx: 0x8001_000bn },
    by: 'reserved-control-bits',
    known: 'nested-bit-rejected',
  },
  {
    kind: 'refused',
    rule: 'named-vps-receive',
    call: { rcx: 0x8801_000bn },
    by: 'reserved-control-bits',
    known: null,
  },
  {
    kind: 'refused',
    rule: 'named-vps-receive',
    call: { rcx: 0x1000_8001_000bn },
    by: 'reserved-control-bits',
    known: null,
  },
  { kind: 'refused', rule: 'named-vps-receive', call: { rcx: 0x8001_000bn }, known: null },
  { kind: 'accepted', rule: 'xmm-input-unavailable', call: exFast, known: 'xmm-input-not-needed' },
  { kind: 'status', rule: 'xmm-input-unavailable', call: exFast, known: 'xmm-input-not-needed' },
  { kind: 'missing', rule: 'xmm-input-unavailable', call: exFast, known: null },
  {
    kind: 'accepted',
    rule: 'xmm-input-unavailable',
    call: exFast,
    caller: { isEnforced: true },
    known: null,
  },
  { kind: 'accepted', rule: 'unknown-call-code', call: exFast, known: null },
  {
    kind: 'accepted',
    rule: 'illegal-environment',
    call: ipiFast,
    caller: { hasGuestOsId: false },
    known: 'native-abi-in-illegal-environment',
  },
  {
    kind: 'status',
    rule: 'illegal-environment',
    call: ipiFast,
    caller: { hasHypervCpuid: false },
    known: 'native-abi-in-illegal-environment',
  },
  { kind: 'status', rule: 'illegal-environment', call: ipiFast, known: null },
  { kind: 'refused', rule: 'named-vps-receive', call: ipiFast, caller: { hasGuestOsId: false }, known: null },
  { kind: 'accepted', rule: 'page-not-enabled', call: ipiFast, known: 'page-code-stays' },
  { kind: 'status', rule: 'page-not-enabled', call: ipiFast, known: 'page-code-stays' },
  { kind: 'extra', rule: 'vp-index-unique', call: ipiFast, known: 'duplicate-vp-index' },
  { kind: 'missing', rule: 'vp-index-unique', call: ipiFast, known: null },
];

describe('explainViolations, one by one', () => {
  it.each(left)(
    'should give $known for $rule/$kind by $by of $call',
    ({ kind, rule, call, caller, by, known: name }) => {
      const contract = contractFor(oldFacts);
      const program = programOf([0], [literalCall(call)]);
      const [judged] = judgeByTlfs(program, predict(program, oldFacts), oldFacts);
      const found = explainViolations({
        ...judged!,
        contract,
        call: { ...judged!.call, caller: { ...judged!.call.caller, ...caller } },
        done: { ...judged!.done, rule: by ?? 'deliver' },
        violations: [{ kind, rule }],
      });
      expect(found.known.map((one) => one.name)).toEqual(name === null ? [] : [name]);
      expect(found.unlisted).toEqual(name === null ? [{ kind, rule }] : []);
    },
  );

  it('should list deviations by number and once, whatever the order of the violations', () => {
    const program = programOf([0], [literalCall(exSlow)]);
    const [judged] = judgeByTlfs(program, predict(program, facts), facts);
    const accepted = ['gpa-misaligned', 'unknown-format', 'gpa-misaligned', 'target-vtl-reserved'];
    const violations = accepted.map((rule): Violation => ({ kind: 'accepted', rule }));
    expect(explainViolations({ ...judged!, violations }).known.map(({ id }) => id)).toEqual(['D04', 'D06', 'D10']);
  });
});
