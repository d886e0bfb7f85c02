/** A review as plain text that can be pasted below the `---` of a mail: no tabs, no wide tables, no colours. */
import { formatCount } from '../campaign/text/table.ts';
import type { Group } from './compare.ts';
import { formatMinimal, wrapped } from './comparison-text.ts';
import { visibleGroups } from './comparison-summary.ts';
import { formatModules } from './kernel-identity.ts';
import type { SideBySide } from './side-by-side.ts';

export interface ReviewFacts {
  readonly patches: readonly string[];
  readonly source: string;
  readonly compiler: string;
  readonly qemu: string;
  readonly version: string;
  readonly seed: string;
  /** Functions and lines that the patch changes. */
  readonly touched: readonly string[];
  /** Whether generation could be aimed at them. */
  readonly isAimed: boolean;
  readonly whitespaceOnly: boolean;
  /** Files of the patch that no module is built from. */
  readonly outside: readonly string[];
  /** Saved cases by the groups' keys. */
  readonly files: ReadonlyMap<string, string>;
}

/** What the lab cannot show, whatever the patch. */
const neverTested = ['Intel (VMX, APICv)', 'AVIC', 'nested guests', 'real hardware', 'concurrent callers'];

function line(label: string, items: readonly string[]): string[] {
  return [wrapped(label, items, '').trimEnd()];
}

/** The block, from `---` on. */
export function formatReview(comparison: SideBySide, facts: ReviewFacts): string {
  const { cases, hypercalls, seconds, base, kernel, groups, unstable } = comparison;
  const visible = visibleGroups(comparison);
  const sameModules = JSON.stringify(base.moduleHashes) === JSON.stringify(kernel.moduleHashes);
  const lines = [
    '---',
    `hvipi ${facts.version}: Hyper-V IPI hypercalls, before and after the patch`,
    ...facts.patches.map((title) => `patch      ${title}`),
    `source     ${facts.source}`,
    `compiler   ${facts.compiler}`,
    `kernel     ${kernel.release}, bzImage ${kernel.imageHash.slice(0, 12)}`,
    ...line('before     ', formatModules(base)),
    ...line('after      ', [...formatModules(kernel), ...(sameModules ? ['the same byte for byte'] : [])]),
    `run in     ${facts.qemu}, emulated ${comparison.cpu}`,
    `cases      ${formatCount(cases)} (${formatCount(hypercalls)} hypercalls) on each, ${seconds.toFixed(0)} s, seed ${facts.seed}`,
    ...touchedLines(facts),
    `divergences from the model of KVM: ${divergences(groups, 'base')} before, ${divergences(groups, 'kernel')} after`,
    ...(unstable === 0 ? [] : [`unstable   ${unstable} cases differed in a batch once, and not again`]),
    `behaviour changed: ${visible.length === 0 ? 'no change seen' : 'yes'}`,
    ...visible.flatMap((group, index) => ['', ...groupLines(group, index + 1, facts)]),
    '',
    ...line('not tested ', [...neverTested, ...facts.outside.map((file) => `${file} (in no KVM module)`)]),
  ];
  return `${lines.join('\n')}\n`;
}

function touchedLines({ touched, isAimed, whitespaceOnly }: ReviewFacts): string[] {
  const first = whitespaceOnly ? ['touches    blanks only'] : [];
  const places = touched.map((text) => `touches    ${text}`);
  const aim = isAimed
    ? 'every other batch at these places'
    : 'as usual: it touches nothing that these calls are known for';
  return [...first, ...places, `aimed      ${aim}`];
}

function divergences(groups: readonly Group[], side: 'base' | 'kernel'): number {
  const isProblem = ({ pair }: Group): boolean => !['match', 'deviation'].includes(pair[side].judgement.class);
  return groups.filter(isProblem).length;
}

function groupLines(group: Group, number: number, { files }: ReviewFacts): string[] {
  const { key, cases, confirmed } = group;
  const file = files.get(key);
  return [
    `${number}. ${key} (${formatCount(cases)} ${cases === 1 ? 'case' : 'cases'}, confirmed ${confirmed})`,
    ...formatMinimal(group, { base: 'before', kernel: 'after' }).trimEnd().split('\n'),
    ...(file === undefined ? [] : [`  saved as ${file}`]),
  ];
}
