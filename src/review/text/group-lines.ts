/**
 * Groups in a limited number of lines: the gravest whole, the next as far as there is room, the rest in a line each.
 */
import { formatCount } from '../../campaign/text/table.ts';
import type { Group } from '../compare.ts';
import { formatMinimal } from './comparison-text.ts';
import { byGravity } from './group-order.ts';

/** Lines that are kept free for groups behind the first one. */
const reservedMax = 6;

/** Lines of groups, each with an empty line before it where it is told whole; not more than `room` if that can be. */
export function groupLines(groups: readonly Group[], files: ReadonlyMap<string, string>, room: number): string[] {
  const ordered = byGravity(groups);
  const heads = ordered.map((group, index) => `${index + 1}. ${headOf(group)}`);
  const shorts = ordered.map((group, index) => shortLine(group, heads[index]!, files));
  const lines: string[] = [];
  for (const [index, group] of ordered.entries()) {
    const behind = ordered.length - index - 1;
    const free = room - lines.length;
    const left = free - Math.min(behind, reservedMax);
    const whole = group.isRepeatable ? wholeLines(group, heads[index]!, files) : null;
    if (whole !== null && whole.length <= left) lines.push(...whole);
    else if (whole !== null && index === 0) lines.push(...cut(whole, left));
    else if (free > 1 || (free === 1 && behind === 0)) lines.push(shorts[index]!);
    else {
      lines.push(`and ${formatCount(behind + 1)} more, by their saved cases`);
      break;
    }
  }
  return lines;
}

/** `new divergence:bank-count-mismatch/result (171 cases, confirmed 10/10)`. */
function headOf({ key, cases, confirmed }: Group): string {
  return `${key} (${formatCount(cases)} ${cases === 1 ? 'case' : 'cases'}, confirmed ${confirmed})`;
}

function shortLine({ key, isRepeatable }: Group, head: string, files: ReadonlyMap<string, string>): string {
  const file = files.get(key);
  return isRepeatable && file !== undefined ? `${head}: ${file}` : head;
}

function wholeLines(group: Group, head: string, files: ReadonlyMap<string, string>): string[] {
  const file = files.get(group.key);
  const minimal = formatMinimal(group, { base: 'before', kernel: 'after' }).trimEnd().split('\n');
  return ['', head, ...minimal, ...(file === undefined ? [] : [`  saved as ${file}`])];
}

/** The first lines and the last one, which says where the rest is. */
function cut(lines: readonly string[], room: number): string[] {
  const kept = lines.slice(0, Math.max(2, room - 2));
  return [...kept, `  ... and ${lines.length - 1 - kept.length} lines more`, lines.at(-1)!];
}
