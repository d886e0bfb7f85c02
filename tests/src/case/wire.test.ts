import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { caseArbitrary } from '../../../generators/case.ts';
import { platformPlan } from '../../../generators/machine/platform.ts';
import { usualSwarm } from '../../../generators/swarm.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { makeCase, makeStep, makeVcpu } from '../../../src/case/case.ts';
import { repeatVcpu } from '../../../src/case/like-vcpus.ts';
import { callModes, opcodes } from '../../../src/case/limits.ts';
import { callExits, type Observation, registerNames, waits } from '../../../src/program/observation.ts';
import { decodeBatch, decodeObservations, encodeBatch, encodeObservations } from '../../../src/case/wire.ts';

const example = makeCase(
  [{ vpIndex: 0 }, { vpIndex: 65, apic: 'xapic', eoi: 'apic', idle: 'halted' }],
  [
    makeStep({ do: 'send-ipi-ex', targets: [65], vector: 0x33 }),
    makeStep({ do: 'run' }),
    makeStep({ do: 'send-ipi', sender: 1, fast: true, targets: [0] }),
  ],
);

/** A case with each field of a machine, a vCPU and an entry away from its default, and each kind of step. */
const everything = makeCase(
  [
    { vpIndex: 2 ** 32 - 1, vcpuId: 254, lacks: ['ex-masks'], enforced: true, tpr: 15, irr: [16, 255], isr: [17] },
    { vpIndex: 9, eoi: 'assist', autoEoi: [16, 64, 255], logsPpr: true },
    { vpIndex: 1, vcpuId: 0, lacks: ['hyperv', 'cluster-ipi', 'ex-masks', 'xmm-input'], idle: 'init-received' },
    { vpIndex: 2, irr: Array.from({ length: 240 }, (_, place) => 16 + place), idle: 'uninitialized' },
  ],
  [
    makeStep({ do: 'write-msr', vcpu: 2, msr: 'vp-index', value: 0xffff_ffff_ffff_ffffn }),
    makeStep({ do: 'write-msr', msr: 'guest-os-id', value: 1n }),
    makeStep({ do: 'send-ipi', mode: 'unpaged32', cpl: 3, page: 0xff000n, targets: [1] }),
    makeStep({ do: 'send-ipi-ex', opcode: 'other', fast: true, rax: 11n }),
    makeStep({ do: 'set-apic', vcpu: 1, apic: 'hardware-disabled' }),
    makeStep({ do: 'run' }),
    makeStep({ do: 'init', vcpu: 1 }),
    makeStep({ do: 'act', vcpu: 1, act: 'set-tpr', by: 'cr8', tpr: 9, open: true }),
    makeStep({ do: 'act', act: 'wait', at: 'hlt' }),
  ],
  { irqchip: 'split', xen: true, guestOsId: 0xfedc_ba98_7654_3210n },
);

/** Machines of many vCPUs, all alike, all different, and with ids. */
const large = [
  makeCase(repeatVcpu(makeVcpu({}), 1024), [
    makeStep({ do: 'send-ipi', sender: 1023 }),
    makeStep({ do: 'init', vcpu: 1023 }),
    makeStep({ do: 'act', vcpu: 700 }),
    makeStep({ do: 'set-apic', vcpu: 256, apic: 'enabled' }),
    makeStep({ do: 'write-msr', vcpu: 257, msr: 'vp-index', value: 0n }),
  ]),
  makeCase(repeatVcpu(makeVcpu({ vcpuId: 3000, vpIndex: 7 }), 300), [makeStep({ do: 'run' })]),
  makeCase(
    repeatVcpu(makeVcpu({}), 300).map((vcpu, position) => ({ ...vcpu, tpr: position % 3 })),
    [makeStep({ do: 'run' })],
  ),
];

const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const lapic = fc
  .dictionary(fc.integer({ min: 0, max: 255 }).map(String), fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxKeys: 20 })
  .map((words) => new Map(Object.entries(words).map(([word, value]) => [4 * Number(word), value])));
const vectors = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 6 });
const state = fc.record({
  mpState: fc.nat(4),
  registers: fc.array(u64, { minLength: 18, maxLength: 18 }),
  lapic,
});
const stepObservation = fc.record({
  result: fc.option(u64),
  exception: fc.option(fc.record({ vector: fc.integer({ min: 0, max: 31 }), ripOffset: fc.integer() })),
  exit: fc.option(fc.constantFrom(...callExits)),
  registers: fc.array(fc.record({ register: fc.constantFrom(...registerNames), before: u64, after: u64 }), {
    maxLength: 4,
  }),
  arrivals: fc.tuple(vectors, vectors),
  priorities: fc.tuple(vectors, vectors),
  leftovers: fc.array(fc.record({ vcpu: fc.nat(1), wait: fc.constantFrom(...waits), states: fc.tuple(state, state) }), {
    maxLength: 2,
  }),
  lapics: fc.option(fc.tuple(lapic, lapic)),
});
const word = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes));
const observation: fc.Arbitrary<Observation> = fc.record({
  vpIndexes: fc.tuple(fc.integer({ min: 0, max: 4095 }), fc.integer({ min: 0, max: 4095 })),
  steps: fc.array(stepObservation, { maxLength: 5 }),
  lapics: fc.tuple(lapic, lapic),
  memory: fc.array(fc.record({ gpa: u64, before: word, after: word }), { maxLength: 3 }),
  stopped: fc.option(fc.string({ minLength: 1 })),
});

describe('decodeBatch', () => {
  it('should give back what encodeBatch was given', () => {
    const program = encodeCase(example);

    const batch = decodeBatch(encodeBatch([program, program], { exact: true }));

    expect(batch).toEqual({ programs: [program, program], exact: true });
  });

  it('should give back machines, vCPUs, entries and steps of every kind', () => {
    const program = encodeCase(everything);
    expect(new Set(program.steps.map(({ kind }) => kind))).toEqual(
      new Set(['call', 'run', 'write-msr', 'set-apic', 'init', 'act']),
    );

    expect(decodeBatch(encodeBatch([program], { exact: false }))).toEqual({ programs: [program], exact: false });
  });

  it('should give back machines of many vCPUs, like ones in a few bytes', () => {
    const programs = large.map(encodeCase);
    expect(decodeBatch(encodeBatch(programs, { exact: false })).programs).toEqual(programs);
    expect(encodeBatch([programs[1]!], { exact: false }).length).toBeLessThan(100);
  });

  it('should give back every entry', () => {
    for (const mode of callModes) {
      for (const [index, opcode] of opcodes.entries()) {
        for (const cpl of [0, 1, 2, 3]) {
          const page = index === 0 && cpl === 2 ? 0xffff_ffff_ffff_f000n : null;
          const value = makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi', mode, opcode, cpl, page })]);
          const program = encodeCase(value);
          expect(decodeBatch(encodeBatch([program], { exact: true })).programs).toEqual([program]);
        }
      }
    }
  });

  it('should give back every generated program', () => {
    const platforms = [null, ...fc.sample(platformPlan, { seed: 42, numRuns: 20 })];
    const cases = platforms.map((platform) =>
      caseArbitrary({ ...usualSwarm, entryPercent: 50, changePercent: 30, noGuestOsIdPercent: 30, platform }),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(...cases), { maxLength: 3 }), fc.boolean(), (values, exact) => {
        const programs = values.map(encodeCase);
        expect(decodeBatch(encodeBatch(programs, { exact }))).toEqual({ programs, exact });
      }),
      { seed: 42, numRuns: 100 },
    );
  });

  it('should refuse bytes that end early', () => {
    const bytes = encodeBatch([encodeCase(example)], { exact: false });

    expect(() => decodeBatch(bytes.subarray(0, bytes.length - 1))).toThrow(RangeError);
  });
});

describe('decodeObservations', () => {
  it('should give back what was seen of many vCPUs', () => {
    const program = encodeCase(large[0]!);
    const many = <T>(value: T): T[] => Array<T>(1024).fill(value);
    const step = { result: 0n, exception: null, exit: null, registers: [], leftovers: [], lapics: many(new Map()) };
    const lapics = many(new Map([[0x200, 1]]));
    const seen: Observation = {
      vpIndexes: many(0).map((_, index) => index),
      steps: [{ ...step, arrivals: many([0x40]), priorities: many([]) }],
      lapics,
      memory: [],
      stopped: null,
    };
    expect(decodeObservations(encodeObservations([seen]), [program])).toEqual([seen]);
  });

  it('should give back what encodeObservations was given', () => {
    const program = encodeCase(example);
    fc.assert(
      fc.property(fc.array(observation, { maxLength: 3 }), (observations) => {
        const decoded = decodeObservations(
          encodeObservations(observations),
          observations.map(() => program),
        );
        expect(decoded).toEqual(observations);
      }),
      { seed: 42, numRuns: 200 },
    );
  });
});
