/** A review as plain text that can be pasted below the `---` of a mail: no tabs, no wide tables, no colours. */
import { isProblem } from '../../campaign/judgement.ts';
import { formatCount } from '../../campaign/text/table.ts';
import type { Group } from '../compare.ts';
import { wrapped } from './comparison-text.ts';
import { describeExercises, type Exercise, neverRan } from '../exercise.ts';
import { groupLines } from './group-lines.ts';
import { visibleGroups } from './comparison-summary.ts';
import { formatModules, sameModules } from '../kernel-identity.ts';
import { formatOfferDifference, type OfferDifference } from '../offer/offer-difference.ts';
import type { SideBySide } from '../side-by-side.ts';
import { type Verdict, verdictOf } from '../verdict.ts';

export interface ReviewFacts {
  readonly patches: readonly string[];
  readonly source: string;
  readonly compiler: string;
  readonly emulator: string;
  readonly version: string;
  readonly seed: string;
  /** Functions and lines that the patch changes. */
  readonly touched: readonly string[];
  /** Which of them ran; null where that was not measured. */
  readonly exercises: readonly Exercise[] | null;
  /** Whether generation could be aimed at them. */
  readonly isAimed: boolean;
  readonly whitespaceOnly: boolean;
  /** Files of the patch that no module is built from. */
  readonly outside: readonly string[];
  /** Saved cases by the groups' keys. */
  readonly files: ReadonlyMap<string, string>;
}

/** What fits a mail without being scrolled over. */
export const linesMaxDefault = 60;

/** What the lab cannot show, whatever the patch. */
const neverTested = ['Intel (VMX, APICv)', 'AVIC', 'nested guests', 'real hardware', 'concurrent callers'];

function line(label: string, items: readonly string[]): string[] {
  return wrapped(label, items, '').trimEnd().split('\n');
}

/** Of everything but the groups, together some 30 lines. */
const listMax = 6;

/** The block, from `---` on: at most `linesMax` lines, whatever the patch, but for what a group's first lines take. */
export function formatReview(comparison: SideBySide, facts: ReviewFacts, linesMax = linesMaxDefault): string {
  const { cases, hypercalls, seconds, base, kernel, groups, unstable, offers } = comparison;
  const visible = visibleGroups(comparison);
  const head = [
    '---',
    `hvipi ${facts.version}: Hyper-V IPI hypercalls, before and after the patch`,
    ...firstOf(facts.patches).map((title) => `patch      ${title}`),
    `source     ${facts.source}`,
    `compiler   ${facts.compiler}`,
    `kernel     ${kernel.release}, bzImage ${kernel.imageHash.slice(0, 12)}`,
    ...line('before     ', formatModules(base)),
    ...line('after      ', [...formatModules(kernel), ...sameTexts[sameModules(base, kernel) ?? 'other']]),
    `run in     ${facts.emulator}, emulated ${comparison.cpu}`,
    `cases      ${formatCount(cases)} (${formatCount(hypercalls)} hypercalls) on each, ${seconds.toFixed(0)} s, seed ${facts.seed}`,
    ...touchedLines(facts),
    `divergences from the model of KVM: ${divergences(groups, 'base')} before, ${divergences(groups, 'kernel')} after`,
    ...alikeLines(groups),
    ...(unstable === 0 ? [] : [`unstable   ${unstable} cases differed in a batch once, and not again`]),
    `behaviour changed: ${verdictTexts[verdictOf(comparison, facts.exercises)]}`,
    ...offerLines(offers ?? []),
  ];
  const outside = firstOf(facts.outside.map((file) => `${file} (in no KVM module)`));
  const unread = offers === null ? ['what KVM offers at the start (it was not read)'] : [];
  const idle = firstOf(neverRan(facts.exercises ?? []).map((place) => `${place}: not seen to run`));
  const tail = ['', ...line('not tested ', [...neverTested, ...unread, ...idle, ...outside])];
  const lines = [...head, ...groupLines(visible, facts.files, linesMax - head.length - tail.length), ...tail];
  return `${lines.join('\n')}\n`;
}

/** The first of a list, and how many there are besides. */
function firstOf(items: readonly string[]): string[] {
  if (items.length <= listMax) return [...items];
  return [...items.slice(0, listMax - 1), `and ${formatCount(items.length - listMax + 1)} more`];
}

/** What differs before a case runs: capabilities, CPUID, LAPIC page, MSRs. */
function offerLines(offers: readonly OfferDifference[]): string[] {
  const names = { base: 'before', kernel: 'after' };
  return firstOf(offers.map((offer) => formatOfferDifference(offer, names))).map((text) => `offers     ${text}`);
}

const sameTexts = { bytes: ['the same byte for byte'], code: ['the same but for the build ID'], other: [] } as const;

const verdictTexts: Readonly<Record<Verdict, string>> = {
  changed: 'yes',
  'same-modules': 'no change seen',
  unmeasured: 'no change seen',
  all: 'no change seen',
  some: 'no change seen in what ran; what was not seen to run is below',
  none: 'not exercised: no line that the patch touches was seen to run',
  unknown: 'no change seen; what is touched has no lines of which is known that they ran',
};

function touchedLines({ touched, exercises, isAimed, whitespaceOnly }: ReviewFacts): string[] {
  const first = whitespaceOnly ? ['touches    blanks only'] : [];
  const places = firstOf(exercises === null ? touched : describeExercises(exercises)).map(
    (text) => `touches    ${text}`,
  );
  const aim = isAimed
    ? 'every other batch, by which of these lines ran'
    : 'as usual: of what it touches no line is counted';
  return [...first, ...places, `aimed      ${aim}`];
}

/** A limit or a capability that the model goes by may have changed, and nothing else. */
function alikeLines(groups: readonly Group[]): string[] {
  const alike = groups.filter(({ kind, pair: { base, kernel } }) => {
    return kind === 'same' && isProblem(base.judgement) !== isProblem(kernel.judgement);
  }).length;
  if (alike === 0) return [];
  const subject = alike === 1 ? 'one of them' : `${alike} of them`;
  return line('alike      ', [
    `in ${subject} a guest sees the same before and after; what KVM offers makes the model expect another thing`,
  ]);
}

function divergences(groups: readonly Group[], side: 'base' | 'kernel'): number {
  return groups.filter(({ pair }) => isProblem(pair[side].judgement)).length;
}
