import { describe, expect, it } from 'vitest';
import { predict } from '../../oracle/model.ts';
import { settle } from '../../oracle/receivers/settle.ts';
import { judge } from '../../oracle/compare/verdict.ts';
import { APIC_IRR, vectorBit } from '../../src/abi/lapic.ts';
import { type Case, makeCase, makeStep, type Step, type VcpuSetup } from '../../src/case/case.ts';
import { encodeCase } from '../../src/program/encode.ts';
import type { Leftover, Observation } from '../../src/program/observation.ts';
import { observationOf } from '../../src/model/model-executor.ts';
import { facts } from './programs.ts';

const run = makeStep({ do: 'run' });
const send = (vector: number, targets: number[], sender = 0) =>
  makeStep({ do: 'send-ipi', fast: true, vector, targets, sender });
const move = (vcpu: number, value: bigint) => makeStep({ do: 'write-msr', msr: 'vp-index', vcpu, value });

function concurrent(vcpus: readonly Partial<VcpuSetup>[], steps: readonly Step[]): Case {
  return makeCase(
    vcpus.map((vcpu, position) => ({ vpIndex: position, ...vcpu })),
    [...steps, run],
    { schedule: 1 },
  );
}

/** The signature that a case gets when its last fence shows these handlers (and leftovers); "match" for none. */
function verdictOf(
  value: Case,
  arrivals: readonly (readonly number[])[],
  leftovers: readonly Leftover[] = [],
  change: (observation: Observation) => Observation = (observation) => observation,
): string {
  const program = encodeCase(value);
  const outcome = predict(program, facts);
  const { steps, ...rest } = observationOf(outcome, { exact: true });
  const observation = change({
    ...rest,
    steps: steps.map((step, index) => (index === steps.length - 1 ? { ...step, arrivals, leftovers } : step)),
  });
  const verdict = judge(program, settle(outcome, observation), observation);
  return verdict.kind === 'match' ? 'match' : verdict.signature;
}

const halted = { idle: 'halted' } as const;
const spinning = { idle: 'spinning' } as const;

describe('a concurrent program', () => {
  const two = concurrent([{}, {}, halted], [send(0x40, [2]), send(0x40, [2], 1), send(0x31, [2])]);

  it.each<[string, number[]]>([
    ['each once', [0x40, 0x31]],
    ['as often as sent', [0x40, 0x31, 0x40]],
    ['any order', [0x31, 0x40, 0x40]],
  ])('should permit %s at a receiver that runs', (_, arrivals) => {
    expect(verdictOf(two, [[], [], arrivals])).toBe('match');
  });

  it.each<[string, number[], string]>([
    ['one that does not arrive', [0x40], 'deliver/missing-interrupt'],
    ['one more than was sent', [0x40, 0x40, 0x40, 0x31], 'run/extra-interrupt'],
    ['what nobody sent', [0x40, 0x31, 0x50], 'deliver/extra-interrupt'],
  ])('should refuse %s', (_, arrivals, signature) => {
    expect(verdictOf(two, [[], [], arrivals])).toBe(signature);
  });

  it('should let a parked receiver take each vector once, the highest first', () => {
    const value = concurrent([{}, {}, {}], [send(0x40, [2]), send(0x40, [2], 1), send(0x31, [2])]);
    expect(verdictOf(value, [[], [], [0x40, 0x31]])).toBe('match');
    expect(verdictOf(value, [[], [], [0x31, 0x40]])).toBe('run/order');
    expect(verdictOf(value, [[], [], [0x40, 0x40, 0x31]])).toMatch(/extra-interrupt/);
  });

  it('should let nobody take what TPR blocks', () => {
    const value = concurrent([{}, { ...spinning, tpr: 4 }], [send(0x4f, [1]), send(0x50, [1])]);
    expect(verdictOf(value, [[], [0x50]])).toBe('match');
    expect(verdictOf(value, [[], [0x50, 0x4f]])).toMatch(/extra-interrupt/);
  });

  it('should know nothing after the fence: a later phase begins at zero', () => {
    const value = concurrent([{}, halted], [send(0x40, [1]), run]);
    expect(verdictOf(value, [[], []])).toBe('match');
    expect(verdictOf(value, [[], [0x40]])).toMatch(/extra-interrupt/);
  });
});

describe('a VP index that changes meanwhile', () => {
  // Vector 0x31 is for VP 1, which vCPU 1 has before the write, 0x32 for VP 5, which it has after it.
  const moving = concurrent([{}, {}], [send(0x31, [1]), move(1, 5n), send(0x32, [5])]);
  const accepted =
    (...vectors: number[]) =>
    (observation: Observation): Observation => {
      const lapic = new Map<number, number>();
      for (const vector of vectors) {
        const { offset, mask } = vectorBit(0x180, vector);
        lapic.set(offset, ((lapic.get(offset) ?? 0xffff_ffff) & ~mask) >>> 0);
      }
      return { ...observation, lapics: [new Map(), lapic] };
    };

  it.each<[string, number[]]>([
    ['neither', []],
    ['the old one', [0x31]],
    ['the new one', [0x32]],
    ['both', [0x32, 0x31]],
  ])('should permit that calls find %s', (_, arrivals) => {
    expect(verdictOf(moving, [[], arrivals], [], accepted(...arrivals))).toBe('match');
  });

  it.each([[[]], [[0x31]]])('should not know whether what was pending anyway was sent again: TMR %j', (edges) => {
    const value = concurrent([{}, { irr: [0x31] }], [send(0x31, [1]), move(1, 5n)]);
    expect(verdictOf(value, [[], [0x31]], [], accepted(...edges))).toBe('match');
    expect(verdictOf(value, [[], []], [], accepted(...edges))).not.toBe('match');
  });

  it('should keep what was accepted apart from what arrives in a later phase', () => {
    const value = concurrent([{}, { tpr: 3 }], [send(0x31, [1]), move(1, 5n), run, send(0x42, [5])]);
    const { offset, mask } = vectorBit(APIC_IRR, 0x31);
    const withBlocked = (observation: Observation): Observation => {
      const { lapics } = accepted(0x31, 0x42)(observation);
      const lapic = new Map([...lapics[1]!, [offset, mask], [0x80, 0x30], [0xa0, 0x30]] as const);
      return { ...observation, lapics: [new Map(), lapic] };
    };
    expect(verdictOf(value, [[], [0x42]], [], withBlocked)).toBe('match');
  });

  it('should not permit a vector that was accepted and did not arrive', () => {
    expect(verdictOf(moving, [[], []], [], accepted(0x31))).not.toBe('match');
  });
});

describe('what a fence found left', () => {
  const value = (idle: VcpuSetup['idle'], tpr = 0) => concurrent([{}, { idle, tpr }], [send(0x40, [1])]);
  const left = (wait: Leftover['wait'], ...words: [number, number][]): Leftover[] => {
    const registers = Array.from({ length: 18 }, () => 0n);
    const { offset, mask } = vectorBit(APIC_IRR, 0x40);
    const lapic = new Map([[offset, mask], ...words]);
    return [{ vcpu: 1, wait, states: [new Map(), lapic].map((one) => ({ mpState: 0, registers, lapic: one })) }];
  };

  it('should be a lost wake-up at a vCPU that sleeps', () => {
    expect(verdictOf(value('halted'), [[], [0x40]], left('asleep'))).toBe('run/lost-wake-up');
  });

  it('should be a lost kick at a vCPU that spins', () => {
    expect(verdictOf(value('spinning'), [[], [0x40]], left('spinning'))).toBe('run/lost-kick');
  });

  it('should be nothing where TPR blocks it', () => {
    const blocked = (observation: Observation): Observation => observation;
    expect(verdictOf(value('spinning', 4), [[], []], left('spinning', [0x80, 0x40]), blocked)).toBe('match');
  });

  it('should say so when a vCPU did not come to the fence', () => {
    expect(verdictOf(value('spinning'), [[], [0x40]], left('stuck'))).toBe('run/stuck');
  });
});
