import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arenaStart } from '../../../src/case/memory.ts';
import type { Program, ProgramStep } from '../../../src/program/program.ts';
import { type Caller, plainCaller } from '../../../oracle/call/caller.ts';
import { contractFor } from '../../../oracle/contract.ts';
import { type Call, decodeCall } from '../../../oracle/call/decode.ts';
import { ModelMemory } from '../../../oracle/state/memory.ts';
import { predict } from '../../../oracle/model.ts';
import type { StepOutcome } from '../../../oracle/outcome.ts';
import { deliveryRules, judgeByTlfs, permittedFor } from '../../../oracle/tlfs/tlfs.ts';
import { formatPermitted } from '../../../oracle/tlfs/tlfs-text.ts';
import { tlfsRules } from '../../../oracle/tlfs/tlfs-rules.ts';
import {
  anyProgram,
  type CallRegisters,
  enteredCall,
  facts,
  literalCall,
  programOf,
  registerSoup,
} from '../programs.ts';
import { fast, fastEx, fine, hypercallPage, type Row, rows, toVcpu0 } from './tlfs-rows.ts';

describe('tlfsRules', () => {
  it.each(rows)('should apply $rule alone: $permitted', (row) => {
    const { rule, permitted, others = [], page = hypercallPage } = row;
    const found = permit(row);
    const isAlone = tlfsRules.find(({ name }) => name === rule)!.alone === true;
    expect(found.rules.map(({ name }) => name)).toEqual(isAlone ? [rule] : [rule, ...others]);
    expect(formatPermitted(found)).toBe(permitted);
    const setting = { namesAbsentVp: rule === 'absent-vp', page };
    const applying = tlfsRules.filter((one) => one.applies(decoded(row), setting));
    expect(applying.map(({ name }) => name)).toEqual([rule, ...others]);
  });

  it.each(fine)('should permit only success for $title', (row) => {
    const found = permit(row);
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
    const found = permit({ call: { rcx: 0x0001_0000_000bn, rdx: arenaStart + 4n }, memory: [5n, 1n] });
    expect(found).toMatchObject({ success: false, errors: [3, 4, 5], fault: false });
  });

  it('should list errors by number', () => {
    const found = permit({ call: fast({ rcx: 0x8000_0000_0001_000bn }), caller: { lacks: ['cluster-ipi'] } });
    expect(found.errors).toEqual([3, 6]);
  });

  it('should permit #UD besides the errors of other rules', () => {
    const found = permit({ call: fastEx({ rdx: 5n }), caller: { lacks: ['xmm-input'] } });
    expect(found).toMatchObject({ success: false, errors: [5], fault: true });
  });
});

describe('permittedFor', () => {
  it('should say for each VP that is named who may stand for it', () => {
    expect(permittedFor(decoded({ call: fast({ r8: 0b1011n }) }), [3, 0, 3, 2]).receivers).toEqual([[1], [0, 2]]);
  });

  it('should take no hypercall page for granted', () => {
    expect(permittedFor(decoded({ call: fast({}) }), [0]).rules.map(({ name }) => name)).toEqual(['page-not-enabled']);
  });
});

describe('judgeByTlfs', () => {
  const program = throughPage([0, 1], fast({ r8: 0b11n }));
  const changed = (change: Partial<StepOutcome>, from = program) => {
    const outcome = predict(from, facts);
    const steps = outcome.steps.map((step, index) => (index === from.steps.length - 1 ? { ...step, ...change } : step));
    return judgeByTlfs(from, { ...outcome, steps }, facts)[0]!.violations;
  };

  it('should find nothing in what TLFS permits', () => {
    expect(changed({})).toEqual([]);
  });

  it.each([
    ['an error without a reason', { result: 3n, receivers: [] }, [{ kind: 'refused', rule: 'named-vps-receive' }]],
    ['an exception', { result: null, exception: 6, receivers: [] }, [{ kind: 'faulted', rule: 'named-vps-receive' }]],
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

  it("should leave the VMM's answer alone", () => {
    expect(changed({ exit: 'hyperv', result: 0x5an, receivers: [] })).toEqual([]);
  });

  it('should look at 16 bits of the result', () => {
    expect(changed({ result: 0x1_0000n })).toEqual([]);
  });

  it('should name the rules that KVM left', () => {
    const bad = throughPage([0, 1], fast({ rdx: 0x20_0000_0005n }));
    const both = ['vector-out-of-range', 'target-vtl-reserved'];
    expect(changed({ result: 0n }, bad)).toEqual(both.map((rule) => ({ kind: 'accepted', rule })));
    expect(changed({ result: 3n }, bad)).toEqual([{ kind: 'status', rule: 'vector-out-of-range' }]);
    expect(changed({ result: 5n }, bad)).toEqual([]);
    expect(changed({ result: 5n, receivers: [1] }, bad)).toEqual([{ kind: 'extra', rule: 'named-vps-receive' }]);
    expect(changed({ result: null, exception: 6 }, bad)).toEqual([{ kind: 'faulted', rule: 'vector-out-of-range' }]);
  });

  it('should ask nothing of a call that is no hypercall of TLFS', () => {
    const noOsId = programOf([0, 1], [literalCall(fast({ r8: 3n }))], { guestOsId: 0n });
    for (const receivers of [[], [0], [0, 1]]) expect(changed({ result: 0n, receivers }, noOsId)).toEqual([]);
    expect(changed({ result: 0xffff_ffff_ffff_fc18n, receivers: [] }, noOsId)).toEqual([]);
  });

  it('should notice a delivery to nobody that was named', () => {
    const one = throughPage([0, 1], fast({}));
    expect(changed({ receivers: [0, 1] }, one)).toEqual([{ kind: 'extra', rule: 'named-vps-receive' }]);
  });

  it('should name nobody for certain in a set that TLFS does not say how to read', () => {
    const open = throughPage([0, 1], fastEx({ rcx: 0x0005_0015n }));
    for (const receivers of [[], [0], [1], [0, 1]]) expect(changed({ result: 0n, receivers }, open)).toEqual([]);
  });

  it('should ask the same of the VPs that are there when one is named that is not', () => {
    const absent = throughPage([0, 1], fast({ r8: 0b101n }));
    expect(changed({ receivers: [0] }, absent)).toEqual([]);
    expect(changed({ receivers: [] }, absent)).toEqual([{ kind: 'missing', rule: 'named-vps-receive' }]);
    expect(changed({ receivers: [0, 1] }, absent)).toEqual([{ kind: 'extra', rule: 'named-vps-receive' }]);
  });

  it('should ask for a delivery although an error of a known status may take its place', () => {
    const padded = throughPage([0, 1], fastEx({ rdx: 0x100_0000_00fen }));
    expect(changed({ receivers: [0] }, padded)).toEqual([]);
    expect(changed({ receivers: [] }, padded)).toEqual([{ kind: 'missing', rule: 'named-vps-receive' }]);
  });

  it('should let a VP that two vCPUs stand for receive once', () => {
    const twice = throughPage([5, 5], fast({ r8: 1n << 5n }));
    expect(changed({ receivers: [0, 1] }, twice)).toEqual([{ kind: 'extra', rule: 'vp-index-unique' }]);
    for (const receivers of [[0], [1], []]) expect(changed({ receivers }, twice)).toEqual([]);
  });

  it('should leave open what becomes of an interrupt for a disabled APIC', () => {
    const [vcpu, other] = program.vcpus;
    const disabled = { ...program, vcpus: [vcpu!, { ...other!, apic: 'software-disabled' as const }] };
    expect(predict(disabled, facts).steps.at(-1)!.receivers).toEqual([0]);
    for (const receivers of [[0], [0, 1]]) expect(changed({ receivers }, disabled)).toEqual([]);
    expect(changed({ receivers: [] }, disabled)).toEqual([{ kind: 'missing', rule: 'named-vps-receive' }]);
  });

  it('should judge every call of any program, in order, with names that are in the tables', () => {
    const names = new Set([...tlfsRules.map(({ name }) => name), ...Object.keys(deliveryRules)]);
    const property = fc.property(fc.oneof(anyProgram, registerSoup), (any) => {
      const outcome = predict(any, facts);
      const calls = outcome.steps.flatMap(({ call }, index) => (call === null ? [] : [index]));
      const judged = judgeByTlfs(any, outcome, facts);
      expect(judged.map(({ step }) => step)).toEqual(calls);
      for (const { rule } of judged.flatMap(({ violations }) => violations)) expect(names).toContain(rule);
    });
    fc.assert(property, { seed: 7, numRuns: 200 });
  });
});

/** Where the hypercall page is, by what a call through it is told. */
describe('judgeByTlfs, hypercall page', () => {
  const write = (msr: 'hypercall' | 'guest-os-id', value: bigint): ProgramStep => ({
    kind: 'write-msr',
    vcpu: 0,
    msr,
    value,
  });
  const enable = write('hypercall', hypercallPage | 1n);
  const call = enteredCall({ page: hypercallPage }, fast({}));
  const rulesAfter = (...steps: ProgramStep[]) => {
    const program = programOf([0], [...steps, call]);
    return judgeByTlfs(program, predict(program, facts), facts)
      .at(-1)
      ?.permitted.rules.map(({ name }) => name);
  };

  it.each([
    ['enabled', [enable], []],
    ['disabled', [enable, write('hypercall', hypercallPage)], ['page-not-enabled']],
    ['moved', [enable, write('hypercall', (hypercallPage + 0x1000n) | 1n)], ['page-not-enabled']],
    ['moved and moved back', [enable, write('hypercall', arenaStart | 1n), enable], []],
    ['left alone by a VP index of 0', [enable, { kind: 'write-msr', vcpu: 0, msr: 'vp-index', value: 0n }], []],
    ['refused elsewhere', [enable, write('hypercall', 0x100001n)], []],
    ['lost with GUEST_OS_ID', [enable, write('guest-os-id', 0n), write('guest-os-id', 2n)], ['page-not-enabled']],
    ['left alone by another GUEST_OS_ID', [enable, write('guest-os-id', 2n)], []],
    ['left alone by an enable without GUEST_OS_ID', [enable, write('guest-os-id', 0n), enable, write('guest-os-id', 2n)], ['page-not-enabled']], // prettier-ignore
  ] as [string, ProgramStep[], string[]][])('should know a page that was %s', (_, steps, rules) => {
    expect(rulesAfter(...steps)).toEqual(rules);
  });

  it('should not judge a call that is not made', () => {
    expect(rulesAfter()).toBeUndefined();
  });

  it('should read what KVM wrote into memory', () => {
    // VMMCALL and RET, read as an input block: vector 0xc3d9010f.
    const program = programOf([0], [enable, literalCall({ rcx: 0x0bn, rdx: hypercallPage })]);
    const [judged] = judgeByTlfs(program, predict(program, facts), facts);
    expect(judged!.call.vector).toBe(0xc3d9_010f);
  });
});

/** A call through the hypercall page, which is set up before. */
function throughPage(vpIndexes: readonly number[], registers: CallRegisters): Program {
  const write: ProgramStep = { kind: 'write-msr', vcpu: 0, msr: 'hypercall', value: hypercallPage | 1n };
  return programOf(vpIndexes, [write, enteredCall({ page: hypercallPage }, registers)]);
}

type Arriving = Omit<Row, 'rule' | 'permitted'>;

/** Decoded with all banks, as TLFS reads a call. */
function decoded({ call, memory = [], caller = {} }: Arriving): Call {
  const modelMemory = new ModelMemory();
  const step = literalCall(call, memory);
  for (const write of step.writes) modelMemory.write(write);
  const contract = { ...contractFor(facts), bankReadMax: Number.MAX_SAFE_INTEGER };
  const inPage: Caller = { ...plainCaller, page: hypercallPage };
  return decodeCall(step.registers, modelMemory, contract, { ...inPage, ...caller });
}

function permit({ page = hypercallPage, ...arriving }: Arriving) {
  return permittedFor(decoded(arriving), [0, 65], page);
}
