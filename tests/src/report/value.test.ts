import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { thinned } from '../../../src/report/value.ts';

const curveOf = (seconds: readonly number[]) =>
  [...seconds]
    .sort((left, right) => left - right)
    .map((at, index) => ({ seconds: at, hypercalls: 10 * (index + 1), pairs: 1, memoryBytes: 1 }));

describe('thinned', () => {
  it('should keep the end, and no two points that stand close together', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.1, max: 1000, noNaN: true }), { minLength: 1 }), (seconds) => {
        const curve = curveOf(seconds);
        const kept = thinned(curve);
        const total = curve.at(-1)!.seconds;
        expect(kept.at(-1)).toEqual(curve.at(-1));
        for (const [index, point] of kept.entries()) {
          expect(point.seconds - (kept[index - 1]?.seconds ?? 0)).toBeGreaterThanOrEqual(total / 100 - 1e-9);
        }
      }),
    );
  });

  it('should keep everything of a short curve', () => {
    const curve = curveOf([1, 2, 3, 4]);
    expect(thinned(curve)).toEqual(curve);
    expect(thinned([])).toEqual([]);
  });
});
