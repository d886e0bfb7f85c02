import { describe, expect, it } from 'vitest';
import { answers, rowOf, rowSchema } from '../../../bench/machines/row.ts';
import { aReport, aRow } from './support.ts';

const cell = { system: '13', kernel: 'debian:7.3', seed: '1', budgetSeconds: 120 } as const;

describe('answers', () => {
  it('should take a row of the same cell, and of a longer run', () => {
    expect(answers(aRow(), cell)).toBe(true);
    expect(answers(aRow({ budgetSeconds: 600 }), cell)).toBe(true);
  });

  it('should not take a shorter run, or one of another system, kernel or seed', () => {
    expect(answers(aRow({ budgetSeconds: 60 }), cell)).toBe(false);
    expect(answers(aRow({ system: '12' }), cell)).toBe(false);
    expect(answers(aRow({ kernel: 'debian:6.1' }), cell)).toBe(false);
    expect(answers(aRow({ seed: '2' }), cell)).toBe(false);
  });
});

describe('rowOf', () => {
  it('should take what was measured from a report', () => {
    expect(rowSchema.parse(rowOf(cell, 'v20.19.2', '2026-11-29T12:00:00.000Z', aReport()))).toEqual(aRow());
  });

  it('should keep findings by what they are', () => {
    const finding = { class: 'divergence', signature: 'run/missing-interrupt', confirmed: '10/10', seed: '1' };
    const row = rowOf(cell, 'v20.19.2', '2026-11-29T12:00:00.000Z', aReport({ findings: [finding] }));
    expect(row.findings).toEqual([{ class: 'divergence', signature: 'run/missing-interrupt', confirmed: '10/10' }]);
  });

  it('should not take a run whose target failed for a measurement', () => {
    const report = aReport({ error: 'the hand ended' });
    expect(() => rowOf(cell, 'v20.19.2', '2026-11-29T12:00:00.000Z', report)).toThrow('the hand ended');
  });
});
