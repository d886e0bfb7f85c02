import { describe, expect, it } from 'vitest';
import { makeCase, makeStep, toJson } from '../../../src/case/case.ts';
import { answers, measurementOf, sizeOf } from '../../../bench/mutants/row.ts';
import { aFind, aMutant, aRow } from './support.ts';

const trial = { method: 'hvipi', mutant: aMutant(), seed: '1', budgetSeconds: 60 } as const;

describe('answers', () => {
  it('should take a row of the same trial', () => {
    expect(answers(aRow(aMutant()), trial)).toBe(true);
  });

  it('should not take a row of another seed, method or edit', () => {
    expect(answers(aRow(aMutant(), { seed: '2' }), trial)).toBe(false);
    expect(answers(aRow(aMutant(), { method: 'words' }), trial)).toBe(false);
    expect(answers(aRow(aMutant({ replace: 'a == b' })), trial)).toBe(false);
  });

  it('should take a row of a smaller budget only when it found something', () => {
    expect(answers(aRow(aMutant(), { budgetSeconds: 20 }), trial)).toBe(false);
    expect(answers(aFind(aMutant(), { budgetSeconds: 20 }), trial)).toBe(true);
    expect(answers(aRow(aMutant(), { budgetSeconds: 120 }), trial)).toBe(true);
  });
});

describe('sizeOf', () => {
  it('should count steps, calls, vCPUs, and the bits of the fullest bank', () => {
    const steps = [
      makeStep({ do: 'send-ipi-ex', targets: [0, 64, 65, 200] }),
      makeStep({ do: 'run' }),
      makeStep({ do: 'send-ipi', targets: [3] }),
    ];
    expect(sizeOf(makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], steps))).toEqual({
      steps: 3,
      calls: 2,
      vcpus: 2,
      bits: 2,
    });
  });

  it('should count no bits where there is no target', () => {
    expect(sizeOf(makeCase([{ vpIndex: 0 }], [makeStep({ do: 'run' })]))).toMatchObject({ calls: 0, bits: 0 });
  });
});

describe('measurementOf', () => {
  const finding = {
    class: 'divergence',
    signature: 'vector/status',
    stable: true,
    case: toJson(makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi', targets: [0] })])),
    foundAfter: { cases: 3, hypercalls: 40, seconds: 0.2 },
    shrink: { seconds: 1.5, executions: 30 },
    confirmed: '10/10',
  };
  const report = {
    schema: 'hvipi/fuzz/1',
    target: { kernelRelease: '6.12.117' },
    hypercalls: 90,
    seconds: 2,
    restarts: 0,
    error: null,
    findings: [] as object[],
  };

  it('should say how long it looked when there is no finding', () => {
    expect(measurementOf(report)).toMatchObject({ found: false, seconds: 2, hypercalls: 90, steps: null });
  });

  it('should take time and calls of the finding, and not those with shrinking', () => {
    const found = { found: true, seconds: 0.2, hypercalls: 40, shrinkSeconds: 1.5, steps: 1, vcpus: 1, bits: 1 };
    expect(measurementOf({ ...report, findings: [finding] })).toMatchObject(found);
  });

  it('should prefer a finding that shows alone', () => {
    const unstable = { ...finding, stable: false, signature: 'other' };
    const measured = measurementOf({ ...report, findings: [unstable, finding] });
    expect(measured).toMatchObject({ stable: true, signature: 'vector/status' });
  });

  it('should be no measurement when the target failed and nothing was found', () => {
    expect(() => measurementOf({ ...report, error: 'QEMU ended' })).toThrow('QEMU ended');
    expect(measurementOf({ ...report, error: 'QEMU ended', findings: [finding] }).found).toBe(true);
  });
});
