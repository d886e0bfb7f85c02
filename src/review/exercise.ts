/** Which of the places that a patch touches were executed while two kernels were compared. */
import { formatCount } from '../campaign/text/table.ts';
import { describePlaces, type TouchedPlace } from './touched.ts';
import type { LineCounts } from '../counts/line-counts.ts';

/** How often a place ran on each kernel; null where it has no code there: nothing was taken away, or a declaration. */
export interface Exercise {
  readonly place: TouchedPlace;
  readonly before: number | null;
  readonly after: number | null;
  /** Of a place that ran, its lines that were not seen to. */
  readonly idle: readonly number[];
}

/**
 * `all`: every line with code ran; `some`: not every one; `none`: not one; `unknown`: the patch touches no line with
 * code, such as a structure or a macro alone.
 */
export type Exercised = 'all' | 'some' | 'none' | 'unknown';

export function exercisesOf(
  places: readonly TouchedPlace[],
  counts: { readonly base: LineCounts; readonly kernel: LineCounts },
): Exercise[] {
  return places.map((place) => {
    const before = countOf(counts.base, place, place.removed);
    const after = countOf(counts.kernel, place, place.added);
    const ran = (before ?? 0) + (after ?? 0) > 0;
    // What a patch puts in is what is asked about; what it takes away where it puts in nothing.
    const lines = after === null ? idleLines(counts.base, place, 'removed') : idleLines(counts.kernel, place, 'added');
    return { place, before, after, idle: ran ? lines : [] };
  });
}

/** Lines that have code and did not run, and those to which no branch of the statement before them was seen to lead. */
function idleLines(counts: LineCounts, place: TouchedPlace, side: 'removed' | 'added'): number[] {
  const known = counts.get(place.file);
  const lines = place[side];
  if (known === undefined || lines === null) return [];
  const idle: number[] = [];
  for (let line = lines[0]; line <= lines[1]; line++) {
    const own = known.lines.get(line);
    const [before] = own === undefined ? countedLines(known, [line, line]) : [];
    const isLed =
      before === undefined || known.lines.get(before)!.least > 0 || !transfer.test(textAt(place, side, line));
    if (own === undefined ? !isLed : own.count === 0) idle.push(line);
  }
  return idle;
}

/** What is put in stands behind what is taken away. */
function textAt({ text, removed, added }: TouchedPlace, side: 'removed' | 'added', line: number): string {
  const texts = text.split('\n');
  if (side === 'removed') return texts[line - removed![0]] ?? '';
  const behind = removed === null ? 0 : removed[1] - removed[0] + 1;
  return texts[behind + line - added![0]] ?? '';
}

export function isMeasured({ before, after }: Exercise): boolean {
  return before !== null || after !== null;
}

export function hasRun({ before, after }: Exercise): boolean {
  return (before ?? 0) + (after ?? 0) > 0;
}

export function exercised(exercises: readonly Exercise[]): Exercised {
  const measured = exercises.filter(isMeasured);
  if (measured.length === 0) return 'unknown';
  if (measured.every((one) => hasRun(one) && one.idle.length === 0)) return 'all';
  return measured.some(hasRun) ? 'some' : 'none';
}

/**
 * A statement of which gcc often leaves nothing but an edge between two blocks (`return 3;` behind an `if`), so that it has
 * no count of its own, while the statement before it decides whether it runs.
 */
const transfer = /^\s*(?:return|goto|break|continue)\b/m;

/** What of a file has code. */
export interface LinesWithCode {
  readonly lines: Pick<ReadonlyMap<number, unknown>, 'has'>;
  readonly functions: readonly { readonly start: number; readonly end: number }[];
}

/** Those of the lines that have code of their own; else the statement before them. */
export function countedLines({ lines, functions }: LinesWithCode, [first, last]: readonly [number, number]): number[] {
  const own: number[] = [];
  for (let line = first; line <= last; line++) if (lines.has(line)) own.push(line);
  if (own.length > 0) return own;
  const around = functions.find(({ start, end }) => start <= first && first <= end);
  if (around === undefined) return [];
  for (let line = first - 1; line >= around.start; line--) if (lines.has(line)) return [line];
  return [];
}

/** How often the lines ran at most. */
function countOf(
  counts: LineCounts,
  { file, text }: TouchedPlace,
  lines: readonly [number, number] | null,
): number | null {
  const known = counts.get(file);
  if (known === undefined || lines === null) return null;
  const counted = countedLines(known, lines);
  if (counted.length === 0) return null;
  // Which of the branches of a statement before them leads there is not known: what all of them have done is certain.
  const isCertain = counted[0]! >= lines[0] || !transfer.test(text);
  return Math.max(...counted.map((line) => known.lines.get(line)![isCertain ? 'count' : 'least']));
}

/** `kvm_hv_flush_tlb (arch/x86/kvm/hyperv.c:2041,2055)`, with how often it ran; one text a function. */
export function describeExercises(exercises: readonly Exercise[]): string[] {
  return groupByFunction(exercises).map((list) => {
    const [name] = describePlaces(list.map(({ place }) => place));
    const measured = list.filter(isMeasured);
    const ran = measured.filter(hasRun);
    if (measured.length === 0) return `${name!}: no code of its own`;
    if (ran.length === 0) return `${name!}: not seen to run`;
    const part = ran.length === measured.length ? '' : `${ran.length} of ${measured.length} places `;
    const idle = ran.flatMap((one) => one.idle).length;
    const but = idle === 0 ? '' : `, but for ${idle} ${idle === 1 ? 'line' : 'lines'}`;
    return `${name!}: ${part}ran ${times(ran, 'before')} before, ${times(ran, 'after')} after${but}`;
  });
}

/** What has code and never ran, as `kvm_hv_flush_tlb (arch/x86/kvm/hyperv.c:2041)`: places, and lines of others. */
export function neverRan(exercises: readonly Exercise[]): string[] {
  const idle = exercises.filter((one) => isMeasured(one) && (!hasRun(one) || one.idle.length > 0));
  return groupByFunction(idle).flatMap((list) => describePlaces(list.flatMap(idlePlaces)));
}

function idlePlaces(exercise: Exercise): TouchedPlace[] {
  const { place, idle } = exercise;
  if (!hasRun(exercise)) return [place];
  const starts = idle.filter((line) => !idle.includes(line - 1));
  const ends = idle.filter((line) => !idle.includes(line + 1));
  return starts.map((start, index) => ({ ...place, lines: [start, ends[index]!] }));
}

function times(list: readonly Exercise[], side: 'before' | 'after'): string {
  const counts = list.flatMap((one) => one[side] ?? []);
  return counts.length === 0 ? '-' : formatCount(Math.max(...counts));
}

function groupByFunction(exercises: readonly Exercise[]): Exercise[][] {
  const groups = new Map<string, Exercise[]>();
  for (const one of exercises) {
    const key = `${one.place.file} ${one.place.function}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()];
}
