import { describe, expect, it } from 'vitest';
import { formatCoverage, toLcov } from '../../../../src/review/counts/coverage-report.ts';
import type { LineCounts } from '../../../../src/review/counts/line-counts.ts';

const counts: LineCounts = new Map([
  [
    'virt/kvm/x.c',
    {
      lines: new Map([
        [12, { count: 0, least: 0, branches: [] }],
        [3, { count: 7, least: 7, branches: [] }],
      ]),
      functions: [
        { name: 'f', start: 2, end: 5, count: 7 },
        { name: 'g', start: 11, end: 13, count: 0 },
      ],
    },
  ],
]);

describe('formatCoverage', () => {
  it('should tell shares, and functions that were never called', () => {
    expect(formatCoverage(counts, ['virt/kvm/x.c', 'virt/kvm/none.c'])).toBe(
      'virt/kvm/x.c  1 of 2 lines (50 %)  1 of 2 functions (50 %)\nvirt/kvm/x.c: never called\n  g\n',
    );
  });
});

describe('toLcov', () => {
  it('should write a record a file, its lines in order', () => {
    expect(toLcov(counts, '/tree').split('\n')).toEqual([
      'TN:',
      'SF:/tree/virt/kvm/x.c',
      'FN:2,f',
      'FN:11,g',
      'FNDA:7,f',
      'FNDA:0,g',
      'FNF:2',
      'FNH:1',
      'DA:3,7',
      'DA:12,0',
      'LF:2',
      'LH:1',
      'end_of_record',
      '',
    ]);
  });
});
