/** What fields must have in common: each refusal once, and the questions that generators ask as well. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { caseArbitrary } from '../../../generators/case.ts';
import { usualSwarm } from '../../generators/usual-swarm.ts';
import {
  type CallStep,
  type Case,
  CaseError,
  formatCase,
  makeCase,
  makeStep,
  parseCase,
} from '../../../src/case/case.ts';

import { checkCase, isWellFormed } from '../../../src/case/checks.ts';
import { canHalt, canRun } from '../../../src/case/machine.ts';
import { isAllowedGpa } from '../../../src/case/memory.ts';
import { isAllowedCallCode, isAllowedRax } from '../../../src/case/steps/call.ts';
import { callModes, isAllowedPage, modeHasPage } from '../../../src/case/steps/environment.ts';
import { isCall } from '../../../src/case/steps/kinds.ts';
import { isAllowedHypercallMsr } from '../../../src/case/steps/write-msr.ts';

const call = (fields: Partial<Extract<CallStep, { do: 'send-ipi' }>> = {}) => makeStep({ do: 'send-ipi', ...fields });
const run = makeStep({ do: 'run' });
const init = makeStep({ do: 'init' });
const setApic = makeStep({ do: 'set-apic', apic: 'enabled' });
const readMsr = (fields: Partial<Extract<Case['steps'][number], { do: 'read-msr' }>>) =>
  makeStep({ do: 'read-msr', msr: 'vp-index', ...fields });
const oneVcpu = (...steps: Case['steps']) => makeCase([{ vpIndex: 0 }], steps);

const plain = (count: number): object[] => Array.from({ length: count }, () => ({}));

/** Cases with one thing wrong, the field, and what is said about it. */
const refusals: [name: string, value: Case, field: string, message: RegExp][] = [
  [
    'a sender that is not there',
    oneVcpu(call({ sender: 1 })),
    'steps[0].sender',
    /^vCPU 1 is not in the machine, which/,
  ],
  [
    'a changed vCPU that is not there',
    oneVcpu(call(), makeStep({ do: 'write-msr', vcpu: 3, msr: 'vp-index', value: 0n })),
    'steps[1].vcpu',
    /^vCPU 3 is not in the machine, which has 1$/,
  ],
  [
    'one id for two vCPUs',
    makeCase([{ vcpuId: 4 }, { vcpuId: 4 }], [call()]),
    'machine.vcpus[1].vcpuId',
    /^4 is another/,
  ],
  ['the id of a position', makeCase([{ vcpuId: 1 }, {}], [call()]), 'machine.vcpus[1].vcpuId', /^1 is another/],
  [
    'an id that an xAPIC cannot have',
    makeCase([{ vcpuId: 255, apic: 'software-disabled' }], [call()]),
    'machine.vcpus[0].apic',
    /^an APIC ID above 254, here 255, needs an x2APIC$/,
  ],
  [
    'the position of an id that an xAPIC cannot have',
    makeCase([...plain(300), { apic: 'xapic' }], [call()]),
    'machine.vcpus[300].apic',
    /here 300/,
  ],
  [
    'INIT to the broadcast',
    makeCase([{}, { vcpuId: 255 }], [call(), { ...init, vcpu: 1 }]),
    'steps[1].vcpu',
    /broadcast/,
  ],
  [
    'a halted vCPU at the broadcast',
    makeCase([...plain(255), { idle: 'halted' }], [call()]),
    'machine.vcpus[255].idle',
    /broadcast/,
  ],
  [
    'more threads than there are',
    makeCase(
      plain(9).map(() => ({ idle: 'halted' })),
      [call()],
    ),
    'machine.vcpus',
    /^9 vCPUs halt or spin/,
  ],
  [
    'a race of many',
    makeCase(plain(9), [call(), run], { schedule: 0 }),
    'machine.vcpus',
    /^a concurrent case has at most 8 vCPUs$/,
  ],
  ['a pending exception', makeCase([{ irr: [15, 16] }], [call()]), 'machine.vcpus[0].irr', /below 16/],
  ['an exception in service', makeCase([{ isr: [0] }], [call()]), 'machine.vcpus[0].isr', /below 16/],
  [
    'a halted vCPU with an id',
    makeCase([{ idle: 'halted', vcpuId: 3 }], [call()]),
    'machine.vcpus[0].idle',
    /^a halted/,
  ],
  ['a halted vCPU with TPR', makeCase([{ idle: 'halted', tpr: 1 }], [call()]), 'machine.vcpus[0].idle', /^a halted/],
  [
    'a halted vCPU without Hyper-V',
    makeCase([{ idle: 'halted', lacks: ['hyperv'] }], [call()]),
    'machine.vcpus[0].idle',
    /^a halted/,
  ],
  [
    'a halted vCPU and a split irqchip',
    makeCase([{ idle: 'halted' }], [call()], { irqchip: 'split' }),
    'machine.vcpus[0].idle',
    /^a halted/,
  ],
  [
    'TPR without a LAPIC',
    makeCase([{ tpr: 1 }], [call()], { irqchip: 'none' }),
    'machine.vcpus[0].apic',
    /^without a LAPIC/,
  ],
  [
    'something pending without a LAPIC',
    makeCase([{ irr: [16] }], [call()], { irqchip: 'none' }),
    'machine.vcpus[0].apic',
    /^without a LAPIC/,
  ],
  [
    'an idle state without a LAPIC',
    makeCase([{}, { idle: 'uninitialized' }], [call()], { irqchip: 'none' }),
    'machine.vcpus[1].apic',
    /^without a LAPIC/,
  ],
  ['run without a LAPIC', makeCase([{}], [call(), run], { irqchip: 'none' }), 'steps[1].do', /^run needs a LAPIC/],
  [
    'set-apic without a LAPIC',
    makeCase([{}], [setApic], { irqchip: 'none' }),
    'steps[0].do',
    /^set-apic needs a LAPIC/,
  ],
  ['init without a LAPIC', makeCase([{}], [init], { irqchip: 'none' }), 'steps[0].do', /^init needs a LAPIC/],
  ['set-apic and halted vCPUs', makeCase([{}, { idle: 'halted' }], [setApic]), 'steps[0].do', /^set-apic and halted/],
  [
    'a SINT that is made 0 where there is no SynIC',
    oneVcpu(makeStep({ do: 'write-msr', msr: 'sint1', value: 0n })),
    'steps[0].value',
    /^must not be 0: vCPU 0 has no SynIC/,
  ],
  [
    'the base of an APIC that is not in the kernel',
    makeCase([{}], [readMsr({ msr: 'apic-base' })], { irqchip: 'none' }),
    'steps[0].msr',
    /^apic-base needs a LAPIC/,
  ],
  [
    'a guest that reads while it waits for INIT',
    makeCase([{}, { idle: 'uninitialized' }], [readMsr({ vcpu: 1, by: 'guest' })]),
    'steps[0].by',
    /^vCPU 1 is uninitialized/,
  ],
  ['a guest that reads behind INIT', oneVcpu(init, readMsr({ by: 'guest' })), 'steps[1].by', /^vCPU 0 got INIT/],
  [
    'a guest that reads what it has not',
    makeCase([{ lacks: ['hyperv'] }], [readMsr({ by: 'guest' })]),
    'steps[0].by',
    /^vCPU 0 has no Hyper-V/,
  ],
  [
    'a guest that reads a SINT without a SynIC',
    oneVcpu(readMsr({ msr: 'sint0', by: 'guest' })),
    'steps[0].by',
    /^vCPU 0 has no SynIC/,
  ],
  [
    'a page in the guest program',
    oneVcpu(makeStep({ do: 'write-msr', msr: 'hypercall', value: 0x7001n })),
    'steps[0].value',
    /^the page would lie in the guest program/,
  ],
  [
    'a sender that waits for INIT',
    makeCase([{ idle: 'uninitialized' }], [call()]),
    'steps[0].sender',
    /^vCPU 0 is uninitialized and does not run$/,
  ],
  [
    'a sender that waits for SIPI',
    makeCase([{ idle: 'init-received' }], [call()]),
    'steps[0].sender',
    /^vCPU 0 is init-received and does not run$/,
  ],
  ['a sender after its INIT', oneVcpu(call(), init, call()), 'steps[2].sender', /^vCPU 0 got INIT/],
  [
    'the call code of another hypercall',
    oneVcpu(makeStep({ do: 'send-ipi-ex', controlBits: [3, 6] })),
    'steps[0].controlBits',
    /^the bits make the call code one of another hypercall/,
  ],
  ['an address in the guest program', oneVcpu(call({ gpa: 0xdffffn })), 'steps[0].gpa', /^0xdffff belongs to/],
  ['a page at an odd place', oneVcpu(call({ page: 0xf0008n })), 'steps[0].page', /^not a page of the arena/],
  ['a page beyond RAM', oneVcpu(call({ page: 0x100000n })), 'steps[0].page', /^not a page of the arena/],
  [
    'a page and a 16-bit segment',
    oneVcpu(call({ page: 0xf0000n, mode: 'protected16' })),
    'steps[0].page',
    /^protected16 mode cannot return/,
  ],
  [
    'a page and the other opcode',
    oneVcpu(call({ page: 0xf0000n, opcode: 'other' })),
    'steps[0].opcode',
    /^the page holds/,
  ],
  ['privilege in real mode', oneVcpu(call({ mode: 'real', cpl: 3 })), 'steps[0].cpl', /^real mode has no/],
  ['a RAX that does something', oneVcpu(call({ rax: 10n })), 'steps[0].rax', /^the number of a hypercall/],
];

describe('checkCase', () => {
  it.each(refusals)('should refuse %s and name the field', (_, value, field, message) => {
    const issues = [...checkCase(value)];

    expect(
      issues.map(({ path }) => path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('')),
    ).toEqual([`.${field}`]);
    expect(issues[0]!.message).toMatch(message);
    expect(isWellFormed(value)).toBe(false);
    expect(() => parseCase(formatCase(value))).toThrow(CaseError);
    expect(() => parseCase(formatCase(value))).toThrow(`${field}: `);
  });

  it('should accept what lies on a limit of each rule', () => {
    const vcpus = [
      { irr: [16, 255], isr: [16], vcpuId: 254 },
      { idle: 'uninitialized' as const, vcpuId: 0 },
    ];
    const steps = [
      setApic,
      makeStep({ do: 'write-msr', msr: 'hypercall', value: 0xff001n }),
      makeStep({ do: 'write-msr', msr: 'hypercall', value: 0x7000n }),
      call({ page: 0xff000n, mode: 'unpaged32', cpl: 3 }),
      call({ mode: 'protected16', opcode: 'other', cpl: 3 }),
      call({ mode: 'real', rax: 11n }),
      call({ gpa: 0xe0000n, controlBits: [15] }),
      run,
      makeStep({ do: 'init', vcpu: 1 }),
      call(),
    ];
    expect([...checkCase(makeCase(vcpus, steps))]).toEqual([]);
    expect([
      ...checkCase(
        makeCase([{}, {}], [call(), makeStep({ do: 'write-msr', msr: 'vp-index', value: 7n })], { irqchip: 'none' }),
      ),
    ]).toEqual([]);
  });

  it('should name every field that is wrong', () => {
    const value = makeCase([{ tpr: 1, irr: [3] }], [call({ rax: 1n, page: 0n }), init], { irqchip: 'none' });
    expect([...checkCase(value)].map(({ path }) => path.at(-1))).toEqual(['irr', 'apic', 'page', 'rax', 'do']);
  });

  it('should be what decides whether a generated case can be saved, whatever is changed in it', () => {
    const change = fc.constantFrom<((value: Case) => Case)[]>(
      (value) => value,
      (value) => ({ ...value, machine: { ...value.machine, irqchip: 'none' } }),
      (value) => ({ ...value, machine: { ...value.machine, vcpus: value.machine.vcpus.slice(0, 1) } }),
      (value) => ({ ...value, steps: [init, ...value.steps.slice(0, 63)] }),
      (value) => ({ ...value, steps: value.steps.map((step) => (isCall(step) ? { ...step, mode: 'real' } : step)) }),
    );
    const outcomes = new Set<boolean>();
    fc.assert(
      fc.property(caseArbitrary({ ...usualSwarm, environmentPercent: 40 }), change, (value, apply) => {
        const changed = apply(value);
        outcomes.add(isWellFormed(changed));
        if (isWellFormed(changed)) expect(parseCase(formatCase(changed))).toEqual(changed);
        else expect(() => parseCase(formatCase(changed))).toThrow(CaseError);
      }),
      { seed: 42, numRuns: 300 },
    );
    expect(outcomes).toEqual(new Set([true, false]));
  });
});

describe('isAllowedGpa', () => {
  it.each<[bigint, boolean]>([
    [0n, false],
    [0xdffffn, false],
    [0xe0000n, true],
    [0x100000n, true],
    [0xfedff000n, true],
    [0xfedff001n, false],
    [0xfee00fffn, false],
    [0xfee01000n, true],
    [(1n << 64n) - 1n, true],
  ])('should judge %i', (gpa, allowed) => {
    expect(isAllowedGpa(gpa)).toBe(allowed);
  });
});

describe('isAllowedHypercallMsr', () => {
  it.each<[bigint, boolean]>([
    [0n, true],
    [0x7000n, true],
    [0x7001n, false],
    [0xdffffn, false],
    [0xe0001n, true],
    [0xfee00001n, false],
    [(1n << 64n) - 1n, true],
  ])('should judge %i', (value, allowed) => {
    expect(isAllowedHypercallMsr(value)).toBe(allowed);
  });
});

describe('isAllowedPage', () => {
  it.each<[bigint, boolean]>([
    [0xdf000n, false],
    [0xe0000n, true],
    [0xe0800n, false],
    [0xff000n, true],
    [0x100000n, false],
    [0x200000n, false],
  ])('should judge %i', (page, allowed) => {
    expect(isAllowedPage(page)).toBe(allowed);
  });
});

describe('isAllowedRax', () => {
  it.each<[bigint, boolean]>([
    [0n, false],
    [10n, false],
    [11n, true],
    [12n, false],
    [63n, false],
    [64n, true],
    [(1n << 32n) | 11n, false],
    [0xffff_ffffn, true],
    [0x8000_0000n, true],
  ])('should judge %i', (rax, allowed) => {
    expect(isAllowedRax(rax)).toBe(allowed);
  });
});

describe('isAllowedCallCode', () => {
  it.each<[CallStep['do'], number[], boolean]>([
    ['send-ipi', [], true],
    ['send-ipi', [2, 4], true],
    ['send-ipi', [3, 6], true],
    ['send-ipi-ex', [3], true],
    ['send-ipi-ex', [6], true],
    ['send-ipi-ex', [3, 6], false],
    ['send-ipi-ex', [3, 6, 16, 40], false],
    ['send-ipi-ex', [3, 6, 15], true],
  ])('should judge %s with bits %j', (kind, bits, allowed) => {
    expect(isAllowedCallCode(kind, bits)).toBe(allowed);
  });
});

describe('questions about vCPUs and modes', () => {
  it('should let parked and halted vCPUs run', () => {
    const { machine } = makeCase([{}, { idle: 'halted' }, { idle: 'uninitialized' }, { idle: 'init-received' }], [run]);
    expect(machine.vcpus.map((_, position) => canRun(machine, position))).toEqual([true, true, false, false]);
  });

  it('should let only plain vCPUs halt, and only with all interrupt controllers in the kernel', () => {
    const { vcpus } = makeCase(
      [
        {},
        { vcpuId: 0 },
        { tpr: 1 },
        { irr: [16] },
        { isr: [16] },
        { lacks: ['hyperv'] },
        { lacks: ['ex-masks'], enforced: true },
      ],
      [run],
    ).machine;
    expect(vcpus.map((vcpu) => canHalt(vcpu, 'kernel'))).toEqual([true, false, false, false, false, false, true]);
    expect(['split', 'none'].map((irqchip) => canHalt(vcpus[0]!, irqchip as 'split' | 'none'))).toEqual([false, false]);
  });

  it('should let the modes with 32-bit and 64-bit segments return from a page', () => {
    expect(callModes.filter(modeHasPage)).toEqual(['long', 'compat', 'protected32', 'unpaged32']);
  });

  it('should take the two hypercalls for calls and nothing else', () => {
    const steps = [call(), makeStep({ do: 'send-ipi-ex' }), run, init, setApic];
    expect(steps.map(isCall)).toEqual([true, true, false, false, false]);
  });
});
