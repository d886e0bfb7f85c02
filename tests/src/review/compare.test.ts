import { describe, expect, it } from 'vitest';
import { batchesOf } from '../../../src/campaign/stream/batches.ts';
import { Session } from '../../../src/campaign/target/session.ts';
import { parseTarget } from '../../../src/campaign/target/target.ts';
import { type Comparison, compareKernels, defaultCompareLimits } from '../../../src/review/compare.ts';
import { exitCodeOfComparison, formatCounts } from '../../../src/review/text/comparison-summary.ts';
import { formatGroup } from '../../../src/review/text/comparison-text.ts';

const mutant = 'model:xmm-half-swapped';

describe('compareKernels', () => {
  it('should see no change between a kernel and itself', async () => {
    const comparison = await compare('model', 'model');

    expect(comparison.cases).toBe(128);
    expect(comparison.groups).toEqual([]);
    expect(exitCodeOfComparison(comparison)).toBe(0);
    expect(formatCounts(comparison).at(-1)).toBe('result     no change seen');
  });

  it('should report what only the second kernel does wrong as new, with a minimal case', async () => {
    const { groups, ...rest } = await compare('model', mutant);

    expect(groups.map(({ kind }) => kind)).toContain('new');
    for (const { value, confirmed, pair } of groups) {
      expect(value.steps).toHaveLength(1);
      expect(confirmed).toBe('10/10');
      expect(pair.base.judgement.class).toBe('match');
    }
    expect(exitCodeOfComparison({ groups, ...rest })).toBe(1);
    const text = formatGroup(groups[0]!, { base: 'before', kernel: 'after' });
    expect(text).toContain('NEW: only the second kernel leaves its contract');
    expect(text).toMatch(/contract, before .*\n\s+after .*<--/);
  });

  it('should report what only the first kernel does wrong as gone', async () => {
    const { groups, ...rest } = await compare(mutant, 'model');

    // Where the first one refuses a call, the second one may do what its contract lists as a deviation from TLFS.
    expect(new Set(groups.map(({ kind }) => kind))).toEqual(new Set(['gone', 'makes']));
    expect(exitCodeOfComparison({ groups, ...rest })).toBe(1);
  });

  it('should not count what both do wrong alike as a change', async () => {
    const comparison = await compare(mutant, mutant);

    expect(new Set(comparison.groups.map(({ kind }) => kind))).toEqual(new Set(['same']));
    expect(exitCodeOfComparison(comparison)).toBe(0);
  });

  it('should give the same groups for the same seed', async () => {
    const keys = async (): Promise<string[]> =>
      (await compare('model', mutant)).groups.map(({ key, path }) => key + path);

    expect(await keys()).toEqual(await keys());
  });
});

async function compare(base: string, kernel: string): Promise<Comparison> {
  const { signal } = new AbortController();
  const open = (target: string): Promise<Session> => {
    const say = (): void => undefined;
    return Session.open(parseTarget({ target, kernel: 'debian:6.12', kvmModules: null, install: false, say }), signal);
  };
  await using first = await open(base);
  await using second = await open(kernel);
  const batches = batchesOf({ seed: 'compare', fromBatch: 0, corpus: [], runs: 128 });
  return compareKernels(
    { base: first, kernel: second },
    { batches, seconds: Infinity, limits: defaultCompareLimits },
    signal,
  );
}
