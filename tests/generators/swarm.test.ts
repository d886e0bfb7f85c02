import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sometimes } from '../../generators/sometimes.ts';
import { drawSwarm, featureWeights, oneofFeatures, swarmArbitrary, usualSwarm } from '../../generators/swarm.ts';

const swarms = fc.sample(swarmArbitrary, { seed: 42, numRuns: 500 });

describe('swarmArbitrary', () => {
  it('should turn each feature off in some rounds and leave it on in most', () => {
    for (const feature of Object.keys(featureWeights) as (keyof typeof featureWeights)[]) {
      const off = swarms.filter((swarm) => swarm.weights[feature] === 0).length;
      expect(off).toBeGreaterThan(40);
      expect(off).toBeLessThan(150);
    }
  });

  it('should draw plain JSON values', () => {
    for (const swarm of swarms) expect(JSON.parse(JSON.stringify(swarm))).toStrictEqual(swarm);
  });

  it('should shrink without context, as its map has an inverse', () => {
    for (const swarm of swarms) expect(swarmArbitrary.canShrinkWithoutContext(swarm)).toBe(true);
  });
});

describe('drawSwarm', () => {
  it('should draw the same swarm from the same seed', () => {
    expect(drawSwarm(7)).toEqual(drawSwarm(7));
    expect(drawSwarm(7)).not.toEqual(drawSwarm(8));
  });
});

describe('oneofFeatures', () => {
  const choices = { 'form.slow': fc.constant('slow'), 'form.fast': fc.constant('fast') };
  const drawFrom = (weights: object) =>
    new Set(
      fc.sample(oneofFeatures({ ...usualSwarm, weights: { ...featureWeights, ...weights } }, choices), {
        numRuns: 100,
      }),
    );

  it('should draw nothing that is off', () => {
    expect(drawFrom({ 'form.slow': 0 })).toEqual(new Set(['fast']));
  });

  it('should draw everything when all is off', () => {
    expect(drawFrom({ 'form.slow': 0, 'form.fast': 0 })).toEqual(new Set(['slow', 'fast']));
  });
});

describe('sometimes', () => {
  it.each([
    [0, 0],
    [10, 100],
    [3, 30],
  ])('should draw the value in %i of 10 draws', (share, expected) => {
    const draws = fc.sample(sometimes(share, 10, fc.constant(true), false), { seed: 42, numRuns: 100 });
    expect(draws.filter(Boolean).length).toSatisfy((count: number) => Math.abs(count - expected) < 12);
  });
});
