import { describe, expect, it } from 'vitest';
import { callsByTier, pairKey } from '../../../src/durable/coverage.ts';

describe('callsByTier', () => {
  it('should add up what all rules have in a tier, and nothing else', () => {
    const pairs = new Map([
      [pairKey('deliver', 'tier', 'counted'), 3],
      [pairKey('bad-vector', 'tier', 'counted'), 4],
      [pairKey('deliver', 'tier', 'concurrent'), 5],
      [pairKey('deliver', 'form', 'fast'), 100],
    ]);
    expect(callsByTier(pairs)).toEqual({ pending: 0, counted: 7, concurrent: 5 });
  });
});
