import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawBatch } from '../../../generators/batch.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { type Case, CaseError, formatCase, makeCase, makeStep, makeVcpu, parseCase } from '../../../src/case/case.ts';
import { repeatVcpu } from '../../../src/case/vcpus/like-vcpus.ts';
import { reduce } from '../../../src/simplify/reduce.ts';
import { passes } from '../../../src/simplify/passes.ts';
import { isLighter, weigh } from '../../../src/simplify/weight.ts';
import { between, sublists } from '../../../src/simplify/edits.ts';
import { isWellFormed } from '../../../src/case/checks.ts';
import { isCall } from '../../../src/case/steps/kinds.ts';

const plenty = { attemptsMax: 100_000 };
const samples = [0, 1, 2].flatMap((batch) => drawBatch('reduce', batch, 8).cases);
/** Predicates that a kernel's bug could be. */
const predicates: Record<string, (value: Case) => boolean> = {
  anything: () => true,
  'a call that names VP 1 or more': ({ steps }) =>
    steps.some((step) => isCall(step) && step.targets.some((vp) => vp > 0)),
  'two vCPUs and a fast call': ({ machine, steps }) =>
    machine.vcpus.length > 1 && steps.some((step) => isCall(step) && step.fast),
  'an odd control word': (value) =>
    encodeCase(value).steps.some((step) => step.kind === 'call' && step.registers.readBigUInt64LE(0) >> 17n !== 0n),
};

/** Whether a call names a VP of at least that index that a vCPU has. */
function namesVpThatIs({ machine, steps }: Case, least: number): boolean {
  const has = new Set(machine.vcpus.map(({ vpIndex }) => vpIndex));
  return steps.some((step) => isCall(step) && step.targets.some((vp) => vp >= least && has.has(vp)));
}

describe('reduce', () => {
  it.each(Object.entries(predicates))(
    'should keep the problem, never grow the case, and be idempotent: %s',
    async (_, holds) => {
      for (const start of samples.filter(holds)) {
        const once = await reduce(start, (value) => Promise.resolve(holds(value)), plenty);
        expect(holds(once.value)).toBe(true);
        expect(once.complete).toBe(true);
        expect(isLighter(weigh(start), weigh(once.value))).toBe(false);
        const twice = await reduce(once.value, (value) => Promise.resolve(holds(value)), plenty);
        expect(formatCase(twice.value)).toBe(formatCase(once.value));
      }
    },
  );

  it('should give the same case and the same attempts each time', async () => {
    const asked: string[][] = [[], []];
    for (const list of asked) {
      await reduce(samples[3]!, (value) => Promise.resolve(list.push(formatCase(value)) % 3 === 0), plenty);
    }
    expect(asked[1]).toEqual(asked[0]);
    expect(new Set(asked[0]).size).toBe(asked[0]!.length);
  });

  it('should reduce anything at all to the simplest case', async () => {
    const { value } = await reduce(samples[5]!, () => Promise.resolve(true), plenty);
    const simplest = makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi' })]);
    expect(formatCase(value)).toBe(formatCase(simplest));
  });

  it.each([
    ['a call to VP 700', (value: Case) => namesVpThatIs(value, 700), 2],
    ['a vCPU with VP 64 or more that gets something', (value: Case) => namesVpThatIs(value, 64), 2],
    ['more vCPUs than a bank has bits, whoever gets something', ({ machine }: Case) => machine.vcpus.length > 64, 65],
  ])('should come from 1,024 vCPUs to few in a few dozen attempts: %s', async (_, holds, count) => {
    const many = repeatVcpu(makeVcpu({}), 1024);
    const call = makeStep({ do: 'send-ipi-ex', sender: 3, targets: many.map(({ vpIndex }) => vpIndex) });
    const start = makeCase(many, [call, makeStep({ do: 'run' }), call]);
    const machines: number[] = [];
    const { value, complete } = await reduce(
      start,
      (candidate) => {
        machines.push(candidate.machine.vcpus.length);
        return Promise.resolve(holds(candidate));
      },
      { attemptsMax: 2000 },
    );
    expect(complete).toBe(true);
    expect(value.machine.vcpus.length).toBeLessThanOrEqual(count);
    expect(machines.filter((vcpus) => vcpus > 128).length).toBeLessThan(30);
  });

  it('should come from a full bank and odd vCPUs to one VP in few attempts that fail, each of which may cost a boot', async () => {
    const common = { apic: 'xapic', eoi: 'apic', tpr: 3, enforced: true } as const;
    const vcpus = [0, 1, 2, 3].map((vpIndex) =>
      makeVcpu({ ...common, vpIndex, irr: [0x40], lacks: vpIndex === 2 ? ['hyperv'] : [] }),
    );
    const targets = Array.from({ length: 64 }, (_, vp) => vp);
    const start = makeCase(vcpus, [makeStep({ do: 'send-ipi-ex', targets }), makeStep({ do: 'run' })]);
    const fails = ({ machine, steps }: Case): boolean => {
      const odd = machine.vcpus.find(({ lacks }) => lacks.includes('hyperv'));
      return steps.some((step) => isCall(step) && step.targets.some((vp) => vp === odd?.vpIndex));
    };
    let failures = 0;
    const { value } = await reduce(
      start,
      (candidate) => {
        if (fails(candidate)) failures++;
        return Promise.resolve(fails(candidate));
      },
      { ...plenty, shouldStop: () => failures >= 12 },
    );
    expect(value).toEqual(makeCase([{ vpIndex: 0, lacks: ['hyperv'] }], [makeStep({ do: 'send-ipi', targets: [0] })]));
  });

  it('should stop when it may not ask any more', async () => {
    const { attempts, complete } = await reduce(samples[5]!, () => Promise.resolve(false), { attemptsMax: 3 });
    expect({ attempts, complete }).toEqual({ attempts: 3, complete: false });
  });
});

describe('passes', () => {
  it('should propose only cases that the checks refuse or that can be saved and read again', () => {
    let wellFormed = 0;
    const stray = makeCase(
      [{ vpIndex: 0 }],
      [5, 14].map((bit) => makeStep({ do: 'send-ipi-ex', controlBits: [bit, 16, 40] })),
    );
    for (const value of [stray, ...samples.slice(0, 6)]) {
      for (const pass of passes) {
        for (const proposal of pass(value)) {
          if (isWellFormed(proposal)) {
            wellFormed++;
            expect(parseCase(formatCase(proposal))).toEqual(proposal);
          } else expect(() => parseCase(formatCase(proposal))).toThrow(CaseError);
        }
      }
    }
    expect(wellFormed).toBeGreaterThan(1000);
  });
});

describe('sublists', () => {
  it('should propose each shorter list at most as long as the list, the empty one first', () => {
    expect([...sublists([1, 2, 3])]).toEqual([[], [1], [2], [3], [1], [2, 3], [1, 2], [1, 3], [2, 3]]);
    expect([...sublists([])]).toEqual([]);
  });
});

describe('between', () => {
  it('should start at the goal and come closer to the value', () => {
    expect([...between(100n, 0n)]).toEqual([0n, 50n, 75n, 88n, 94n, 97n, 99n]);
    expect([...between(3n, 9n)]).toEqual([9n, 6n, 4n]);
  });

  it('should never propose the value itself', () => {
    fc.assert(fc.property(fc.bigInt(), fc.bigInt(), (value, toward) => ![...between(value, toward)].includes(value)));
  });
});
