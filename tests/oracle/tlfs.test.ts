import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arenaStart, ramEnd } from '../../src/case/memory.ts';
import { ModelMemory } from '../../oracle/memory.ts';
import { predict } from '../../oracle/model.ts';
import type { StepOutcome } from '../../oracle/outcome.ts';
import { deliveryRules, judgeByTlfs, permittedFor } from '../../oracle/tlfs.ts';
import { formatPermitted } from '../../oracle/tlfs-text.ts';
import { tlfsRules } from '../../oracle/tlfs-rules.ts';
import { anyProgram, type CallRegisters, facts, literalCall, programOf, registerSoup } from './programs.ts';

interface Row {
  readonly rule: string;
  /** What is permitted as a whole, when nothing else is odd about the call. */
  readonly permitted: string;
  readonly call: CallRegisters;
  /** Words at RDX. */
  readonly memory?: readonly bigint[];
}

const five = 'HV_STATUS_INVALID_PARAMETER (5)';
const four = 'HV_STATUS_INVALID_ALIGNMENT (4)';
const three = 'HV_STATUS_INVALID_HYPERCALL_INPUT (3)';
const toVcpu0 = 'HV_STATUS_SUCCESS (0), received by vCPU 0';
const toAll = 'HV_STATUS_SUCCESS (0), received by vCPU 0, 1';
/** 0x000b fast, vector 0xfe, VP 0, with what is odd. */
const fast = (odd: Partial<CallRegisters>): CallRegisters => ({ rcx: 0x0001_000bn, rdx: 0xfen, r8: 1n, ...odd });
/** 0x0015 fast, vector 0xfe, sparse, VP 0. */
const fastEx = (odd: Partial<CallRegisters>): CallRegisters => ({
  rcx: 0x0003_0015n,
  rdx: 0xfen,
  r8: 0n,
  xmm: [1n, 1n],
  ...odd,
});
const input = [0xfen, 1n];
/** 0x0015 slow, all VPs, one bank. */
const slowAll = [0xfen, 1n, 1n, 1n];
const pageEnd = arenaStart + 0x1000n;

/** One call for each rule, which trips that rule and no other. */
const rows: readonly Row[] = [
  { rule: 'reserved-control-bits', permitted: three, call: fast({ rcx: 0x8000_0000_0001_000bn }) },
  { rule: 'reserved-control-bits', permitted: three, call: fast({ rcx: 0x0800_0000n | 0x0001_000bn }) },
  { rule: 'reserved-control-bits', permitted: three, call: fast({ rcx: 0x1000_0001_000bn }) },
  {
    rule: 'unknown-call-code',
    permitted: 'HV_STATUS_INVALID_HYPERCALL_CODE (2)',
    call: fast({ rcx: 0x0001_000fn, rdx: 1n }),
  },
  { rule: 'rep-on-simple-call', permitted: three, call: fast({ rcx: 0x0001_0001_000bn }) },
  { rule: 'rep-on-simple-call', permitted: three, call: fastEx({ rcx: 0x0001_0000_0003_0015n }) },
  { rule: 'variable-header-on-fixed-call', permitted: three, call: fast({ rcx: 0x0003_000bn }) },
  { rule: 'gpa-misaligned', permitted: four, call: { rcx: 0x0bn, rdx: arenaStart + 4n }, memory: input },
  { rule: 'gpa-page-cross', permitted: four, call: { rcx: 0x0bn, rdx: pageEnd - 8n }, memory: input },
  {
    rule: 'gpa-page-cross',
    permitted: four,
    call: { rcx: 0x0002_0015n, rdx: pageEnd - 24n },
    memory: [0xfen, 0n, 1n, 1n],
  },
  {
    rule: 'gpa-page-cross-by-unused-banks',
    permitted: `${toAll}; or ${four}`,
    call: { rcx: 0x0002_0015n, rdx: pageEnd - 24n },
    memory: slowAll,
  },
  { rule: 'gpa-outside-space', permitted: four, call: { rcx: 0x0bn, rdx: 1n << 52n } },
  {
    rule: 'gpa-unmapped',
    permitted: 'HV_STATUS_SUCCESS (0), nobody receives; or any error',
    call: { rcx: 0x0bn, rdx: ramEnd },
  },
  { rule: 'vector-out-of-range', permitted: five, call: fast({ rdx: 0x0fn }) },
  { rule: 'vector-out-of-range', permitted: five, call: fast({ rdx: 0x100n }) },
  { rule: 'vector-out-of-range', permitted: five, call: fastEx({ rdx: 0x8000_00fen }) },
  { rule: 'target-vtl-reserved', permitted: five, call: fast({ rdx: 0x20_0000_00fen }) },
  { rule: 'target-vtl-reserved', permitted: five, call: fastEx({ rdx: 0x80_0000_00fen }) },
  { rule: 'target-vtl-higher', permitted: `${toVcpu0}; or any error`, call: fast({ rdx: 0x11_0000_00fen }) },
  { rule: 'padding-not-zero', permitted: `${toVcpu0}; or ${five}`, call: fast({ rdx: 0x100_0000_00fen }) },
  { rule: 'padding-not-zero', permitted: `${toVcpu0}; or ${five}`, call: fastEx({ rdx: 0x8000_0000_0000_00fen }) },
  { rule: 'unknown-format', permitted: 'any error', call: fastEx({ r8: 2n }) },
  { rule: 'unknown-format', permitted: 'any error', call: fastEx({ r8: 0x1_0000_0001n }) },
  {
    rule: 'bank-count-mismatch',
    permitted: `${toVcpu0}; or any error`,
    call: fastEx({ rcx: 0x0005_0015n }),
  },
  {
    rule: 'fast-block-too-large',
    permitted: `${toVcpu0}; or any error`,
    call: fastEx({ rcx: 0x0019_0015n, xmm: [0xfffn, 1n] }),
  },
  { rule: 'absent-vp', permitted: `${toVcpu0}; or any error`, call: fast({ r8: 3n }) },
];

/** Calls of which TLFS permits nothing but success. */
const fine: readonly { readonly title: string; readonly call: CallRegisters; readonly memory?: readonly bigint[] }[] = [
  { title: 'a plain call', call: fast({}) },
  { title: 'a plain Ex call', call: fastEx({}) },
  { title: 'the lowest vector', call: fast({ rdx: 0x10n }) },
  { title: 'the highest vector', call: fast({ rdx: 0xffn }) },
  { title: 'bit 31, Is Nested', call: fast({ rcx: 0x8001_000bn }) },
  { title: 'UseTargetVtl with VTL 0', call: fast({ rdx: 0x10_0000_00fen }) },
  { title: 'a VTL that is not used', call: fast({ rdx: 0x0f_0000_00fen }) },
  { title: 'a slow call that ends where its page ends', call: { rcx: 0x0bn, rdx: pageEnd - 16n }, memory: input },
  { title: 'any output address', call: { rcx: 0x0bn, rdx: arenaStart, r8: 0xffff_ffff_ffff_ffffn }, memory: input },
  { title: 'a bank that is empty', call: fastEx({ rcx: 0x0005_0015n, xmm: [3n, 1n, 0n] }) },
];

describe('tlfsRules', () => {
  it.each(rows)('should apply $rule alone: $permitted', ({ rule, permitted, call, memory }) => {
    const found = permit(call, memory);
    expect(found.rules.map(({ name }) => name)).toEqual([rule]);
    expect(formatPermitted(found)).toBe(permitted);
  });

  it.each(fine)('should permit only success for $title', ({ call, memory }) => {
    const found = permit(call, memory);
    expect(found.rules).toEqual([]);
    expect(formatPermitted(found)).toBe(toVcpu0);
  });

  it('should have a row for every rule, and no name twice', () => {
    const names = tlfsRules.map(({ name }) => name);
    expect(new Set(rows.map(({ rule }) => rule))).toEqual(new Set(names));
    expect(new Set(names).size).toBe(names.length);
  });

  it.each(tlfsRules)('should cite TLFS for $name', ({ source }) => {
    expect(source).toMatch(/^(WEB|PDF6) /);
  });

  it('should permit every error of the rules that apply, since TLFS gives them no order', () => {
    const found = permit({ rcx: 0x0001_0000_000bn, rdx: arenaStart + 4n }, [5n, 1n]);
    expect(found).toMatchObject({ success: false, errors: [3, 4, 5] });
  });
});

describe('permittedFor', () => {
  it('should say for each VP that is named who may stand for it', () => {
    const step = literalCall(fast({ r8: 0b1011n }));
    const { permitted } = permittedFor(step, new ModelMemory(), [3, 0, 3, 2]);
    expect(permitted.receivers).toEqual([[1], [0, 2]]);
  });
});

describe('judgeByTlfs', () => {
  const program = programOf([0, 1], [literalCall(fast({ r8: 0b11n }))]);
  const changed = (change: Partial<StepOutcome>) => {
    const outcome = predict(program, facts);
    const steps = outcome.steps.map((step) => ({ ...step, ...change }));
    return judgeByTlfs(program, { ...outcome, steps }, facts)[0]!.violations;
  };

  it('should find nothing in what TLFS permits', () => {
    expect(changed({})).toEqual([]);
  });

  it.each([
    ['an error without a reason', { result: 3n, receivers: [] }, [{ kind: 'refused', rule: 'named-vps-receive' }]],
    ['an exception', { result: null, exception: 6, receivers: [] }, [{ kind: 'refused', rule: 'named-vps-receive' }]],
    ['a VP that does not receive', { receivers: [0] }, [{ kind: 'missing', rule: 'named-vps-receive' }]],
    [
      'a delivery after an error',
      { result: 3n },
      [
        { kind: 'refused', rule: 'named-vps-receive' },
        { kind: 'extra', rule: 'named-vps-receive' },
      ],
    ],
  ] as const)('should notice %s', (_, change, violations) => {
    expect(changed(change)).toEqual(violations);
  });

  it('should notice a delivery to nobody that was named', () => {
    const one = programOf([0, 1], [literalCall(fast({}))]);
    const outcome = predict(one, facts);
    const steps = outcome.steps.map((step) => ({ ...step, receivers: [0, 1] }));
    expect(judgeByTlfs(one, { ...outcome, steps }, facts)[0]!.violations).toEqual([
      { kind: 'extra', rule: 'named-vps-receive' },
    ]);
  });

  it('should leave open what becomes of an interrupt for a disabled APIC', () => {
    const [vcpu, other] = program.vcpus;
    const disabled = { ...program, vcpus: [vcpu!, { ...other!, apic: 'software-disabled' as const }] };
    const outcome = predict(disabled, facts);
    expect(outcome.steps[0]!.receivers).toEqual([0]);
    for (const receivers of [[0], [0, 1]]) {
      const steps = outcome.steps.map((step) => ({ ...step, receivers }));
      expect(judgeByTlfs(disabled, { ...outcome, steps }, facts)[0]!.violations).toEqual([]);
    }
  });

  it('should judge every call of any program, in order, with names that are in the tables', () => {
    const names = new Set([...tlfsRules.map(({ name }) => name), ...Object.keys(deliveryRules)]);
    const property = fc.property(fc.oneof(anyProgram, registerSoup), (any) => {
      const judged = judgeByTlfs(any, predict(any, facts), facts);
      const calls = any.steps.flatMap(({ kind }, index) => (kind === 'call' ? [index] : []));
      expect(judged.map(({ step }) => step)).toEqual(calls);
      for (const { rule } of judged.flatMap(({ violations }) => violations)) expect(names).toContain(rule);
    });
    fc.assert(property, { seed: 7, numRuns: 300 });
  });
});

function permit(call: CallRegisters, memory: readonly bigint[] = []) {
  const modelMemory = new ModelMemory();
  const step = literalCall(call, memory);
  for (const write of step.writes) modelMemory.write(write);
  return permittedFor(step, modelMemory, [0, 65]).permitted;
}
