import { describe, expect, it } from 'vitest';
import { coverageOf, formatCoverage } from '../../../src/counts/coverage-report.ts';
import { addTraces, formatLcov, parseLcov, totalOf, traceOf } from '../../../src/counts/lcov.ts';
import type { LineCounts } from '../../../src/counts/line-counts.ts';

const counts: LineCounts = new Map([
  [
    'virt/kvm/x.c',
    {
      lines: new Map([
        [12, { count: 0, least: 0 }],
        [3, { count: 7, least: 7 }],
      ]),
      functions: [
        { name: 'f', start: 2, end: 5, count: 7 },
        { name: 'g', start: 11, end: 13, count: 0 },
      ],
    },
  ],
]);
const trace = traceOf(counts, '/tree');

describe('formatCoverage', () => {
  it('should tell shares, and functions that were never called', () => {
    expect(formatCoverage(coverageOf(trace, ['virt/kvm/x.c', 'virt/kvm/none.c']))).toBe(
      'virt/kvm/x.c  1 of 2 lines (50 %)  1 of 2 functions (50 %)\nvirt/kvm/x.c: never called\n  g\n',
    );
  });
});

describe('formatLcov', () => {
  it('should write a record a file, its lines in order', () => {
    expect(formatLcov(trace).split('\n')).toEqual([
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

  it('should be read as it was written, in any order of lines', () => {
    const read = parseLcov(formatLcov(trace)).get('/tree/virt/kvm/x.c')!;

    expect([...read.lines].sort(([left], [right]) => left - right)).toEqual([
      [3, 7],
      [12, 0],
    ]);
    expect(read.functions).toEqual(trace.get('/tree/virt/kvm/x.c')!.functions);
  });
});

describe('addTraces', () => {
  it('should add up what several runs have counted', () => {
    const both = addTraces([trace, parseLcov(formatLcov(trace))]);

    expect(both.get('/tree/virt/kvm/x.c')!.lines.get(3)).toBe(14);
    expect(both.get('/tree/virt/kvm/x.c')!.functions.get('f')).toEqual({ start: 2, count: 14 });
    expect([totalOf(trace), totalOf(both)]).toEqual([7, 14]);
  });
});
