/** Counts of lines as a table for a terminal: what ran of each file, and which functions never did, and why. */
import { formatTable } from '../campaign/text/table.ts';
import type { Trace, TracedFile } from './lcov.ts';
import { reasonFor } from './unreached.ts';

/** Where the calls go through, and who delivers. */
export const countedFiles = ['arch/x86/kvm/hyperv.c', 'arch/x86/kvm/lapic.c'] as const;

export interface FileCoverage {
  /** Below the tree. */
  readonly file: string;
  /** As the trace has it. */
  readonly path: string;
  readonly lines: Share;
  readonly functions: Share;
  /** Functions that never ran; `why` is null where that is not explained. */
  readonly idle: readonly { readonly name: string; readonly why: string | null }[];
}

export interface Share {
  readonly part: number;
  readonly whole: number;
}

/** Those of the files that the trace has, in their order. */
export function coverageOf(trace: Trace, files: readonly string[]): FileCoverage[] {
  return files.flatMap((file) => {
    const [path, traced] = [...trace].find(([one]) => one.endsWith(`/${file}`)) ?? [];
    return path === undefined || traced === undefined ? [] : [fileCoverage(file, path, traced)];
  });
}

function fileCoverage(file: string, path: string, { lines, functions }: TracedFile): FileCoverage {
  const idle = [...functions].filter(([, { count }]) => count === 0);
  return {
    file,
    path,
    lines: { part: [...lines.values()].filter((count) => count > 0).length, whole: lines.size },
    functions: { part: functions.size - idle.length, whole: functions.size },
    idle: idle.map(([name]) => ({ name, why: reasonFor(file, name) })),
  };
}

/** A line for each file, then the functions that never ran, by the reason. */
export function formatCoverage(files: readonly FileCoverage[]): string {
  const rows = files.map(({ file, lines, functions }) => [
    file,
    formatShare(lines, 'lines'),
    formatShare(functions, 'functions'),
  ]);
  const idle = files.flatMap(({ file, idle: all }) => {
    const reasons = [...new Set(all.map(({ why }) => why))];
    return reasons.map((why) => {
      const names = all.filter((one) => one.why === why).map(({ name }) => name);
      return `${file}: never called${why === null ? '' : `, since ${why}`}\n${columns(names)}`;
    });
  });
  return `${formatTable(rows)}${idle.join('')}`;
}

/** `12 of 40 lines (30 %)`. */
export function formatShare({ part, whole }: Share, what: string): string {
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
