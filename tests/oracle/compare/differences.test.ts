import { describe, expect, it } from 'vitest';
import { makeCase, makeStep, type Step, type VcpuSetup } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import type { Observation, StepObservation } from '../../../src/program/observation.ts';
import { observationOf } from '../../../src/model/model-executor.ts';
import { collectDifferences } from '../../../oracle/compare/differences.ts';
import { predict } from '../../../oracle/model.ts';
import { facts } from '../programs.ts';

const ipi = (vector: number, ...targets: number[]) => makeStep({ do: 'send-ipi', vector, targets, sender: 1 });
const run = makeStep({ do: 'run' });
const bad = ipi(0x0f, 0);
const fault = makeStep({ do: 'send-ipi', cpl: 3, sender: 1 });
const write = makeStep({ do: 'write-msr', msr: 'vp-index', value: 1n, vcpu: 1 });
const setPage = makeStep({ do: 'write-msr', msr: 'hypercall', value: 0xe4001n });
const compat = makeStep({ do: 'send-ipi', mode: 'compat', repStart: 1, sender: 1 });

type Change = (seen: Observation) => Partial<Observation>;
/** Steps as observed, but for one. */
const inStep =
  (at: number, change: Partial<StepObservation>): Change =>
  ({ steps }) => ({ steps: steps.with(at, { ...steps[at]!, ...change }) });

describe('collectDifferences, machine', () => {
  it('should find none in what was predicted', () => {
    for (const exact of [true, false]) {
      const { differences, blames } = collect([ipi(0x20, 0), fault, compat, setPage, run], () => ({}), { exact });
      expect([differences, blames]).toEqual([[], []]);
    }
  });

  it('should show VP indexes', () => {
    expect(collect([bad], () => ({ vpIndexes: [0, 7] }))).toEqual({
      differences: [{ step: null, vcpu: 1, what: 'VP index', expected: '1', observed: '7' }],
      blames: [{ step: null, kind: 'vp-index' }],
    });
    expect(collect([bad], () => ({ vpIndexes: [0] }))).toEqual({
      differences: [{ step: null, vcpu: null, what: 'VP indexes', expected: '2 vCPUs', observed: '1 vCPUs' }],
      blames: [{ step: null, kind: 'vp-index' }],
    });
  });

  it('should show words of memory that only one side changed, or otherwise', () => {
    const zero = Buffer.alloc(8);
    const other = Buffer.from('0102030405060708', 'hex');
    const code = '0f01d9c300000000';
    const blames = [{ step: null, kind: 'memory' }];
    const about = { step: null, vcpu: null };
    expect(collect([setPage], () => ({ memory: [] }))).toEqual({
      differences: [{ ...about, what: 'memory 0xe4000', expected: code, observed: '0000000000000000' }],
      blames,
    });
    expect(collect([setPage], () => ({ memory: [{ gpa: 0xe4000n, before: zero, after: other }] }))).toEqual({
      differences: [{ ...about, what: 'memory 0xe4000', expected: code, observed: '0102030405060708' }],
      blames,
    });
    const stray = { gpa: 0xe8000n, before: zero, after: other };
    expect(collect([setPage], ({ memory }) => ({ memory: [...memory, stray] }))).toEqual({
      differences: [{ ...about, what: 'memory 0xe8000', expected: '0000000000000000', observed: '0102030405060708' }],
      blames,
    });
  });

  it('should not take words in another order, or a word that stayed as it was, for a difference', () => {
    const quiet = { gpa: 0xe8000n, before: Buffer.alloc(8), after: Buffer.alloc(8) };
    expect(collect([setPage], ({ memory }) => ({ memory: [quiet, ...memory] })).differences).toEqual([]);
  });
});

describe('collectDifferences, registers', () => {
  const sender = { step: 0, vcpu: 1 };

  it.each([
    [{ vector: 13, ripOffset: 0 }, '#GP (vector 13)'],
    [{ vector: 6, ripOffset: 3 }, '#UD (vector 6) at the call + 3 bytes'],
    [{ vector: 6, ripOffset: -2 }, '#UD (vector 6) at the call - 2 bytes'],
    [null, 'none'],
  ])('should show the exception %o', (exception, observed) => {
    expect(collect([fault], inStep(0, { exception }))).toEqual({
      differences: [{ ...sender, what: 'exception', expected: '#UD (vector 6)', observed }],
      blames: [{ step: 0, kind: 'exception' }],
    });
  });

  it('should show result and exit', () => {
    expect(collect([bad], inStep(0, { result: 0n, exit: 'hyperv' }))).toEqual({
      differences: [
        {
          ...sender,
          what: 'result',
          expected: 'HV_STATUS_INVALID_HYPERCALL_INPUT (3)',
          observed: 'HV_STATUS_SUCCESS (0)',
        },
        { ...sender, what: 'exit', expected: 'none', observed: 'hyperv' },
      ],
      blames: [
        { step: 0, kind: 'result' },
        { step: 0, kind: 'exit' },
      ],
    });
    const noCode = makeStep({ do: 'send-ipi', page: 0xe4000n, sender: 1 });
    expect(collect([noCode], inStep(0, { exit: null })).differences).toEqual([
      { ...sender, what: 'exit', expected: 'no-code', observed: 'none' },
    ]);
  });

  it('should show registers that one side changed, or otherwise', () => {
    const rdx = { register: 'rdx', before: 0xa5c3_e100_0001_0000n };
    expect(collect([compat], inStep(0, { registers: [] })).differences).toEqual([
      {
        ...sender,
        what: 'register rdx',
        expected: '0x0000000000000000',
        observed: '0xa5c3e10000010000',
      },
    ]);
    expect(collect([compat], inStep(0, { registers: [{ ...rdx, after: 5n }] })).differences).toMatchObject([
      { what: 'register rdx', expected: '0x0000000000000000', observed: '0x0000000000000005' },
    ]);
    const rbx = { register: 'rbx', before: 1n, after: 2n };
    const more = collect([compat], ({ steps }) =>
      inStep(0, { registers: [rbx, ...steps[0]!.registers] })({ steps } as Observation),
    );
    expect(more).toEqual({
      differences: [
        { ...sender, what: 'register rbx', expected: '0x0000000000000001', observed: '0x0000000000000002' },
      ],
      blames: [{ step: 0, kind: 'register' }],
    });
  });

  it.each([
    ['a call', bad, 1],
    ['an MSR write', write, 1],
    ['a run', run, null],
  ] as const)('should name the vCPU of %s', (_, step, vcpu) => {
    expect(collect([step], inStep(0, { result: 77n })).differences).toMatchObject([{ step: 0, vcpu, what: 'result' }]);
  });
});

describe('collectDifferences, arrivals', () => {
  const steps = [ipi(0x20, 0, 1), ipi(0x41, 0), run];
  const arrivals = (...first: number[]) => inStep(2, { arrivals: [first, [0x20]] });
  const difference = (observed: string) => ({
    step: 2,
    vcpu: 0,
    what: 'arrivals',
    expected: '0x41, 0x20',
    observed,
  });

  it.each([
    ['one too few', [0x41], '0x41', [{ step: 0, kind: 'missing-interrupt' }]],
    ['the other too few', [0x20], '0x20', [{ step: 1, kind: 'missing-interrupt' }]],
    ['one twice', [0x41, 0x20, 0x20], '0x41, 0x20, 0x20', [{ step: 2, kind: 'extra-interrupt' }]],
    ['another order', [0x20, 0x41], '0x20, 0x41', [{ step: 2, kind: 'order' }]],
    ['one too many', [0x41, 0x30, 0x20], '0x41, 0x30, 0x20', [{ step: 0, kind: 'extra-interrupt' }]],
    [
      'another one',
      [0x41, 0x30],
      '0x41, 0x30',
      [
        { step: 0, kind: 'missing-interrupt' },
        { step: 0, kind: 'extra-interrupt' },
      ],
    ],
  ])('should show %s and blame who is to blame', (_, seen, observed, blames) => {
    expect(collect(steps, arrivals(...seen))).toEqual({ differences: [difference(observed)], blames });
  });

  it('should blame the run itself where every step was looked at', () => {
    const result = collect(steps, arrivals(0x30), { exact: true });
    expect(result.differences).toEqual([difference('0x30')]);
    expect(result.blames).toEqual([
      { step: 2, kind: 'missing-interrupt' },
      { step: 2, kind: 'missing-interrupt' },
      { step: 2, kind: 'extra-interrupt' },
    ]);
  });

  it('should blame the run where the vector is still pending at the end', () => {
    const stuck: Change = (seen) => ({
      ...arrivals(0x41)(seen),
      lapics: [new Map([...seen.lapics[0]!, [0x210, 1]]), seen.lapics[1]!],
    });
    expect(collect(steps, stuck).blames[0]).toEqual({ step: 2, kind: 'missing-interrupt' });
  });

  it('should blame the call where the program was stopped afterwards', () => {
    const stopped: Change = (seen) => ({ ...arrivals(0x41)(seen), stopped: 'gone', lapics: [] });
    expect(collect(steps, stopped).blames).toEqual([
      { step: 0, kind: 'missing-interrupt' },
      { step: null, kind: 'stopped' },
    ]);
  });

  it('should not call it stuck where it should be pending again', () => {
    const again = [...steps, ipi(0x20, 0)];
    expect(collect(again, arrivals(0x41)).blames).toEqual([{ step: 0, kind: 'missing-interrupt' }]);
  });

  it('should count the vCPUs', () => {
    expect(collect(steps, inStep(2, { arrivals: [[0x41, 0x20]] }))).toEqual({
      differences: [{ step: 2, vcpu: null, what: 'arrivals', expected: '2 vCPUs', observed: '1 vCPUs' }],
      blames: [{ step: 2, kind: 'extra-interrupt' }],
    });
  });
});

describe('collectDifferences, LAPICs', () => {
  const steps = [ipi(0x20, 0), ipi(0x41, 0), bad];
  const tmr: [number, number] = [0x190, 0xffff_fffe];
  const tmr41: [number, number] = [0x1a0, 0xffff_fffd];
  const atEnd =
    (...words: [number, number][]): Change =>
    ({ lapics }) => ({ lapics: [new Map(words), lapics[1]!] });

  it('should blame the call that should have delivered, by IRR and by TMR', () => {
    expect(collect(steps, atEnd([0x210, 1], tmr))).toEqual({
      differences: [
        { step: null, vcpu: 0, what: 'IRR', expected: '0x41, 0x20 pending', observed: '0x20 pending' },
        { step: null, vcpu: 0, what: 'TMR', expected: '0x41, 0x20 cleared', observed: '0x20 cleared' },
      ],
      blames: [
        { step: 1, kind: 'missing-interrupt' },
        { step: 1, kind: 'tmr' },
      ],
    });
  });

  it('should blame the likeliest call for an interrupt too many', () => {
    const seen = atEnd([0x210, 1], tmr, [0x220, 2], tmr41, [0x270, 1], [0x1f0, 0xffff_fffe]);
    expect(collect(steps, seen)).toEqual({
      differences: [
        { step: null, vcpu: 0, what: 'IRR', expected: '0x41, 0x20 pending', observed: '0xe0, 0x41, 0x20 pending' },
        { step: null, vcpu: 0, what: 'TMR', expected: '0x41, 0x20 cleared', observed: '0xe0, 0x41, 0x20 cleared' },
      ],
      blames: [
        { step: 0, kind: 'extra-interrupt' },
        { step: 0, kind: 'tmr' },
      ],
    });
  });

  it('should blame the last step for any other word', () => {
    const seen = atEnd([0x210, 1], tmr, [0x220, 2], tmr41, [0xf0, 0xff]);
    expect(collect(steps, seen)).toEqual({
      differences: [{ step: null, vcpu: 0, what: 'LAPIC SPIV', expected: 'as set up', observed: '0x000000ff' }],
      blames: [{ step: 2, kind: 'lapic' }],
    });
  });

  it('should blame the step after which it was seen, and tell it once', () => {
    const lost: Change = ({ steps: seen, lapics }) => {
      const without = new Map([[0x220, 2], tmr41] as [number, number][]);
      const first = seen.with(0, { ...seen[0]!, lapics: [new Map(), seen[0]!.lapics![1]!] });
      const all = first.map((step, at) => (at === 0 ? step : { ...step, lapics: [without, step.lapics![1]!] }));
      return { steps: all, lapics: [without, lapics[1]!] };
    };
    expect(collect(steps, lost, { exact: true })).toEqual({
      differences: [
        { step: 0, vcpu: 0, what: 'IRR', expected: '0x20 pending', observed: 'nothing pending' },
        { step: 0, vcpu: 0, what: 'TMR', expected: '0x20 cleared', observed: 'nothing cleared' },
      ],
      blames: [
        { step: 0, kind: 'missing-interrupt' },
        { step: 0, kind: 'tmr' },
      ],
    });
  });

  it('should blame the step after which it was seen, also where an earlier one delivered the same', () => {
    const gone: Change = ({ steps: seen, lapics }) => ({
      steps: seen.with(1, { ...seen[1]!, lapics: [new Map(), seen[1]!.lapics![1]!] }),
      lapics: [new Map(), lapics[1]!],
    });
    expect(collect([ipi(0x20, 0), ipi(0x20, 0)], gone, { exact: true }).blames).toEqual([
      { step: 1, kind: 'missing-interrupt' },
      { step: 1, kind: 'tmr' },
    ]);
  });

  it('should blame the last step for what shows only at the end, where every step was looked at', () => {
    expect(collect(steps, atEnd([0x210, 1], tmr), { exact: true }).blames).toEqual([
      { step: 2, kind: 'missing-interrupt' },
      { step: 2, kind: 'tmr' },
    ]);
  });

  it('should count the LAPICs', () => {
    expect(collect(steps, ({ lapics }) => ({ lapics: lapics.slice(0, 1) }))).toEqual({
      differences: [{ step: null, vcpu: null, what: 'LAPICs', expected: '2 vCPUs', observed: '1 vCPUs' }],
      blames: [{ step: 2, kind: 'lapic' }],
    });
    const fewer: Change = ({ steps: seen }) =>
      inStep(1, { lapics: seen[1]!.lapics!.slice(0, 1) })({ steps: seen } as Observation);
    expect(collect(steps, fewer, { exact: true })).toEqual({
      differences: [{ step: 1, vcpu: null, what: 'LAPICs', expected: '2 vCPUs', observed: '1 vCPUs' }],
      blames: [{ step: 1, kind: 'lapic' }],
    });
  });
});

describe('collectDifferences, end', () => {
  it.each<[string, Change, string, number | null]>([
    [
      'an exit',
      ({ steps }) => ({ steps: steps.slice(0, 1), stopped: 'KVM_EXIT_SHUTDOWN', lapics: [] }),
      '1 steps ran, then: KVM_EXIT_SHUTDOWN',
      1,
    ],
    ['too few steps', ({ steps }) => ({ steps: steps.slice(0, 1), lapics: [] }), '1 steps ran', 1],
    ['too many steps', ({ steps }) => ({ steps: [...steps, steps[0]!] }), '3 steps ran', null],
    ['an exit behind the last step', () => ({ stopped: 'gone', lapics: [] }), '2 steps ran, then: gone', null],
  ])('should show %s, and no LAPICs', (_, change, observed, step) => {
    expect(collect([ipi(0x20, 0), bad], change)).toEqual({
      differences: [{ step, vcpu: null, what: 'stopped', expected: 'all 2 steps run', observed }],
      blames: [{ step, kind: 'stopped' }],
    });
  });
});

/** Two vCPUs of VP indexes 0 and 1. */
function collect(steps: readonly Step[], change: Change, options: { exact: boolean } = { exact: false }) {
  const vcpus: Partial<VcpuSetup>[] = [{ vpIndex: 0 }, { vpIndex: 1 }];
  const program = encodeCase(makeCase(vcpus, steps));
  const outcome = predict(program, facts);
  const seen = observationOf(outcome, options);
  const { differences, blames } = collectDifferences(program, outcome, { ...seen, ...change(seen) });
  return { differences, blames };
}
