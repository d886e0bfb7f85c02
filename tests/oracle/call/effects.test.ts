import { describe, expect, it } from 'vitest';
import type { RegisterChange } from '../../../src/program/observation.ts';
import type { Environment } from '../../../src/case/steps/environment.ts';
import { contractFor } from '../../../oracle/contract.ts';
import { effectsOf, notMade } from '../../../oracle/call/effects.ts';
import { type Answer, kvmRules, type Rule } from '../../../oracle/call/rules.ts';
import { type CallRegisters, enteredCall, facts, literalCall } from '../programs.ts';

const ok: Answer = { kind: 'status', status: 0 };
const badInput: Answer = { kind: 'status', status: 3 };
const ud: Answer = { kind: 'fault', vector: 6 };
const native = (value: bigint): Answer => ({ kind: 'native', value });
const dirtyRdx = 0xa5c3_e100_0000_1234n;
const rdxGone: RegisterChange = { register: 'rdx', before: dirtyRdx, after: 0n };
const notLong = ['compat', 'protected32', 'unpaged32', 'protected16', 'real'] as const;
/** The result register is the status. */
const plain = { result: (status: number) => BigInt(status) };

describe('effectsOf', () => {
  it('should give the status of a plain call and change no other register', () => {
    const step = literalCall({ rcx: 0x0bn, rdx: dirtyRdx });
    const made = { registers: step.registers, orResult: null };
    expect(
      effectsOf(ruleOf(badInput), step, made, contractFor(facts), { result: (status) => BigInt(status) + 0x100n }, 0n),
    ).toEqual({
      result: 0x103n,
      exception: null,
      exit: null,
      registers: [],
    });
  });

  it('should leave RDX of a 64-bit caller alone', () => {
    expect(effects(ok, { cpl: 0 }, { rdx: dirtyRdx })).toEqual({
      result: 0n,
      exception: null,
      exit: null,
      registers: [],
    });
  });

  it.each(notLong)('should clear RDX with the status in %s mode', (mode) => {
    expect(effects(badInput, { mode }, { rdx: dirtyRdx })).toMatchObject({ result: 3n, registers: [rdxGone] });
  });

  it('should not list RDX where it was 0 before', () => {
    expect(effects(ok, { mode: 'compat' }, { rdx: 0n }).registers).toEqual([]);
  });

  it.each([
    ['long', -1n, 0xffff_ffff_ffff_ffffn],
    ['long', -1000n, 0xffff_ffff_ffff_fc18n],
    ['long', 0n, 0n],
    ['compat', -1n, 0xffff_ffffn],
    ['protected32', -1000n, 0xffff_fc18n],
    ['real', -1000n, 0xffff_fc18n],
  ] as const)('should cut %s mode’s %d of KVM’s own interface and leave RDX alone', (mode, value, result) => {
    expect(effects(native(value), { mode }, { rdx: dirtyRdx })).toEqual({
      result,
      exception: null,
      exit: null,
      registers: [],
    });
  });

  it('should cut a native error of a plain call to 64 bits', () => {
    const step = literalCall({ rcx: 0x0bn });
    const made = { registers: step.registers, orResult: null };
    expect(effectsOf(ruleOf(native(-1000n)), step, made, contractFor(facts), plain, 0n).result).toBe(
      0xffff_ffff_ffff_fc18n,
    );
  });

  it.each([
    ['hyperv', 'long', []],
    ['hyperv', 'compat', [rdxGone]],
    ['xen', 'long', []],
    ['xen', 'compat', []],
  ] as const)('should answer an exit for %s in %s mode with what the VMM says', (name, mode, registers) => {
    expect(effects({ kind: 'exit', exit: name }, { mode }, { rdx: dirtyRdx })).toEqual({
      result: 0x5an,
      exception: null,
      exit: name,
      registers,
    });
  });

  it('should give 64 bits of an answer, in EDX and EAX to a 32-bit caller', () => {
    const exit: Answer = { kind: 'exit', exit: 'hyperv' };
    const vmmAnswer = 0xfedc_ba98_7654_3210n;
    expect(effects(exit, { mode: 'long', cpl: 0 }, { rdx: dirtyRdx }, { vmmAnswer })).toMatchObject({
      result: vmmAnswer,
      registers: [],
    });
    expect(effects(exit, { mode: 'protected32' }, { rdx: dirtyRdx }, { vmmAnswer })).toMatchObject({
      result: 0x7654_3210n,
      registers: [{ register: 'rdx', before: dirtyRdx, after: 0xfedc_ba98n }],
    });
  });

  it.each(['long', 'compat'] as const)('should raise a fault in %s mode and change nothing else', (mode) => {
    expect(effects(ud, { mode }, { rdx: dirtyRdx })).toEqual({ result: null, exception: 6, exit: null, registers: [] });
  });
});

/** CF, PF, ZF, SF and OF are set before the call, IOPL is 3. */
describe('effectsOf, or eax', () => {
  const flagsBefore = 0x38c7n;

  it.each([
    ['even', 0x8000_0000n, 0x3086n],
    ['odd', 0x8000_0001n, 0x3082n],
    ['odd', 0x8000_0080n, 0x3082n],
    ['odd', 0x8000_000bn, 0x3082n],
    ['even', 0x8000_0011n, 0x3086n],
    ['even', 0x8000_0041n, 0x3086n],
    ['odd', 0x8000_00fen, 0x3082n],
    ['even', 0xffff_ff55n, 0x3086n],
  ])('should leave SF and, for %s parity of 0x%s, PF', (_, orResult, after) => {
    expect(effects(ok, {}, { rax: 5n }, { orResult }).registers).toEqual([
      { register: 'rflags', before: flagsBefore, after },
    ]);
  });

  it('should show RAX where no result covers it', () => {
    expect(effects(ud, {}, { rax: 0x7_0000_0003n }, { orResult: 0x8000_0003n }).registers).toEqual([
      { register: 'rax', before: 0x7_0000_0003n, after: 0x8000_0003n },
      { register: 'rflags', before: flagsBefore, after: 0x3086n },
    ]);
    expect(effects(ud, {}, { rax: 0x8000_0003n }, { orResult: 0x8000_0003n }).registers).toEqual([
      { register: 'rflags', before: flagsBefore, after: 0x3086n },
    ]);
  });

  it('should list RDX before the flags', () => {
    const { registers } = effects(ok, { mode: 'compat' }, { rdx: dirtyRdx }, { orResult: 0x8000_0000n });
    expect(registers).toEqual([rdxGone, { register: 'rflags', before: flagsBefore, after: 0x3086n }]);
  });
});

describe("effectsOf, the other vendor's instruction", () => {
  it.each([
    ['AuthenticAMD', 0xc1_010fn, 0xd9_010fn],
    ['GenuineIntel', 0xd9_010fn, 0xc1_010fn],
  ])('should show that KVM on %s rewrote it', (cpu, before, after) => {
    expect(effects(ok, { opcode: 'other' }, {}, { cpu }).registers).toEqual([{ register: 'code', before, after }]);
    expect(effects(ud, { opcode: 'other' }, {}, { cpu }).registers).toEqual([{ register: 'code', before, after }]);
    expect(effects(ok, { opcode: 'native' }, {}, { cpu }).registers).toEqual([]);
  });

  it.each(['other-opcode-privileged', 'other-opcode-real-mode'])('should leave it as it is after %s', (name) => {
    const rule = kvmRules.find((one) => one.name === name)!;
    const step = enteredCall({ opcode: 'other' }, {});
    const made = { registers: step.registers, orResult: null };
    expect(effectsOf(rule, step, made, contractFor(facts), plain, 0n).registers).toEqual([]);
  });
});

describe('notMade', () => {
  it('should be no answer at all', () => {
    expect(notMade).toEqual({ result: null, exception: null, exit: 'no-code', registers: [] });
  });
});

function ruleOf(answer: Answer): Rule {
  return { name: 'sample', source: '', answer, reach: 'nobody', applies: () => true };
}

function effects(
  answer: Answer,
  environment: Partial<Environment>,
  registers: CallRegisters,
  {
    orResult = null,
    cpu = facts.cpu,
    vmmAnswer = 0x5an,
  }: { orResult?: bigint | null; cpu?: string; vmmAnswer?: bigint } = {},
) {
  const step = enteredCall(environment, registers);
  return effectsOf(
    ruleOf(answer),
    step,
    { registers: step.registers, orResult },
    contractFor({ ...facts, cpu }),
    plain,
    vmmAnswer,
  );
}
