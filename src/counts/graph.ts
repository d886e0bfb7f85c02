/**
 * Blocks and arcs of functions from gcc's notes, and how often each was taken, from counters. gcov makes lines of the same;
 * this is for asking often, since it starts no process. Source: gcc's gcov-io.h and gcov.cc (solve_flow_graph).
 */
import type { FunctionCounters } from './counters.ts';

export interface Graph extends FunctionId {
  readonly name: string;
  /** As gcc names it, and the lines that the function begins and ends in. */
  readonly file: string;
  readonly start: number;
  readonly end: number;
  /** Source lines of each block, by files as gcc names them. */
  readonly blocks: readonly (readonly SourceLine[])[];
  readonly arcs: readonly Arc[];
}

/** By which counters and notes name a function. */
export type FunctionId = Pick<FunctionCounters, 'ident' | 'lineChecksum' | 'cfgChecksum'>;

export interface SourceLine {
  readonly file: string;
  readonly line: number;
}

export interface Arc {
  readonly from: number;
  readonly to: number;
  /** Without a counter of its own. */
  readonly isOnTree: boolean;
  /** A call that may not return, not a branch of the source. */
  readonly isFake: boolean;
}

const functionTag = 0x0100_0000;
const arcsTag = 0x0143_0000;
const blocksTag = 0x0141_0000;
const linesTag = 0x0145_0000;
const [onTree, fake] = [1, 2];

/** 12 of `B22*`, as gcc writes its version in four letters. */
export function gccVersionOf(note: Buffer): number {
  const version = note.readUInt32LE(4);
  return ((version >>> 24) - 0x41) * 10 + (((version >>> 16) & 0xff) - 0x30);
}

/** The folder in which the compiler ran, and the functions of a note. */
export function graphsOf(note: Buffer): { readonly folder: string; readonly graphs: readonly Graph[] } {
  // From gcc 12 on lengths are in bytes, before that in words.
  const isNew = gccVersionOf(note) >= 12;
  const unit = isNew ? 1 : 4;
  const reader = new NoteReader(note, unit);
  // Behind magic number, version and stamp, and from gcc 12 on a checksum: the folder.
  reader.at = isNew ? 16 : 12;
  const folder = reader.text();
  // Whether blocks that never run are marked.
  reader.word();
  const graphs: (Graph & { blocks: SourceLine[][]; arcs: Arc[] })[] = [];
  while (reader.at + 8 <= note.length) {
    const tag = reader.word();
    const end = reader.word() * unit + reader.at;
    const graph = graphs.at(-1);
    if (tag === functionTag) {
      graphs.push({ ...reader.head(), blocks: [], arcs: [] });
    } else if (graph !== undefined && tag === blocksTag) {
      graph.blocks = Array.from({ length: reader.word() }, () => []);
    } else if (graph !== undefined && tag === arcsTag) {
      const from = reader.word();
      while (reader.at < end) {
        const [to, flags] = [reader.word(), reader.word()];
        graph.arcs.push({ from, to, isOnTree: (flags & onTree) !== 0, isFake: (flags & fake) !== 0 });
      }
    } else if (graph !== undefined && tag === linesTag) {
      graph.blocks[reader.word()]!.push(...reader.lines());
    }
    reader.at = end;
  }
  return { folder, graphs };
}

class NoteReader {
  at = 0;
  readonly #bytes: Buffer;
  readonly #unit: number;

  constructor(bytes: Buffer, unit: number) {
    this.#bytes = bytes;
    this.#unit = unit;
  }

  word(): number {
    this.at += 4;
    return this.#bytes.readUInt32LE(this.at - 4);
  }

  text(): string {
    const length = this.word() * this.#unit;
    this.at += length;
    return this.#bytes.toString('latin1', this.at - length, this.at).replace(/\0+$/, '');
  }

  /** What a function's record begins with. */
  head(): Omit<Graph, 'blocks' | 'arcs'> {
    const [ident, lineChecksum, cfgChecksum] = [this.word(), this.word(), this.word()];
    const name = this.text();
    // Whether the compiler made the function up.
    this.word();
    const file = this.text();
    const start = this.word();
    // The column.
    this.word();
    return { ident, lineChecksum, cfgChecksum, name, file, start, end: this.word() };
  }

  /** Numbers of lines; 0 is followed by the file of those behind it, and by "" at the end. */
  lines(): SourceLine[] {
    const found: SourceLine[] = [];
    for (let file = ''; ;) {
      const line = this.word();
      if (line !== 0) {
        found.push({ file, line });
        continue;
      }
      file = this.text();
      if (file === '') return found;
    }
  }
}

/** How often blocks and arcs were taken. */
export interface Flow {
  readonly blocks: readonly number[];
  readonly arcs: readonly number[];
}

/** What goes into a block comes out of it: from the arcs with counters follow all others. */
export function flowOf({ blocks, arcs }: Graph, counters: readonly bigint[]): Flow {
  const counts: (number | null)[] = arcs.map(() => null);
  let next = 0;
  for (const [index, { isOnTree }] of arcs.entries()) if (!isOnTree) counts[index] = Number(counters[next++] ?? 0n);
  const into: number[][] = blocks.map(() => []);
  const outOf: number[][] = blocks.map(() => []);
  for (const [index, { from, to }] of arcs.entries()) {
    outOf[from]!.push(index);
    into[to]!.push(index);
  }
  const totals: (number | null)[] = blocks.map(() => null);
  for (let isChanged = true; isChanged;) {
    isChanged = false;
    for (const block of blocks.keys()) {
      for (const side of [into[block]!, outOf[block]!]) {
        // The entry has nothing before it, and the exit nothing behind it.
        if (side.length === 0) continue;
        const unknown = side.filter((index) => counts[index] === null);
        const sum = side.reduce((total, index) => total + (counts[index] ?? 0), 0);
        const total = totals[block]!;
        if (unknown.length === 0 && total === null) totals[block] = sum;
        else if (unknown.length === 1 && total !== null) counts[unknown[0]!] = total - sum;
        else continue;
        isChanged = true;
      }
    }
  }
  return { blocks: totals.map((total) => total ?? 0), arcs: counts.map((count) => count ?? 0) };
}
