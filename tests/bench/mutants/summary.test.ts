import { describe, expect, it } from 'vitest';
import { formatDocument } from '../../../bench/mutants/document.ts';
import { compareSeeds, mainSeed, median, summarize } from '../../../bench/mutants/summary.ts';
import { aFind, aMutant, aRow } from './support.ts';

const easy = aMutant({ name: 'easy-one' });
const hard = aMutant({ name: 'hard-one', grade: 'hard', replace: 'a > b' });
const same = aMutant({ name: 'same-one', expect: 'equivalent', replace: 'b > a' });
const unrun = aMutant({ name: 'unrun', replace: 'a == b' });
const mutants = [easy, hard, same, unrun];

describe('median', () => {
  it('should be the middle, the mean of the middle two, or nothing', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNull();
  });
});

describe('summarize', () => {
  it('should count what was found by grade, and only what was run', () => {
    const summary = summarize('hvipi', [aFind(easy), aRow(hard), aRow(same)], mutants);
    expect(summary.measured).toEqual({ of: 4, count: 3 });
    expect(summary.found).toEqual({ of: 2, count: 1 });
    expect(summary.misses.map(({ mutant }) => mutant)).toEqual(['hard-one']);
    expect(summary.falseAlarms).toEqual({ of: 1, count: 0 });
    expect(summary.grades.map(({ found }) => found.count)).toEqual([1, 0, 0]);
  });

  it('should report an equivalent mutant that was found as a false alarm and not as a find', () => {
    const summary = summarize('hvipi', [aFind(same)], mutants);
    expect(summary.found).toEqual({ of: 0, count: 0 });
    expect(summary.falseAlarms).toEqual({ of: 1, count: 1 });
  });

  it('should count easy ones that took too long apart', () => {
    const rows = [aFind(easy, { seconds: 5 }), aFind(easy, { seed: '2', seconds: 5.1 })];
    expect(summarize('hvipi', rows, mutants).easyInTime).toEqual({ of: 2, count: 1 });
  });

  it('should ask for every confirmation', () => {
    const rows = [aFind(easy), aFind(hard, { confirmed: '9/10' }), aFind(hard, { seed: '2', confirmed: '0/0' })];
    expect(summarize('hvipi', rows, mutants).confirmed).toEqual({ of: 3, count: 1 });
  });

  it('should name cases that are larger than they need to be', () => {
    const rows = [aFind(easy, { steps: 3, vcpus: 2 }), aFind(hard, { bits: 2 })];
    const { large, stepsMedian, bitsMedian } = summarize('hvipi', rows, mutants);
    expect(large.map(({ mutant }) => mutant)).toEqual(['hard-one']);
    expect({ stepsMedian, bitsMedian }).toEqual({ stepsMedian: 2, bitsMedian: 1.5 });
  });

  it('should leave out rows of another method and of an edit that has changed', () => {
    const rows = [aFind(easy, { method: 'words' }), aFind(easy, { edit: 'older' })];
    expect(summarize('hvipi', rows, mutants).measured.count).toBe(0);
  });
});

describe('mainSeed', () => {
  it('should be the one with the most rows, and the first of equal ones', () => {
    expect(mainSeed([aRow(easy, { seed: '2' }), aRow(hard, { seed: '2' }), aRow(easy, { seed: '1' })])).toBe('2');
    expect(mainSeed([aRow(easy, { seed: '2' }), aRow(easy, { seed: '1' })])).toBe('1');
    expect(mainSeed([])).toBeNull();
  });
});

describe('compareSeeds', () => {
  it('should count a mutant once, with the median of its seeds, and name those that luck decides', () => {
    const seconds = [2, 9, 4];
    const rows = ['1', '2', '3'].flatMap((seed, index) => [
      aFind(easy, { seed, seconds: seconds[index]! }),
      seed === '1' ? aRow(hard, { seed }) : aFind(hard, { seed }),
      aRow(same, { seed }),
    ]);
    const figures = compareSeeds([...rows, aRow(unrun)])!;
    expect(figures.seeds).toEqual(['1', '2', '3']);
    const [easyFigures] = figures.grades;
    expect(easyFigures).toMatchObject({ grade: 'easy', mutants: 1, foundByAll: 1, foundByNone: 0, secondsMedian: 4 });
    expect(figures.sometimes).toEqual([{ mutant: 'hard-one', found: { of: 3, count: 2 } }]);
    expect(figures.falseAlarms).toEqual({ of: 1, count: 0 });
  });

  it('should be nothing where there is one seed', () => {
    expect(compareSeeds([aFind(easy), aRow(hard)])).toBeNull();
  });
});

describe('formatDocument', () => {
  it('should name the misses, what was not run, and the alternatives that were not', () => {
    const text = formatDocument([aFind(easy), aRow(hard)], mutants);
    expect(text).toContain('Missed: 1: `hard-one`.');
    expect(text).toContain('- `hard-one` (seed 1): not looked into yet.');
    expect(text).toContain('Measured: 2 of 4 mutants');
    expect(text).toContain("Not run yet: random words, the kernel's selftests.");
  });

  it('should keep rows of further seeds out of the figures of the main one', () => {
    const rows = [aFind(easy), aFind(hard), aRow(easy, { seed: '2' })];
    const text = formatDocument(rows, mutants);
    expect(text).toContain('Found: 2 of 2 (100.0 %)');
    expect(text).toContain('Found by some seeds only: 1.\n  - `easy-one` (1 of 2): not looked into yet.');
  });

  it('should say when there is no row', () => {
    expect(formatDocument([], mutants)).toContain('Nothing was measured yet.');
  });

  it('should say what was measured elsewhere, with what was missed', () => {
    const other = { where: 'a newer kernel', rows: [aFind(easy), aRow(hard)], catalogue: mutants };
    const text = formatDocument([], mutants, [other, { ...other, where: 'nowhere', rows: [] }]);

    expect(text).toContain(`a newer kernel | 1 of 2 (50.0 %) |`);
    expect(text).toContain(`\`${hard.name}\` |`);
    expect(text).not.toContain('nowhere');
  });
});
