import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { just } from '../../generators/plan.ts';
import { drawSwarm, featureWeights, oneofFeatures, swarmPlan } from '../../generators/swarm.ts';
import { usualSwarm } from './usual-swarm.ts';

const swarms = fc.sample(swarmPlan, { seed: 42, numRuns: 500 });

describe('swarmPlan', () => {
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
});

describe('drawSwarm', () => {
  it('should draw the same swarm from the same seed', () => {
    expect(drawSwarm(7)).toEqual(drawSwarm(7));
    expect(drawSwarm(7)).not.toEqual(drawSwarm(8));
  });
});

describe('oneofFeatures', () => {
  const choices = { 'form.slow': just('slow'), 'form.fast': just('fast') };
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
