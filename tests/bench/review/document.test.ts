import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatDocument } from '../../../bench/review/document.ts';
import { results, type Row, rowSchema } from '../../../bench/review/row.ts';
import { readRows } from '../../../bench/rows.ts';
import { areas } from '../../../bench/review/sample.ts';
import { reviewSamples } from '../../../bench/review/samples.ts';

describe('docs/reviewed-patches.md', () => {
  it('should be what the rows make', () => {
    expect(readFileSync('docs/reviewed-patches.md', 'utf8')).toBe(
      formatDocument(readRows(rowSchema, results), reviewSamples),
    );
  });

  it('should say which verdict was wrong, and which sample was not measured', () => {
    const [first] = reviewSamples;
    const row: Row = {
      sample: first!.name,
      date: '2026-11-29',
      kernel: '7.3.4',
      seed: '1',
      time: '20s',
      exitCode: 0,
      answer: 'unchanged',
      isRight: false,
      verdict: 'no change seen',
      difference: '',
      cases: 10,
      foundAfter: null,
      seconds: 90,
    };
    const text = formatDocument([row], reviewSamples);

    expect(text).toContain('Right: 0 of 1. The longest took 1.5 minutes');
    expect(text).toContain('| WRONG: no change seen |');
    expect(text).toContain('| not measured |');
  });
});

describe('reviewSamples', () => {
  it('should have names of their own, and some of each area', () => {
    expect(new Set(reviewSamples.map(({ name }) => name)).size).toBe(reviewSamples.length);
    expect(new Set(reviewSamples.map(({ area }) => area))).toEqual(new Set(areas));
  });
});
