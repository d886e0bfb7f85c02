import { describe, expect, it } from 'vitest';
import type { Batch } from '../../../../src/campaign/stream/batches.ts';
import type { Case } from '../../../../src/case/case.ts';
import { Aim } from '../../../../src/review/aim/aim.ts';
import type { BothCounters, Hits } from '../../../../src/review/aim/targets.ts';

const stream = { fromBatch: 0, corpus: [], runs: 1024, tier: 'ordered' } as const;
const counters: BothCounters = { base: [], kernel: [] };
const isAimed = (batch: Batch): boolean => batch.placeOf(0).path.startsWith('aimed');

/** Runs a stream in which each target is met by the cases that it is given for. */
function run(
  seed: string,
  targets: Readonly<Record<string, (value: Case) => boolean>>,
  runs: number = stream.runs,
): Batch[] {
  const totals = new Map(Object.keys(targets).map((name) => [name, 0]));
  const aim = new Aim(seed, { count: totals.size, hits: (): Hits => new Map(totals) });
  const batches: Batch[] = [];
  for (const batch of aim.batches({ ...stream, runs })) {
    batches.push(batch);
    for (const [name, meets] of Object.entries(targets)) {
      totals.set(name, totals.get(name)! + batch.cases.filter(meets).length);
    }
    aim.learn(batch, counters);
  }
  return batches;
}

const share = (batches: readonly Batch[], meets: (value: Case) => boolean): number => {
  const cases = batches.flatMap((batch) => batch.cases);
  return cases.filter(meets).length / cases.length;
};
const hasNoLapic = ({ machine }: Case): boolean => machine.irqchip === 'none';
const sendsInit = ({ steps }: Case): boolean => steps.some((step) => step.do === 'init');

describe('Aim', () => {
  it('should draw usual and aimed batches in turn, and the same for the same counts', () => {
    const [first, second] = [run('s', { hasNoLapic }), run('s', { hasNoLapic })];

    expect(first.slice(0, 6).map(isAimed)).toEqual([false, true, false, true, false, true]);
    expect(second.map(({ cases }) => cases)).toEqual(first.map(({ cases }) => cases));
  });

  it('should draw no aimed batch where nothing is counted', () => {
    expect(run('s', {}).some(isAimed)).toBe(false);
  });

  it.each([
    ['machines without a LAPIC', hasNoLapic],
    ['INIT', sendsInit],
  ])('should come back to the swarms that met a touched line: %s', (_, meets) => {
    const batches = run('s', { all: () => true, meets }, 4096);
    const [aimed, usual] = [batches.filter(isAimed), batches.filter((batch) => !isAimed(batch))];

    expect(share(aimed, meets)).toBeGreaterThan(2 * share(usual, meets));
  });

  it('should not learn from a batch besides which other cases ran', () => {
    const aim = new Aim('s', { count: 1, hits: () => new Map([['one', 1]]) });
    const batches = aim.batches(stream);
    const first = batches.next().value as Batch;
    aim.learn(null, counters);
    const spread = batches.next().value as Batch;

    expect(isAimed(first)).toBe(false);
    // Nobody has met it as far as is known, so that this is one that looks far from the usual.
    expect(isAimed(spread)).toBe(true);
    expect(spread.cases).toEqual(run('s', { never: () => false })[1]!.cases);
  });
});
