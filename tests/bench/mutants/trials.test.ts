import { describe, expect, it } from 'vitest';
import { chooseTrials, type TrialChoice } from '../../../bench/mutants/trials.ts';
import { aFind, aMutant } from './support.ts';

const mutants = ['a', 'b', 'c', 'd'].map((name) =>
  aMutant({ name, replace: name, grade: name === 'b' ? 'hard' : 'easy' }),
);
const all: TrialChoice = { method: 'hvipi', seeds: ['1'], budgetSeconds: 60, only: [], grade: null, third: false };
const chosen = (choice: Partial<TrialChoice>, rows = [] as Parameters<typeof chooseTrials>[1]): string[] =>
  chooseTrials(mutants, rows, { ...all, ...choice }).map(({ mutant, seed }) => `${mutant.name}${seed}`);

describe('chooseTrials', () => {
  it('should go through the catalogue seed by seed', () => {
    expect(chosen({ seeds: ['1', '2'] })).toEqual(['a1', 'b1', 'c1', 'd1', 'a2', 'b2', 'c2', 'd2']);
  });

  it('should leave out what has a row', () => {
    expect(chosen({}, [aFind(mutants[0]!), aFind(mutants[2]!, { seed: '2' })])).toEqual(['b1', 'c1', 'd1']);
  });

  it('should choose by name, by grade, and the fixed third', () => {
    expect(chosen({ only: ['d', 'b'] })).toEqual(['b1', 'd1']);
    expect(chosen({ grade: 'hard' })).toEqual(['b1']);
    expect(chosen({ third: true })).toEqual(['a1', 'd1']);
  });

  it('should run the selftests once, whatever the seeds', () => {
    expect(chosen({ method: 'selftests', seeds: ['1', '2'], only: ['a'] })).toEqual(['anone']);
  });
});
