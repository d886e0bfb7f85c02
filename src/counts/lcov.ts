/**
 * Counts of lines in the form that lcov and its relatives read (geninfo(1)), which is also how they are kept: files of several
 * runs add up.
 */
import type { FileCounts, LineCounts } from './line-counts.ts';

/** What a tracefile has of a source file. */
export interface TracedFile {
  readonly lines: ReadonlyMap<number, number>;
  readonly functions: ReadonlyMap<string, { readonly start: number; readonly count: number }>;
}

/** By the paths that stand in the file. */
export type Trace = ReadonlyMap<string, TracedFile>;

export function traceOf(counts: LineCounts, tree: string): Trace {
  return new Map([...counts].map(([file, found]) => [`${tree}/${file}`, tracedFile(found)]));
}

function tracedFile({ lines, functions }: FileCounts): TracedFile {
  return {
    lines: new Map([...lines].map(([line, { count }]) => [line, count])),
    functions: new Map(functions.map(({ name, start, count }) => [name, { start, count }])),
  };
}

export function formatLcov(trace: Trace): string {
  return [...trace].map(([path, traced]) => recordOf(path, traced)).join('');
}

function recordOf(path: string, { lines, functions }: TracedFile): string {
  const ordered = [...lines].sort(([left], [right]) => left - right);
  const named = [...functions];
  const text = [
    'TN:',
    `SF:${path}`,
    ...named.map(([name, { start }]) => `FN:${start},${name}`),
    ...named.map(([name, { count }]) => `FNDA:${count},${name}`),
    `FNF:${named.length}`,
    `FNH:${named.filter(([, { count }]) => count > 0).length}`,
    ...ordered.map(([line, count]) => `DA:${line},${count}`),
    `LF:${ordered.length}`,
    `LH:${ordered.filter(([, count]) => count > 0).length}`,
    'end_of_record',
  ];
  return `${text.join('\n')}\n`;
}

/** What `formatLcov` writes; records of other kinds are passed over. */
export function parseLcov(text: string): Trace {
  const trace = new Map<string, TracedFile>();
  let lines = new Map<number, number>();
  let functions = new Map<string, { start: number; count: number }>();
  for (const line of text.split('\n')) {
    const [, kind, rest = ''] = /^(\w+):(.*)$/.exec(line) ?? [];
    const [first, second = ''] = splitOnce(rest);
    if (kind === 'SF') {
      [lines, functions] = [new Map(), new Map()];
      trace.set(rest, { lines, functions });
    } else if (kind === 'FN') functions.set(second, { start: Number(first), count: 0 });
    else if (kind === 'FNDA') functions.set(second, { start: functions.get(second)?.start ?? 0, count: Number(first) });
    else if (kind === 'DA') lines.set(Number(first), Number(second));
  }
  return trace;
}

function splitOnce(text: string): [string, string?] {
  const at = text.indexOf(',');
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** Counts of several runs of one kernel together. */
export function addTraces(traces: readonly Trace[]): Trace {
  const all = new Map<
    string,
    { lines: Map<number, number>; functions: Map<string, { start: number; count: number }> }
  >();
  for (const [path, { lines, functions }] of traces.flatMap((trace) => [...trace])) {
    const into = all.get(path) ?? { lines: new Map(), functions: new Map() };
    all.set(path, into);
    for (const [line, count] of lines) into.lines.set(line, (into.lines.get(line) ?? 0) + count);
    for (const [name, { start, count }] of functions) {
      into.functions.set(name, { start, count: (into.functions.get(name)?.count ?? 0) + count });
    }
  }
  return all;
}

/** Everything that was counted: of two files of one run the larger one is the later one. */
export function totalOf(trace: Trace): number {
  let total = 0;
  for (const { lines } of trace.values()) for (const count of lines.values()) total += count;
  return total;
}
