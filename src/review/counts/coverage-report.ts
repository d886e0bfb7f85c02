/** Counts of lines as a table for a terminal, and in the form that lcov and its relatives read. */
import { formatTable } from '../../campaign/text/table.ts';
import type { FileCounts, LineCounts } from './line-counts.ts';

/** Files, each with how many of its lines and functions ran, and which functions never did. */
export function formatCoverage(counts: LineCounts, files: readonly string[]): string {
  const known = files.flatMap((file) => {
    const found = counts.get(file);
    return found === undefined ? [] : [[file, found] as const];
  });
  const rows = known.map(([file, { lines, functions }]) => [
    file,
    share([...lines.values()].filter(({ count }) => count > 0).length, lines.size, 'lines'),
    share(functions.filter(({ count }) => count > 0).length, functions.length, 'functions'),
  ]);
  const idle = known.map(([file, { functions }]) => {
    const names = functions.flatMap(({ name, count }) => (count === 0 ? [name] : []));
    return names.length === 0 ? '' : `${file}: never called\n${columns(names)}`;
  });
  return `${formatTable(rows)}${idle.join('')}`;
}

function share(part: number, whole: number, what: string): string {
  return `${part} of ${whole} ${what}${whole === 0 ? '' : ` (${Math.round((100 * part) / whole)} %)`}`;
}

const widthMax = 96;

function columns(names: readonly string[]): string {
  let text = '';
  let line = ' ';
  for (const name of names) {
    if (line.length + name.length >= widthMax) {
      text += `${line}\n`;
      line = ' ';
    }
    line += ` ${name}`;
  }
  return `${text}${line}\n`;
}

/** The tracefile format of lcov (geninfo(1)), with paths in the tree that the modules were built in. */
export function toLcov(counts: LineCounts, tree: string): string {
  return [...counts].map(([file, found]) => recordOf(`${tree}/${file}`, found)).join('');
}

function recordOf(path: string, { lines, functions }: FileCounts): string {
  const ordered = [...lines].sort(([left], [right]) => left - right);
  const text = [
    'TN:',
    `SF:${path}`,
    ...functions.map(({ name, start }) => `FN:${start},${name}`),
    ...functions.map(({ name, count }) => `FNDA:${count},${name}`),
    `FNF:${functions.length}`,
    `FNH:${functions.filter(({ count }) => count > 0).length}`,
    ...ordered.map(([line, { count }]) => `DA:${line},${count}`),
    `LF:${ordered.length}`,
    `LH:${ordered.filter(([, { count }]) => count > 0).length}`,
    'end_of_record',
  ];
  return `${text.join('\n')}\n`;
}
