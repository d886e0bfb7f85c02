import { describe, expect, it } from 'vitest';
import type { Group } from '../../../../src/review/compare.ts';
import type { Exercise } from '../../../../src/review/exercise.ts';
import { parsePlaces } from '../../../../src/review/touched.ts';
import { formatGroup } from '../../../../src/review/text/comparison-text.ts';
import { formatReview, linesMaxDefault, type ReviewFacts } from '../../../../src/review/text/mail-text.ts';
import type { SideBySide } from '../../../../src/review/side-by-side.ts';
import { makeCase, makeStep } from '../../../../src/case/case.ts';
import { caseOf, failedOf, groupOf, seenOf, withResult } from '../pairs.ts';

const identity = {
  spec: 'debian:6.12',
  release: '6.12.0',
  imageHash: '0123456789abcdef',
  kvmModules: '/m',
  moduleHashes: { 'kvm.ko': 'aaaaaaaaaaaaaaaa', 'kvm-amd.ko': 'bbbbbbbbbbbbbbbb', 'kvm-intel.ko': 'cccccccccccccccc' },
  codeHashes: { 'kvm.ko': 'dddddddddddddddd' },
};
const facts: ReviewFacts = {
  patches: ['KVM: x86: hyper-v: Do something'],
  source: "Debian's source",
  compiler: 'gcc',
  emulator: 'QEMU',
  version: '0.0.0',
  seed: 'x',
  touched: ['kvm_hv_send_ipi (arch/x86/kvm/hyperv.c:1)'],
  exercises: null,
  isAimed: true,
  whitespaceOnly: false,
  outside: [],
  files: new Map(),
};

const small = caseOf(1, [0]);
const large = caseOf(8, [0, 1, 2, 3, 4, 5, 6, 7], 31);
const changed = (value: typeof small, result = 3n) =>
  groupOf({ base: seenOf(value), kernel: seenOf(value, withResult(0, result)) });
const oops = groupOf({ base: seenOf(large), kernel: failedOf(large) });

function review(
  groups: readonly Group[],
  more: Partial<ReviewFacts> = {},
  changes: Partial<SideBySide> = {},
): string[] {
  const comparison: SideBySide = {
    base: identity,
    kernel: identity,
    cpu: 'AuthenticAMD',
    cases: 1,
    hypercalls: 1,
    seconds: 1,
    bootSeconds: 1,
    offers: [],
    counts: null,
    ...changes,
    groups,
    unstable: 0,
    interrupted: false,
  };
  return formatReview(comparison, { ...facts, ...more })
    .trimEnd()
    .split('\n');
}

describe('formatReview', () => {
  it('should keep to its lines for any patch', () => {
    const many = Array.from({ length: 40 }, (_, index) => ({ ...changed(large), key: `new divergence:${index}` }));
    const places = Array.from({ length: 50 }, (_, index) => `function_${index} (file.c:${index})`);
    const lines = review([...many, oops], { patches: places, touched: places, outside: places });

    expect(lines.length).toBeLessThanOrEqual(linesMaxDefault);
    expect(lines).toContain('touches    and 45 more');
    expect(lines.some((line) => /^and \d+ more, by their saved cases$/.test(line))).toBe(true);
  });

  it('should begin with the gravest, though another one is smaller, and then with the smallest', () => {
    const heads = review([{ ...changed(large), key: 'larger' }, { ...changed(small), key: 'smaller' }, oops]);
    const places = ['1. new oops', '2. smaller', '3. larger'].map((head) =>
      heads.findIndex((line) => line.startsWith(head)),
    );

    expect(places.every((place) => place > 0)).toBe(true);
    expect(places.toSorted((left, right) => left - right)).toEqual(places);
  });

  it('should tell what does not repeat alone in one line, and last', () => {
    const unstable = { ...changed(large), key: 'unstable', isRepeatable: false, confirmed: '0/1 alone' };
    const lines = review([unstable, changed(small)]);
    const at = lines.findIndex((line) => line.startsWith('2. unstable'));

    expect(lines[at]).toBe('2. unstable (1 case, confirmed 0/1 alone)');
    expect(lines[at + 1]).toBe('');
    expect(lines[at + 2]).toMatch(/^not tested/);
  });
});

describe('formatReview of what ran', () => {
  const [place] = parsePlaces('arch/x86/kvm/hyperv.c', '---\n@@ -7 +7 @@ f(void)\n-a\n+b\n');
  const other = { ...place!, function: 'g' };
  const verdictOf = (exercises: readonly Exercise[]): string =>
    review([], { exercises }, { kernel: { ...identity, moduleHashes: {}, codeHashes: {} } })
      .join('\n')
      .match(/behaviour changed: .*/)![0];

  it('should know nothing where nothing ran', () => {
    expect(verdictOf([{ place: place!, before: 0, after: 0, idle: [] }])).toMatch(/: not exercised/);
    expect(verdictOf([{ place: place!, before: 3, after: 3, idle: [] }])).toMatch(/: no change seen$/);
    expect(verdictOf([{ place: place!, before: null, after: null, idle: [] }])).toMatch(/no lines of which is known/);
  });

  it('should name what did not run among others', () => {
    const exercises: Exercise[] = [
      { place: place!, before: 3, after: 3, idle: [] },
      { place: other, before: 0, after: 0, idle: [] },
    ];
    const text = review([], { exercises }).join('\n').replaceAll(/\s+/g, ' ');

    expect(verdictOf(exercises)).toMatch(/no change seen in what ran/);
    expect(text).toContain('touches f (arch/x86/kvm/hyperv.c:7): ran 3 before, 3 after');
    expect(text).toContain('g (arch/x86/kvm/hyperv.c:7): not seen to run');
  });
});

describe('formatReview of what KVM offers', () => {
  it('should say why a model expects another thing where the guest sees the same', () => {
    const text = review([{ ...changed(small), kind: 'same' }])
      .join('\n')
      .replaceAll(/\s+/g, ' ');

    expect(text).toContain('0 before, 1 after alike in one of them a guest sees the same before and after');
    expect(review([changed(small)]).join('\n')).not.toContain('alike');
  });

  it('should be a change of its own', () => {
    const offers = [{ what: 'LAPIC split xapic, version', base: '0x1050014', kernel: '0x50014', bits: 'bit 24 gone' }];
    const lines = review([], {}, { offers });

    expect(lines).toContain('behaviour changed: yes');
    expect(lines).toContain('offers     LAPIC split xapic, version: 0x1050014 before, 0x50014 after; bit 24 gone');
  });

  it('should say where it was not read', () => {
    expect(review([], {}, { offers: null }).join('\n')).toContain('what KVM offers at the start (it was not read)');
  });
});

describe('formatGroup', () => {
  it('should name an oops once, however many vCPUs there are', () => {
    const text = formatGroup(oops, { base: 'before', kernel: 'after' });

    expect(text.match(/NULL pointer/g)).toHaveLength(2);
    expect(text).toContain('  after: oops: BUG: kernel NULL pointer in kvm_hv_send_ipi  <--\n');
  });

  it('should say that a LAPIC was not read rather than that it holds nothing', () => {
    const unread = seenOf(small, (observation) => ({
      ...observation,
      steps: observation.steps.map((step) => ({ ...step, lapics: null })),
    }));
    const group = groupOf({ base: seenOf(small), kernel: seenOf(small, withResult(0, 3n)) });
    const text = formatGroup({ ...group, pair: { ...group.pair, base: unread } }, { base: 'before', kernel: 'after' });

    expect(text).toMatch(/before +LAPIC not read/);
    expect(text).toMatch(/contract, after +IRR 0xfe, TMR cleared 0xfe/);
  });

  it('should fold long sets', () => {
    const value = makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], [makeStep({ do: 'init', vcpu: 1 }), small.steps[0]!]);
    const group = groupOf({ base: seenOf(value), kernel: seenOf(value, withResult(1, 3n)) });
    const text = formatGroup(group, { base: 'before', kernel: 'after' });

    expect(text).toContain('TMR cleared 0x0-0xff');
    expect(Math.max(...text.split('\n').map(({ length }) => length))).toBeLessThan(130);
  });
});
