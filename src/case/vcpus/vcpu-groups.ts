/**
 * vCPUs in texts: a machine of a few has a line for each of them, in a larger one all those that say the same share a
 * line.
 */
import { formatList } from '../cpulist.ts';

/** Machines of up to so many vCPUs are shown vCPU by vCPU. */
const singlyMax = 8;
/** Longest list of positions in a line. */
const listMax = 32;

/**
 * Positions of the vCPUs that share a line, in the order of the first of each; `textOf` is what would be in a vCPU's line.
 *
 * @param apartMax up to so many vCPUs do not share lines.
 */
export function groupVcpus(
  count: number,
  textOf: (position: number) => string,
  apartMax: number = singlyMax,
): number[][] {
  const positions = Array.from({ length: count }, (_, position) => position);
  if (count <= apartMax) return positions.map((position) => [position]);
  const groups = new Map<string, number[]>();
  for (const position of positions) {
    const text = textOf(position);
    const group = groups.get(text);
    if (group === undefined) groups.set(text, [position]);
    else group.push(position);
  }
  return [...groups.values()];
}

/** `vCPU 3 (VP 65)`, or `1020 vCPUs: 0,3-1022`. */
export function nameVcpus(positions: readonly number[], vpIndexes: readonly number[]): string {
  const [first] = positions;
  if (positions.length === 1) return `vCPU ${first} (VP ${vpIndexes[first!]})`;
  return `${positions.length} vCPUs: ${shortList(positions)}`;
}

/** The numbers as a list that is cut where it gets long. */
export function shortList(numbers: readonly number[]): string {
  const list = formatList(numbers);
  return list.length <= listMax ? list : `${list.slice(0, list.lastIndexOf(',', listMax - 3) + 1)}...`;
}
