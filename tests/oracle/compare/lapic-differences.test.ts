import { describe, expect, it } from 'vitest';
import type { LapicChanges } from '../../../src/program/observation.ts';
import { lapicDifferences, type LapicPair } from '../../../oracle/compare/lapic-differences.ts';

const none: LapicChanges = new Map();
const quiet: LapicPair = { expected: none, observed: none };
const lapic = (...words: [number, number][]): LapicChanges => new Map(words);
const texts = (now: LapicPair, before = quiet) =>
  lapicDifferences(now, before).map(({ what, expected, observed }) => [what, expected, observed]);

describe('lapicDifferences', () => {
  it('should find none in pages that are the same', () => {
    const page = lapic([0x210, 5], [0x190, 0xffff_fffe], [0xf0, 0xff]);
    expect(lapicDifferences({ expected: page, observed: new Map(page) }, quiet)).toEqual([]);
  });

  it.each<[string, number, number, string, string, 'set' | 'clear']>([
    ['IRR', 0x200, 0, 'nothing pending', '0x04 pending', 'set'],
    ['IRR', 0x270, 0, 'nothing pending', '0xe4 pending', 'set'],
    ['ISR', 0x100, 0, 'nothing in service', '0x04 in service', 'set'],
    ['ISR', 0x170, 0, 'nothing in service', '0xe4 in service', 'set'],
    ['TMR', 0x180, 0xffff_ffff, 'nothing cleared', '0x04 cleared', 'clear'],
    ['TMR', 0x1f0, 0xffff_ffff, 'nothing cleared', '0xe4 cleared', 'clear'],
  ])('should show a bit of %s at 0x%i as a vector, both ways', (what, offset, atSetup, without, withIt, way) => {
    const vector = ((offset & 0x70) >>> 4) * 32 + 4;
    const changed = lapic([offset, (atSetup ^ 0x10) >>> 0]);
    const extra = lapicDifferences({ expected: none, observed: changed }, quiet);
    const missing = lapicDifferences({ expected: changed, observed: none }, quiet);
    const [onlyExpected, onlyObserved] = way === 'set' ? [[], [vector]] : [[vector], []];
    expect(extra).toEqual([{ what, expected: without, observed: withIt, onlyExpected, onlyObserved }]);
    expect(missing).toEqual([
      { what, expected: withIt, observed: without, onlyExpected: onlyObserved, onlyObserved: onlyExpected },
    ]);
  });

  it('should name the bits that each side has alone', () => {
    const [difference] = lapicDifferences(
      { expected: lapic([0x210, 7]), observed: lapic([0x210, 0x8000_0006]) },
      quiet,
    );
    expect(difference).toEqual({
      what: 'IRR',
      expected: '0x22-0x20 pending',
      observed: '0x3f, 0x22, 0x21 pending',
      onlyExpected: [0x20],
      onlyObserved: [0x3f],
    });
  });

  it('should report what differed before no more, and what is new alone', () => {
    const before = { expected: lapic([0x210, 1]), observed: none };
    expect(lapicDifferences(before, before)).toEqual([]);
    const now = { expected: lapic([0x210, 3]), observed: none };
    expect(lapicDifferences(now, before)).toMatchObject([{ what: 'IRR', onlyExpected: [0x21], onlyObserved: [] }]);
  });

  it('should show other words as they are, by address, next to those of vectors', () => {
    const now = {
      expected: lapic([0xa0, 0x20], [0x80, 0x20]),
      observed: lapic([0xf0, 0xff], [0x80, 0x30], [0xa0, 0x30], [0x210, 1]),
    };
    expect(texts(now)).toEqual([
      ['IRR', 'nothing pending', '0x20 pending'],
      ['LAPIC TPR', '0x00000020', '0x00000030'],
      ['LAPIC PPR', '0x00000020', '0x00000030'],
      ['LAPIC SPIV', 'as set up', '0x000000ff'],
    ]);
    expect(lapicDifferences(now, quiet)[1]).toMatchObject({ onlyExpected: [], onlyObserved: [] });
  });

  it.each([0xf0, 0x280, 0x90])('should not take a word at 0x%i for one of a set of vectors', (offset) => {
    expect(texts({ expected: none, observed: lapic([offset, 0x10]) })).toHaveLength(1);
    expect(texts({ expected: none, observed: lapic([offset, 0x10]) })[0]![0]).toMatch(/^LAPIC /);
  });

  it('should report another word again only when it changed', () => {
    const before = { expected: none, observed: lapic([0xf0, 0xff]) };
    expect(texts(before, before)).toEqual([]);
    expect(texts({ expected: none, observed: lapic([0xf0, 0x1fe]) }, before)).toEqual([
      ['LAPIC SPIV', 'as set up', '0x000001fe'],
    ]);
    expect(texts({ expected: lapic([0xf0, 0xfe]), observed: none }, before)).toEqual([
      ['LAPIC SPIV', '0x000000fe', 'as set up'],
    ]);
  });

  it('should report a word that should have changed and did not', () => {
    expect(texts({ expected: lapic([0xf0, 0xff]), observed: none })).toEqual([
      ['LAPIC SPIV', '0x000000ff', 'as set up'],
    ]);
    const before = { expected: lapic([0xf0, 0xff]), observed: lapic([0xf0, 0xff]) };
    expect(texts({ expected: none, observed: lapic([0xf0, 0xff]) }, before)).toEqual([
      ['LAPIC SPIV', 'as set up', '0x000000ff'],
    ]);
  });
});
