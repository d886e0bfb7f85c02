/** Sets of small numbers in the text form that kernel developers know from cpusets: "0-3,65". */

/** Formats a set; duplicates and order do not matter. The empty set is "". */
export function formatList(numbers: readonly number[]): string {
  const sorted = isAscending(numbers) ? numbers : [...new Set(numbers)].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let start = 0; start < sorted.length;) {
    let end = start;
    while (end + 1 < sorted.length && sorted[end + 1] === sorted[end]! + 1) end++;
    parts.push(end === start ? `${sorted[start]}` : `${sorted[start]}-${sorted[end]}`);
    start = end + 1;
  }
  return parts.join(',');
}

function isAscending(numbers: readonly number[]): boolean {
  for (let place = 1; place < numbers.length; place++) if (numbers[place - 1]! >= numbers[place]!) return false;
  return true;
}

/** Decimal as cpusets are written, or hexadecimal as vectors are. */
const listPart = /^(\d{1,6}|0x[0-9a-f]{1,5})(?:-(\d{1,6}|0x[0-9a-f]{1,5}))?$/i;

/**
 * Parses a set whose members are all below `limit`; ascending, without duplicates.
 *
 * @throws Error that names the wrong part.
 */
export function parseList(text: string, limit: number): number[] {
  const members = new Set<number>();
  if (text === '') return [];
  for (const part of text.split(',')) {
    const match = listPart.exec(part.trim());
    if (match === null) throw new Error(`"${part}" is neither a number nor a range like 3-7 or 0x30-0x3f`);
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (last < first) throw new Error(`the range "${part}" runs backwards`);
    if (last >= limit) throw new Error(`${last} is above ${limit - 1}`);
    for (let member = first; member <= last; member++) members.add(member);
  }
  return [...members].sort((a, b) => a - b);
}
