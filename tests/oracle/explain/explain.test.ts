import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeCase, makeStep, type Step } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { explain, type ExplainedCall } from '../../../oracle/explain/explain.ts';
import { predict } from '../../../oracle/model.ts';
import { msrRules } from '../../../oracle/msr.ts';
import { kvmRules } from '../../../oracle/call/rules.ts';
import { anyProgram, facts, oldFacts, registerSoup } from '../programs.ts';

const sample = encodeCase(
  makeCase(
    [{ vpIndex: 0 }, { vpIndex: 5000, apic: 'software-disabled' }, { vpIndex: 130, idle: 'halted' }],
    [
      makeStep({ do: 'send-ipi-ex', targets: [0, 1, 5, 130], padding: 3 }),
      makeStep({ do: 'send-ipi', fast: true, targets: [0] }),
      makeStep({ do: 'run' }),
    ],
  ),
);

const setPage = makeStep({ do: 'write-msr', msr: 'hypercall', value: 0xe4001n });

describe('explain', () => {
  it('should name the rule that the model names, and every other one in order', () => {
    const property = fc.property(fc.oneof(anyProgram, registerSoup), (program) => {
      const outcome = predict(program, facts);
      explain(program, facts).steps.forEach((step, index) => {
        if (step.kind === 'change') return;
        expect(step.rules.map(({ name }) => name)).toEqual(kvmRules.map(({ name }) => name));
        expect(step.rules.filter(({ role }) => role === 'decides').map(({ name }) => name)).toEqual([
          outcome.steps[index]!.rule,
        ]);
      });
    });
    fc.assert(property, { seed: 7, numRuns: 200 });
  });

  it('should tell what each vCPU that is named does', () => {
    const [first, second, last] = explain(sample, facts).steps;
    expect(first).toMatchObject({
      kind: 'call',
      absentVpIndexes: [5],
      banks: [
        { bank: 0, slot: 0, contents: 0x23n, vpIndexes: [0, 1, 5] },
        { bank: 2, slot: 1, contents: 4n, vpIndexes: [130] },
      ],
      effects: [
        { vcpu: 0, vpIndex: 0, text: '0xfe becomes pending' },
        { vcpu: 1, vpIndex: 1, text: 'APIC is software-disabled: 0xfe is lost, the status stays 0' },
        { vcpu: 2, vpIndex: 130, text: 'wakes up, the handler of 0xfe runs' },
      ],
    });
    expect(second).toMatchObject({ effects: [{ vcpu: 0, text: '0xfe is pending already, nothing changes' }] });
    expect(last).toMatchObject({ kind: 'change', effects: [{ text: 'the handlers of 0xfe run' }, { vcpu: 1 }] });
  });

  it('should decode the input of both forms into the same fields', () => {
    const input = (fast: boolean) => {
      const step = makeStep({ do: 'send-ipi-ex', fast, vector: 0x77, format: 9n, targets: [64], padding: 2 });
      const [explained] = explain(encodeCase(makeCase([{ vpIndex: 0 }], [step])), facts).steps;
      return explained!.kind === 'call' ? explained!.input : null;
    };
    expect(input(false)).toEqual(input(true));
    expect(input(true)!.map(({ name, value }) => [name, value])).toEqual([
      ['vector', 0x77n],
      ['targetVtl', 0n],
      ['padding', 2n],
      ['format', 9n],
      ['validBankMask', 2n],
    ]);
  });
});

describe('explain, how a call is made', () => {
  it('should take the input value from EDX:EAX outside of 64-bit mode', () => {
    const call = makeStep({ do: 'send-ipi', mode: 'compat', repStart: 0x123, targets: [0] });
    expect(firstCall([call])).toMatchObject({
      entry: 'compat mode, CPL 0, a bare instruction',
      controlWord: 0x0123_0000_0000_000bn,
      inputPlace: 'guest memory at 0xe0000',
      answer: 'HV_STATUS_INVALID_HYPERCALL_INPUT (3)',
      effects: [],
    });
  });

  it('should leave out the plain entry', () => {
    expect(firstCall([makeStep({ do: 'send-ipi', repCount: 1 })])).toMatchObject({
      entry: '',
      controlWord: 0x0001_0000_000bn,
    });
  });

  it.each([
    ['send-ipi', 'long', 'RDX, R8'],
    ['send-ipi-ex', 'long', 'RDX, R8, XMM0..XMM5'],
    ['send-ipi', 'protected32', 'EBX:ECX, EDI:ESI'],
    ['send-ipi-ex', 'protected32', 'EBX:ECX, EDI:ESI, XMM0..XMM5'],
  ] as const)('should say where a fast %s in %s mode has its input', (kind, mode, inputPlace) => {
    expect(firstCall([makeStep({ do: kind, mode, fast: true })])).toMatchObject({ inputPlace });
  });

  it.each([
    [makeStep({ do: 'send-ipi', opcode: 'other', cpl: 2 }), "long mode, CPL 2, a bare instruction of the other vendor's", '#GP (vector 13)'], // prettier-ignore
    [makeStep({ do: 'send-ipi', mode: 'real' }), 'real mode, CPL 0, a bare instruction', '#UD (vector 6)'],
    [makeStep({ do: 'send-ipi', controlBits: [15] }), 'long mode, CPL 0, a bare instruction', 'exit to the VMM (hyperv), which answers 0x5a'], // prettier-ignore
  ])('should say what becomes of %o', (step, entry, answer) => {
    expect(firstCall([step])).toMatchObject({ entry, answer });
  });

  it('should say what a call that is none of Hyper-V gets', () => {
    const answer = (machine: { xen?: boolean }) => {
      const value = makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi' })], { guestOsId: 0n, ...machine });
      return explain(encodeCase(value), facts).steps[0];
    };
    expect(answer({})).toMatchObject({ answer: 'RAX 0xfffffffffffffc18' });
    expect(answer({ xen: true })).toMatchObject({ answer: 'exit to the VMM (xen), which answers 0x5a' });
  });

  it('should name the page', () => {
    const steps = [setPage, makeStep({ do: 'send-ipi', page: 0xe4000n, targets: [0] })];
    expect(explain(encodeCase(makeCase([{ vpIndex: 0 }], steps)), facts).steps[1]).toMatchObject({
      kind: 'call',
      entry: 'long mode, CPL 0, the hypercall page at 0xe4000',
      tlfs: { rules: [], verdict: 'permitted' },
    });
  });

  it('should have no input that cannot be read and none of an unknown call', () => {
    expect(firstCall([makeStep({ do: 'send-ipi', gpa: 0x100000n })])).toMatchObject({ input: null, banks: [] });
    expect(firstCall([makeStep({ do: 'send-ipi-ex', gpa: 0x100000n, targets: [0] })])).toMatchObject({
      input: null,
      banks: [],
    });
    expect(firstCall([makeStep({ do: 'send-ipi', fast: true, controlBits: [2] })])).toMatchObject({
      input: null,
      banks: [],
      answer: 'HV_STATUS_INVALID_HYPERCALL_CODE (2)',
    });
  });

  it('should decode the input of 0x000b', () => {
    const call = makeStep({ do: 'send-ipi', vector: 0x77, targetVtl: 0x21, padding: 3, targets: [1, 63] });
    const explained = firstCall([call]);
    expect(explained.input!.map(({ name, range, value }) => [name, range, value])).toEqual([
      ['vector', '31:0', 0x77n],
      ['targetVtl', '39:32', 0x21n],
      ['padding', '63:40', 3n],
      ['processorMask', '127:64', 0x8000_0000_0000_0002n],
    ]);
    expect(explained.banks).toEqual([{ bank: 0, slot: 0, contents: 0x8000_0000_0000_0002n, vpIndexes: [1, 63] }]);
    expect(explained.absentVpIndexes).toEqual([1, 63]);
  });

  it('should not read banks that KVM does not read', () => {
    const call = makeStep({
      do: 'send-ipi-ex',
      fast: true,
      targets: Array.from({ length: 12 }, (_, bank) => 64 * bank),
    });
    const { banks } = firstCall([call]);
    expect(banks.length).toBe(12);
    expect(banks[10]).toEqual({ bank: 10, slot: 10, contents: 1n, vpIndexes: [640] });
    expect(banks[11]).toEqual({ bank: 11, slot: 11, contents: null, vpIndexes: null });
  });

  it('should count bank 32 once', () => {
    const call = makeStep({ do: 'send-ipi-ex', targets: [2048] });
    expect(firstCall([call]).banks).toEqual([{ bank: 32, slot: 0, contents: 1n, vpIndexes: [2048] }]);
  });

  it('should call nobody absent whose bank is not read', () => {
    const targets = Array.from({ length: 17 }, (_, bank) => 64 * bank);
    const program = encodeCase(
      makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi-ex', targets, gpa: 0x100000n - 24n - 128n })]),
    );
    const [call] = explain(program, oldFacts).steps;
    expect(call).toMatchObject({ answer: 'HV_STATUS_SUCCESS (0)', absentVpIndexes: targets.slice(1, 16) });
  });

  it('should call nobody absent from a set of all VPs, or from one that is not used', () => {
    const all = makeStep({ do: 'send-ipi-ex', format: 1n, targets: [5] });
    expect(firstCall([all])).toMatchObject({ absentVpIndexes: [], effects: [{ vcpu: 0, vpIndex: 0 }] });
    expect(firstCall([makeStep({ do: 'send-ipi', targets: [5], vector: 5 })])).toMatchObject({ absentVpIndexes: [] });
  });

  it('should put both contracts side by side', () => {
    const { tlfs } = firstCall([makeStep({ do: 'send-ipi', targets: [0], vector: 5 })]);
    expect(tlfs).toEqual({
      rules: [
        { name: 'not-through-page', certainty: 'guess', source: expect.stringMatching(/^WEB/) as string },
        { name: 'vector-out-of-range', certainty: 'certain', source: expect.stringMatching(/^WEB/) as string },
      ],
      permitted: 'HV_STATUS_INVALID_PARAMETER (5) or #UD (vector 6)',
      kvm: 'HV_STATUS_INVALID_HYPERCALL_INPUT (3)',
      verdict: 'deviation bad-vector-status (D01)',
    });
  });
});

describe('explain, steps that are no calls', () => {
  it('should say what is done and what decides', () => {
    const steps = [
      setPage,
      makeStep({ do: 'write-msr', msr: 'vp-index', value: 0x1000n, vcpu: 1 }),
      makeStep({ do: 'set-apic', vcpu: 1, apic: 'hardware-disabled' }),
      makeStep({ do: 'init', vcpu: 1 }),
      makeStep({ do: 'send-ipi', page: 0xe5000n, sender: 0 }),
    ];
    const { steps: explained } = explain(encodeCase(makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], steps)), facts);
    const source = (name: string) => msrRules.find((rule) => rule.name === name)!.source;
    expect(explained).toEqual([
      {
        kind: 'change',
        what: 'the host writes 0xe4001 to the hypercall MSR of vCPU 0',
        rule: { name: 'page-written', source: source('page-written'), taken: true },
        faults: [],
        effects: [],
      },
      {
        kind: 'change',
        what: 'the host writes 0x1000 to the vp-index MSR of vCPU 1',
        rule: { name: 'vp-index-refused', source: source('vp-index-refused'), taken: false },
        faults: [],
        effects: [],
      },
      {
        kind: 'change',
        what: 'the host makes the APIC of vCPU 1 hardware-disabled',
        rule: null,
        faults: [],
        effects: [],
      },
      { kind: 'change', what: 'vCPU 1 gets INIT', rule: null, faults: [], effects: [] },
      {
        kind: 'change',
        what: 'vCPU 0 makes no call: the page holds no hypercall instruction',
        rule: null,
        faults: [],
        effects: [],
      },
    ]);
  });

  it('should say what each parked vCPU takes in a run', () => {
    const vcpus = [
      { vpIndex: 0, irr: [0x20, 0x41] },
      { vpIndex: 7 },
      { vpIndex: 2, apic: 'hardware-disabled' as const, irr: [0x20] },
      { vpIndex: 3, apic: 'software-disabled' as const, irr: [0x20] },
      { vpIndex: 4, idle: 'uninitialized' as const, irr: [0x20] },
    ];
    const [step] = explain(encodeCase(makeCase(vcpus, [makeStep({ do: 'run' })])), facts).steps;
    expect(step).toEqual({
      kind: 'change',
      what: 'the parked vCPUs run until nothing is pending that they can take',
      rule: null,
      faults: [],
      effects: [
        { vcpu: 0, vpIndex: 0, text: 'the handlers of 0x41, 0x20 run' },
        { vcpu: 1, vpIndex: 7, text: 'takes nothing' },
        { vcpu: 2, vpIndex: 2, text: 'APIC is hardware-disabled: takes nothing' },
        { vcpu: 3, vpIndex: 3, text: 'the handlers of 0x20 run' },
      ],
    });
  });

  it('should say what is pending from the start and after other steps', () => {
    const ipi = makeStep({ do: 'send-ipi', vector: 0x41, targets: [0, 1] });
    const vcpus = [{ vpIndex: 0, irr: [0x41] }, { vpIndex: 1 }];
    const texts = explain(encodeCase(makeCase(vcpus, [ipi, ipi])), facts).steps.map(({ effects }) =>
      effects.map(({ text }) => text),
    );
    const already = '0x41 is pending already, nothing changes';
    expect(texts).toEqual([
      [already, '0x41 becomes pending'],
      [already, already],
    ]);
  });

  it('should have the facts of machine and KVM', () => {
    const program = encodeCase(makeCase([{ vpIndex: 5000 }], [makeStep({ do: 'run' })], { irqchip: 'split' }));
    expect(explain(program, facts)).toMatchObject({
      kernelRelease: '6.12.0-test',
      contract: { vpIndexLimit: 4096 },
      machine: { irqchip: 'split', xen: false },
      vcpus: [{ vpIndex: 0, setup: { vpIndex: 5000 } }],
    });
  });
});

/** The first step, a call on one vCPU of VP index 0. */
function firstCall(steps: Step[]): ExplainedCall {
  const [first] = explain(encodeCase(makeCase([{ vpIndex: 0 }], steps)), facts).steps;
  if (first?.kind !== 'call') throw new Error('the first step is no call');
  return first;
}
