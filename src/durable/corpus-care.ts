/**
 * Keeping a folder of saved cases small: the fewest cases that hit every (rule, dimension) pair that all of them hit.
 * What once failed, shows a listed deviation, or is KVM's own selftest stays whatever it covers.
 */
import { basename, dirname } from 'node:path';
import { type CorpusEntry, knownFolder } from '../campaign/corpus.ts';
import { prepare } from '../campaign/judgement.ts';
import { compareWeights, weigh } from '../simplify/weight.ts';
import { caseId } from '../case/case.ts';
import type { TargetFacts } from '../executor/facts.ts';
import { pairsOf } from './coverage.ts';

export interface Minimized {
  readonly kept: readonly CorpusEntry[];
  readonly dropped: readonly CorpusEntry[];
  /** Pairs that the cases hit, before and after. */
  readonly pairs: number;
}

/** Chooses greedily: always the case that adds most, of equal ones the simplest. */
export function minimizeCorpus(entries: readonly CorpusEntry[], facts: TargetFacts): Minimized {
  const pairs = new Map(entries.map((entry) => [entry, pairsOf(prepare(entry.value, facts))]));
  const covered = new Set<string>();
  const kept = new Set(entries.filter(isKeptAnyway));
  const cover = (entry: CorpusEntry): void => pairs.get(entry)!.forEach((pair) => covered.add(pair));
  kept.forEach(cover);
  const gainOf = (entry: CorpusEntry): number => [...pairs.get(entry)!].filter((pair) => !covered.has(pair)).length;
  const order = entries
    .map((entry) => ({ entry, weight: weigh(entry.value) }))
    .sort((left, right) => compareWeights(left.weight, right.weight))
    .map(({ entry }) => entry);
  for (;;) {
    const rows = order.map((entry) => ({ entry, gain: gainOf(entry) }));
    const best = rows.reduce((most, row) => (row.gain > most.gain ? row : most), { entry: null, gain: 0 } as {
      entry: CorpusEntry | null;
      gain: number;
    });
    if (best.entry === null) break;
    kept.add(best.entry);
    cover(best.entry);
  }
  dropRedundant(kept, pairs);
  return {
    kept: entries.filter((entry) => kept.has(entry)),
    dropped: entries.filter((entry) => !kept.has(entry)),
    pairs: covered.size,
  };
}

/** Cases of the second folder that the first one does not have. */
export function newEntries(have: readonly CorpusEntry[], others: readonly CorpusEntry[]): CorpusEntry[] {
  const ids = new Set(have.map(({ value }) => caseId(value)));
  return others.filter(({ value }) => {
    const isNew = !ids.has(caseId(value));
    ids.add(caseId(value));
    return isNew;
  });
}

/** Whatever a person or a campaign has saved for a reason that coverage does not know. */
function isKeptAnyway({ file, value }: CorpusEntry): boolean {
  const isKnown = basename(dirname(file)) === knownFolder;
  return value.origin !== null || isKnown || basename(file).startsWith('selftest-');
}

/** A case that was chosen early may have nothing left that only it hits. */
function dropRedundant(kept: Set<CorpusEntry>, pairs: ReadonlyMap<CorpusEntry, ReadonlySet<string>>): void {
  for (const entry of kept) {
    if (isKeptAnyway(entry)) continue;
    const others = new Set([...kept].filter((other) => other !== entry).flatMap((other) => [...pairs.get(other)!]));
    if ([...pairs.get(entry)!].every((pair) => others.has(pair))) kept.delete(entry);
  }
}
