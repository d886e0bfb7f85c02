import { describe, expect, it } from 'vitest';
import { loadCorpus, ownCorpusFolder } from '../../../src/campaign/corpus.ts';
import { prepare } from '../../../src/campaign/judgement.ts';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { minimizeCorpus, newEntries } from '../../../src/durable/corpus-care.ts';
import { pairsOf } from '../../../src/durable/coverage.ts';
import { modelFacts } from '../../../src/model/model-executor.ts';

const corpus = await loadCorpus(ownCorpusFolder());
const pairsOfAll = (entries: typeof corpus): Set<string> =>
  new Set(entries.flatMap(({ value }) => [...pairsOf(prepare(value, modelFacts))]));

describe('minimizeCorpus', () => {
  const { kept, dropped, pairs } = minimizeCorpus(corpus, modelFacts);

  it('should keep every pair with fewer cases', () => {
    expect(pairsOfAll([...kept])).toEqual(pairsOfAll(corpus));
    expect(pairs).toBe(pairsOfAll(corpus).size);
    expect(kept.length + dropped.length).toBe(corpus.length);
    expect(dropped.length).toBeGreaterThan(0);
  });

  it('should keep no case that is not needed, unless it stays anyway', () => {
    for (const entry of kept) {
      if (/known\/|selftest-/.test(entry.file)) continue;
      expect(pairsOfAll(kept.filter((other) => other !== entry)).size).toBeLessThan(pairs);
    }
  });

  it('should keep what once failed', () => {
    const value = { ...corpus[0]!.value, origin: { seed: 'one', path: '0:0' } };
    const failed = { file: 'corpus/failed.json', value };
    expect(minimizeCorpus([...corpus, failed], modelFacts).kept).toContain(failed);
  });
});

describe('newEntries', () => {
  it('should give each case once that the first list does not have', () => {
    const value = makeCase([{ vpIndex: 3 }], [makeStep({ do: 'send-ipi', vector: 0x77, targets: [3] })]);
    const twice = [1, 2].map((number) => ({ file: `more/${number}.json`, value }));
    expect(newEntries(corpus, [...corpus, ...twice])).toEqual([twice[0]]);
  });
});
