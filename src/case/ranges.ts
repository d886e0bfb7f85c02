/** Numbers in texts: those that follow each other, upwards or downwards, are a range. */

/** Two neighbours are as short as a range of them. */
const rangeMin = 3;

/** The numbers in their order, runs of three and more as `first-last`: 0x10 0x11 0x12 0x30 as `0x10-0x12`, `0x30`. */
export function foldRanges(numbers: readonly number[], textOf: (number: number) => string): string[] {
  const parts: string[] = [];
  for (let start = 0; start < numbers.length;) {
    const end = endOfRun(numbers, start);
    const run = numbers.slice(start, end);
    if (run.length < rangeMin) parts.push(...run.map(textOf));
    else parts.push(`${textOf(run[0]!)}-${textOf(run.at(-1)!)}`);
    start = end;
  }
  return parts;
}

/** How many numbers texts of `foldRanges` stand for. */
export function countFolded(parts: readonly string[]): number {
  return parts.reduce((count, part) => {
    const [first, last] = part.split('-').map(Number) as [number, number | undefined];
    return count + (last === undefined ? 1 : Math.abs(last - first) + 1);
  }, 0);
}

/** The place behind the run of neighbours that begins at `start`. */
function endOfRun(numbers: readonly number[], start: number): number {
  const direction = numbers[start + 1]! - numbers[start]!;
  if (Math.abs(direction) !== 1) return start + 1;
  let end = start + 2;
  while (end < numbers.length && numbers[end] === numbers[end - 1]! + direction) end++;
  return end;
}
