import seedrandom from 'seedrandom';
import { describe, expect, it } from 'vitest';
import { predict } from '../../../oracle/model.ts';
import { modelFacts, openModelExecutor } from '../../../src/model/model-executor.ts';
import { drawWords, fuzzWords } from '../../../bench/mutants/words.ts';

describe('drawWords', () => {
  it('should draw the same program for the same seed', () => {
    expect(drawWords(seedrandom('x'))).toEqual(drawWords(seedrandom('x')));
  });

  it('should draw programs that reach somebody now and then', () => {
    const random = seedrandom('x');
    const reached = Array.from({ length: 200 }, () => predict(drawWords(random), modelFacts)).filter(({ steps }) =>
      steps.some(({ lapics }) => lapics.some((lapic) => lapic.size > 0)),
    );
    expect(reached.length).toBeGreaterThan(0);
  });
});

describe('fuzzWords', () => {
  it('should find nothing where the model answers', async () => {
    await using executor = openModelExecutor();
    expect(await fuzzWords(executor, 'x', 0.2)).toMatchObject({ found: false });
  });
});
