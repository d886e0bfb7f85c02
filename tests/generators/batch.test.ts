/** A batch and fast-check's own runner must agree about every case, or a finding could not be shrunk by its path. */
import fc from 'fast-check';
import seedrandom from 'seedrandom';
import { describe, expect, it } from 'vitest';
import {
  batchArbitrary,
  batchSeed,
  drawBatch,
  isConcurrentBatch,
  isHugeBatch,
  isPatientBatch,
} from '../../generators/batch.ts';
import { type Case, formatCase } from '../../src/case/case.ts';

const size = 60;

describe('batchSeed', () => {
  it('should be a 32-bit number that never changes for a seed text and a batch', () => {
    expect(batchSeed('42', 0)).toBe(1137582769);
    expect(batchSeed('42', 1)).toBe(-2132510133);
    expect(batchSeed('a commit hash', 12345)).toBe(736188117);
  });

  it('should tell letters apart that share their lower byte, and draw as ever where there are none', () => {
    const texts = ['Łukasz', 'Aukasz', 'Ł', '亁', '\u{1f600}', '='];
    const seeds = texts.flatMap((text) => [0, 1].map((batch) => batchSeed(text, batch)));
    expect(new Set(seeds).size).toBe(seeds.length);
    expect(batchSeed('Łukasz', 0)).toBe(batchSeed('Łukasz', 0));
    expect(batchSeed('Ängström', 3)).toBe(seedrandom('Ängström/3').int32());
    expect(batchArbitrary('Łukasz', 3).swarm).not.toEqual(batchArbitrary('Aukasz', 3).swarm);
  });

  it('should differ between batches and between campaigns', () => {
    const seeds = Array.from({ length: 500 }, (_, batch) => [batchSeed('a', batch), batchSeed('b', batch)]).flat();
    expect(new Set(seeds).size).toBe(seeds.length);
    for (const seed of seeds) expect(seed | 0).toBe(seed);
  });
});

describe('isConcurrentBatch', () => {
  it('should be one of every eight, the sixth of the first', () => {
    for (let start = 0; start < 1600; start += 8) {
      const own = Array.from({ length: 8 }, (_, index) => start + index).filter(isConcurrentBatch);
      expect(own).toHaveLength(1);
      if (start === 0) expect(own).toEqual([5]);
    }
  });

  it.each([2, 3, 4, 8, 16, 32, 50])('should give every one of %i shards its share', (shards) => {
    const counts = Array<number>(shards).fill(0);
    const perShard = 160;
    for (let batch = 0; batch < 8 * perShard * shards; batch++) if (isConcurrentBatch(batch)) counts[batch % shards]!++;
    expect(Math.min(...counts)).toBeGreaterThan(0.7 * perShard);
  });
});

describe('isPatientBatch', () => {
  it('should be one of 256 at most, the twenty-seventh of the first, and neither concurrent nor huge', () => {
    const own = Array.from({ length: 256 * 40 }, (_, batch) => batch).filter(isPatientBatch);
    expect(own[0]).toBe(26);
    expect(own.length).toBeGreaterThan(30);
    expect(new Set(own.map((batch) => batch >> 8)).size).toBe(own.length);
    expect(own.filter((batch) => isConcurrentBatch(batch) || isHugeBatch(batch))).toEqual([]);
  });

  it('should have second VMs that are long gone, and no other batch any', () => {
    const lives = (batch: number) => drawBatch('42', batch, 64).cases.map(({ machine }) => machine.neighbour?.life);
    expect(lives(26)).toContain('long-gone');
    for (const batch of [12, 14, 15, 16, 17, 18]) expect(lives(batch)).not.toContain('long-gone');
  });
});

describe('drawBatch', () => {
  it('should draw the same batch twice, swarm included', () => {
    expect(drawBatch('42', 5, size)).toEqual(drawBatch('42', 5, size));
  });

  it('should draw a plain JSON swarm', () => {
    const { swarm } = drawBatch('42', 5, 1);
    expect(JSON.parse(JSON.stringify(swarm))).toEqual(swarm);
  });

  it('should begin a larger batch with the cases of a smaller one', () => {
    expect(drawBatch('42', 5, size).cases.slice(0, 7)).toEqual(drawBatch('42', 5, 7).cases);
  });

  it.each([0, 1, 2, 3])('should draw the cases that fc.check runs, in order (batch %i)', (batch) => {
    const { arbitrary, seed } = batchArbitrary('42', batch);
    const seen: string[] = [];
    const property = fc.property(arbitrary, (value) => {
      seen.push(formatCase(value));
    });
    fc.check(property, { seed, numRuns: size });
    expect(seen).toEqual(drawBatch('42', batch, size).cases.map(formatCase));
  });

  it('should draw the cases that fc.check runs on an async property', async () => {
    const { arbitrary, seed } = batchArbitrary('42', 1);
    const seen: Case[] = [];
    const property = fc.asyncProperty(arbitrary, async (value) => {
      seen.push(value);
      await Promise.resolve();
    });
    await fc.check(property, { seed, numRuns: size });
    expect(seen).toEqual(drawBatch('42', 1, size).cases);
  });

  it.each([0, 1, 17, size - 1])('should name case %i by its index as a path', (index) => {
    const { arbitrary, seed } = batchArbitrary('42', 2);
    const seen: string[] = [];
    const property = fc.property(arbitrary, (value) => {
      seen.push(formatCase(value));
      return false;
    });
    const details = fc.check(property, { seed, path: String(index), endOnFailure: true });
    expect(seen).toEqual([formatCase(drawBatch('42', 2, size).cases[index]!)]);
    expect(details.counterexamplePath).toBe(String(index));
  });

  it('should name a shrunk case by the path that fast-check reports', () => {
    const { arbitrary, seed } = batchArbitrary('42', 2);
    const property = fc.property(arbitrary, (value) => value.steps.length < 3);
    const details = fc.check(property, { seed, numRuns: size });
    const again = fc.check(property, { seed, path: details.counterexamplePath!, endOnFailure: true });
    expect(again.counterexample).toEqual(details.counterexample);
    expect(details.counterexample![0].steps).toHaveLength(3);
  });
});
