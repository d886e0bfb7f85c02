import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { APIC_IRR, APIC_SPIV, APIC_TMR } from '../../../src/abi/lapic.ts';
import { type CallStep, makeCase, makeStep, type Step, type VcpuSetup } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import type { Observation } from '../../../src/program/observation.ts';
import type { Program } from '../../../src/program/program.ts';
import { observationOf } from '../../../src/model/model-executor.ts';
import { predict } from '../../../oracle/model.ts';
import { isSameMemory, judge } from '../../../oracle/compare/verdict.ts';
import { perturbations, type Perturbation, type Place } from './perturb.ts';
import { anyProgram, facts, registerSoup } from '../programs.ts';

const place = fc.record({ step: fc.nat(63), vcpu: fc.nat(7), bit: fc.nat(63) });
const program = fc.oneof(anyProgram, registerSoup);
const ipi = (vector: number, targets: number[]) => makeStep({ do: 'send-ipi', vector, targets });
const run = makeStep({ do: 'run' });
const bad = makeStep({ do: 'send-ipi', vector: 0x0f, targets: [0] });

describe('judge', () => {
  it('should match what the model itself would have seen', () => {
    const property = fc.property(program, fc.boolean(), (value, exact) => {
      const outcome = predict(value, facts);
      expect(judge(value, outcome, copyOf(observationOf(outcome, { exact })))).toEqual({ kind: 'match' });
    });
    fc.assert(property, { seed: 7, numRuns: 200 });
  });

  it.each(Object.keys(perturbations))('should not overlook a change: %s', (name) => {
    let judged = 0;
    for (const { value, exact, at } of samples()) {
      const outcome = predict(value, facts);
      const perturbed = perturbAnywhere(perturbations[name]!, observationOf(outcome, { exact }), at);
      if (perturbed === null) continue;
      const verdict = judge(value, outcome, perturbed);
      expect(verdict.kind).toBe('divergence');
      if (verdict.kind === 'divergence') expect(verdict.differences.length).toBeGreaterThan(0);
      judged++;
    }
    expect(judged).toBeGreaterThanOrEqual(60);
  });

  it.each([
    ['set-apic', makeStep({ do: 'set-apic', apic: 'software-disabled' })],
    ['init', makeStep({ do: 'init' })],
  ])('should notice that %s did not disable the APIC', (_, step) => {
    const { value, outcome, seen } = seenBy([{ vpIndex: 0 }], [step]);
    const without = [...outcome.steps[0]!.lapics[0]!].filter(([offset]) => offset !== APIC_SPIV);
    expect(judge(value, outcome, withLapic(seen, 0, without)).kind).toBe('divergence');
  });

  it('should look at each list of a single vCPU', () => {
    const { value, outcome, seen } = seenBy([{ vpIndex: 0 }], [ipi(0xfe, [0]), run]);
    const kindOf = (change: Partial<Observation>) => judge(value, outcome, { ...seen, ...change }).kind;
    const words = [...outcome.steps[1]!.lapics[0]!];
    const arrivals = (...vectors: number[]) => seen.steps.with(1, { ...seen.steps[1]!, arrivals: [vectors] });
    expect(kindOf({})).toBe('match');
    expect(kindOf({ vpIndexes: [1] })).toBe('divergence');
    expect(kindOf({ steps: arrivals(0x41) })).toBe('divergence');
    expect(kindOf({ steps: arrivals() })).toBe('divergence');
    expect(kindOf({ steps: arrivals(0xfe, 0x41) })).toBe('divergence');
    expect(kindOf({ lapics: [new Map([...words, [APIC_SPIV, 0xff]])] })).toBe('divergence');
  });

  it('should look at every register', () => {
    const call = makeStep({ do: 'send-ipi', mode: 'compat', opcode: 'other', repStart: 1 });
    const { value, outcome, seen } = seenBy([{ vpIndex: 0 }], [call]);
    const { registers } = seen.steps[0]!;
    expect(registers.map(({ register }) => register)).toEqual(['rdx', 'code']);
    for (const [at, changed] of registers.entries()) {
      const step = { ...seen.steps[0]!, registers: registers.with(at, { ...changed, after: 5n }) };
      expect(judge(value, outcome, { ...seen, steps: [step] })).toMatchObject({
        signature: 'rep-on-simple-call/register',
        differences: [{ what: `register ${changed.register}` }],
      });
    }
  });

  it('should look at a list in which nothing is as predicted', () => {
    const delivery = seenBy([{ vpIndex: 0 }], [ipi(0xfe, [0])]);
    expect(judge(delivery.value, delivery.outcome, { ...delivery.seen, vpIndexes: [1] }).kind).toBe('divergence');
    const { value, outcome, seen } = seenBy([{ vpIndex: 0, irr: [0x20] }], [run]);
    const steps = [{ ...seen.steps[0]!, arrivals: [[0x41]] }];
    expect(judge(value, outcome, { ...seen, steps }).kind).toBe('divergence');
  });

  it('should not take a word that is given with its set-up value for a change', () => {
    const { value, outcome, seen } = seenBy([{ vpIndex: 0 }], [ipi(0xfe, [])]);
    expect(judge(value, outcome, withLapic(seen, 0, [[APIC_IRR, 0], [APIC_TMR, 0xffff_ffff]]))).toEqual({ kind: 'match' }); // prettier-ignore
  });

  it('should name status codes and show the whole register', () => {
    const { value, outcome, seen } = seenBy([{ vpIndex: 0 }], [bad]);
    const verdict = judge(value, outcome, withResult(seen, 0, 5n));
    expect(verdict).toEqual({
      kind: 'divergence',
      signature: 'bad-vector/result',
      differences: [
        {
          step: 0,
          vcpu: 0,
          what: 'result',
          expected: 'HV_STATUS_INVALID_HYPERCALL_INPUT (3)',
          observed: 'HV_STATUS_INVALID_PARAMETER (5)',
        },
      ],
    });
    expect(judge(value, outcome, withResult(seen, 0, 0x1_0000_0003n))).toMatchObject({
      differences: [{ observed: '0x0000000100000003: HV_STATUS_INVALID_HYPERCALL_INPUT (3) and more bits' }],
    });
  });

  it('should show a lost interrupt as vectors', () => {
    const { value, outcome, seen } = seenBy([{ vpIndex: 0 }, { vpIndex: 1 }], [ipi(0x20, [1]), ipi(0xfe, [1])]);
    const lost = withLapic(seen, 1, [[APIC_IRR + 0x10, 1], [APIC_TMR + 0x10, 0xffff_fffe]]); // prettier-ignore
    expect(judge(value, outcome, lost)).toEqual({
      kind: 'divergence',
      signature: 'deliver/missing-interrupt',
      differences: [
        { step: null, vcpu: 1, what: 'IRR', expected: '0xfe, 0x20 pending', observed: '0x20 pending' },
        { step: null, vcpu: 1, what: 'TMR', expected: '0xfe, 0x20 cleared', observed: '0x20 cleared' },
      ],
    });
  });

  it('should report a lost interrupt once when LAPICs were read after every step', () => {
    const { value, outcome } = seenBy([{ vpIndex: 0 }], [ipi(0xfe, [0]), ipi(0x20, []), bad]);
    const nothing = predict(encodeCase(makeCase([{ vpIndex: 0 }], [ipi(0xfe, []), ipi(0x20, []), bad])), facts);
    const verdict = judge(value, outcome, observationOf(nothing, { exact: true }));
    expect(verdict).toMatchObject({ signature: 'deliver/missing-interrupt' });
    expect(verdict).toHaveProperty('differences.length', 2);
    expect(verdict).toHaveProperty('differences.0.step', 0);
  });

  it('should demand that an exception is raised at the call', () => {
    const { value, outcome, seen } = seenBy([{ vpIndex: 0 }], [bad]);
    const steps = [{ ...seen.steps[0]!, result: null, exception: { vector: 6, ripOffset: 3 } }];
    expect(judge(value, outcome, { ...seen, steps })).toMatchObject({
      signature: 'bad-vector/exception',
      differences: [{ expected: 'none', observed: '#UD (vector 6) at the call + 3 bytes' }, { what: 'result' }],
    });
  });

  it('should blame the rule of the step that did not run any more', () => {
    const { value, outcome, seen } = seenBy([{ vpIndex: 0 }], [ipi(0xfe, [0]), bad]);
    const stopped = { ...seen, steps: seen.steps.slice(0, 1), lapics: [], stopped: 'KVM_EXIT_SHUTDOWN' };
    expect(judge(value, outcome, stopped)).toEqual({
      kind: 'divergence',
      signature: 'bad-vector/stopped',
      differences: [
        { step: 1, vcpu: null, what: 'stopped', expected: 'all 2 steps run', observed: '1 steps ran, then: KVM_EXIT_SHUTDOWN' }, // prettier-ignore
      ],
    });
  });
});

describe('isSameMemory', () => {
  const word = (gpa: bigint, after: number) => ({ gpa, before: Buffer.of(0), after: Buffer.of(after) });
  const two = [word(0xe0000n, 1), word(0xe0008n, 2)];

  it('should compare what words have become, each at its place', () => {
    expect(isSameMemory([], [])).toBe(true);
    expect(isSameMemory(two, [word(0xe0000n, 1), word(0xe0008n, 2)])).toBe(true);
    expect(isSameMemory(two, [word(0xe0000n, 1), word(0xe0008n, 3)])).toBe(false);
    expect(isSameMemory(two, [word(0xe0000n, 1), word(0xe0010n, 2)])).toBe(false);
    expect(isSameMemory(two, two.slice(1))).toBe(false);
    expect(isSameMemory([], two)).toBe(false);
  });
});

/** Each row: what the program does, and what a KVM does instead; the signature in both ways of looking. */
describe('judge, signature', () => {
  const two = [{ vpIndex: 0 }, { vpIndex: 1 }];
  const all = makeStep({ do: 'send-ipi-ex', format: 1n });
  const ex = (targets: number[]) => makeStep({ do: 'send-ipi-ex', targets });
  const rows: [string, Step[], Step[], string][] = [
    ['a receiver too few', [ipi(0x20, [0]), all], [ipi(0x20, [0]), ipi(0xfe, [0])], 'deliver-to-all/missing-interrupt'],
    ['a receiver too many', [bad, ex([0]), bad], [bad, all, bad], 'deliver/extra-interrupt'],
    ['one too few before a run', [all, run], [ex([0]), run], 'deliver-to-all/missing-interrupt'],
    [
      'one too many before a run',
      [ex([]), ipi(0x20, [0]), run],
      [all, ipi(0x20, [0]), run],
      'empty-sparse-set/extra-interrupt',
    ],
    [
      'one too few after a run',
      [ipi(0xfe, [1]), run, all],
      [ipi(0xfe, [1]), run, ex([0])],
      'deliver-to-all/missing-interrupt',
    ],
    ['a vector lost twice', [all, ipi(0xfe, [1])], [ex([0]), ipi(0xfe, [])], 'deliver-to-all/missing-interrupt'],
  ];

  it.each(rows)('should say who is to blame for %s', (_, steps, actual, signature) => {
    for (const exact of [true, false]) {
      const value = encodeCase(makeCase(two, steps));
      const outcome = predict(value, facts);
      const seen = observationOf(predict(encodeCase(makeCase(two, actual)), facts), { exact });
      const sameResults = seen.steps.map((step, index) => ({ ...step, result: outcome.steps[index]!.result }));
      expect(judge(value, outcome, { ...seen, steps: sameResults })).toMatchObject({ signature });
    }
  });

  it('should blame the run step when a vector stays pending', () => {
    const { value, outcome, seen } = seenBy([{ vpIndex: 0 }], [ipi(0xfe, [0]), run]);
    const notTaken = predict(encodeCase(makeCase([{ vpIndex: 0 }], [ipi(0xfe, [0]), ipi(0xfe, [])])), facts);
    const stuck = { ...seen, steps: seen.steps.map((step) => ({ ...step, arrivals: [[]] })) };
    expect(judge(value, outcome, { ...stuck, lapics: notTaken.steps[1]!.lapics })).toMatchObject({
      signature: 'run/missing-interrupt',
    });
  });

  it('should name the earliest step, also where a later one was looked at first', () => {
    const { value, outcome, seen } = seenBy([{ vpIndex: 0 }], [ipi(0xfe, [0]), bad]);
    const memory = [{ gpa: 0xe0000n, before: Buffer.of(0), after: Buffer.of(1) }];
    const wrongResult = withResult(seen, 1, 5n);
    expect(judge(value, outcome, withLapic(wrongResult, 0, []))).toMatchObject({
      signature: 'deliver/missing-interrupt',
    });
    expect(judge(value, outcome, { ...wrongResult, memory })).toMatchObject({ signature: 'bad-vector/result' });
    expect(judge(value, outcome, { ...wrongResult, memory, vpIndexes: [1] })).toMatchObject({
      signature: 'machine/vp-index',
    });
  });

  it('should name an exit before the result that comes of it', () => {
    const { value, outcome, seen } = seenBy([{ vpIndex: 0 }], [bad]);
    const steps = [{ ...seen.steps[0]!, result: 0x5an, exit: 'hyperv' as const }];
    expect(judge(value, outcome, { ...seen, steps })).toMatchObject({ signature: 'bad-vector/exit' });
  });

  it('should put the set-up before the steps and memory after them', () => {
    const { value, outcome, seen } = seenBy([{ vpIndex: 0 }], [bad]);
    const memory = [{ gpa: 0xe0000n, before: Buffer.of(0), after: Buffer.of(1) }];
    const wrongResult = withResult(seen, 0, 0n);
    expect(judge(value, outcome, { ...seen, memory })).toMatchObject({ signature: 'program/memory' });
    expect(judge(value, outcome, { ...wrongResult, memory })).toMatchObject({ signature: 'bad-vector/result' });
    expect(judge(value, outcome, { ...wrongResult, vpIndexes: [1] })).toMatchObject({ signature: 'machine/vp-index' });
  });
});

function seenBy(
  vcpus: ({ vpIndex: number } & Partial<VcpuSetup>)[],
  steps: Step[],
): { value: Program; outcome: ReturnType<typeof predict>; seen: Observation } {
  const value = encodeCase(makeCase(vcpus, steps));
  const outcome = predict(value, facts);
  return { value, outcome, seen: observationOf(outcome, { exact: false }) };
}

function withResult(observation: Observation, step: number, result: bigint): Observation {
  return { ...observation, steps: observation.steps.with(step, { ...observation.steps[step]!, result }) };
}

function withLapic(observation: Observation, vcpu: number, words: [number, number][]): Observation {
  return { ...observation, lapics: observation.lapics.with(vcpu, new Map(words)) };
}

interface Sample {
  readonly value: Program;
  readonly exact: boolean;
  readonly at: Place;
}

let drawn: readonly Sample[] | null = null;

/** A program in which everything happens: an exit, a fault, register and memory changes, deliveries, handlers in order. */
const page = 0xe4000n;
const through = (vector: number, fields: Partial<CallStep> = {}) =>
  makeStep({ do: 'send-ipi', page, vector, targets: [0, 1], ...fields });
const busy = encodeCase(
  makeCase(
    [{ vpIndex: 0 }, { vpIndex: 1 }],
    [
      makeStep({ do: 'write-msr', msr: 'hypercall', value: page | 1n }),
      ipi(0xfe, [0]),
      through(0x20, { mode: 'compat' }),
      through(0x41, { cpl: 3 }),
      through(0x41),
      through(0x30),
      run,
      through(0x30),
    ],
    { xen: true },
  ),
);

/** Programs, and a place for something else; drawn once. */
function samples(): readonly Sample[] {
  const value = fc.oneof(program, fc.constant(busy));
  drawn ??= fc.sample(fc.record({ value, exact: fc.boolean(), at: place }), { seed: 7, numRuns: 240 });
  return drawn;
}

/** The change at that place, or at the next one that has something of its kind. */
function perturbAnywhere(perturb: Perturbation, seen: Observation, at: Place): Observation | null {
  for (const step of seen.steps.keys()) {
    for (const vcpu of seen.vpIndexes.keys()) {
      const perturbed = perturb(seen, { step: at.step + step, vcpu: at.vcpu + vcpu, bit: at.bit });
      if (perturbed !== null) return perturbed;
    }
  }
  return null;
}

/** Nothing of the outcome is shared, so that only contents can be compared. */
function copyOf(observation: Observation): Observation {
  const { memory, ...rest } = observation;
  const copies = memory.map(({ gpa, before, after }) => ({
    gpa,
    before: Buffer.from(before),
    after: Buffer.from(after),
  }));
  return { ...structuredClone(rest), memory: copies };
}
