import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCase } from '../../../src/case/encode.ts';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { type Observation, registerNames } from '../../../src/case/observation.ts';
import { decodeBatch, decodeObservations, encodeBatch, encodeObservations } from '../../../src/case/wire.ts';

const example = makeCase(
  [{ vpIndex: 0 }, { vpIndex: 65, apic: 'xapic', eoi: 'apic', idle: 'halted' }],
  [
    makeStep({ do: 'send-ipi-ex', targets: [65], vector: 0x33 }),
    makeStep({ do: 'run' }),
    makeStep({ do: 'send-ipi', sender: 1, fast: true, targets: [0] }),
  ],
);

const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const lapic = fc
  .dictionary(fc.integer({ min: 0, max: 255 }).map(String), fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxKeys: 20 })
  .map((words) => new Map(Object.entries(words).map(([word, value]) => [4 * Number(word), value])));
const vectors = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 6 });
const stepObservation = fc.record({
  result: fc.option(u64),
  exception: fc.option(fc.record({ vector: fc.integer({ min: 0, max: 31 }), ripOffset: fc.integer() })),
  registers: fc.array(fc.record({ register: fc.constantFrom(...registerNames), before: u64, after: u64 }), {
    maxLength: 4,
  }),
  arrivals: fc.tuple(vectors, vectors),
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

  it('should refuse bytes that end early', () => {
    const bytes = encodeBatch([encodeCase(example)], { exact: false });

    expect(() => decodeBatch(bytes.subarray(0, bytes.length - 1))).toThrow(RangeError);
  });
});

describe('decodeObservations', () => {
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
