/** Counters as counts of source lines, by gcov, which knows the blocks of each function from gcc's notes. */
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { InfrastructureError } from '../errors.ts';
import type { Counted } from './count-reader.ts';
import type { CountedModules } from './counted-folder.ts';
import { dataFile } from './counters.ts';
import { temporaryFolder } from '../system/temporary-folder.ts';

export interface FunctionLines {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly count: number;
}

export interface LineCount {
  readonly count: number;
  /** How often its least taken branch was taken; `count` where it has none. */
  readonly least: number;
}

/** Of one source file, in all objects together. */
export interface FileCounts {
  /** Each line that has code. */
  readonly lines: ReadonlyMap<number, LineCount>;
  readonly functions: readonly FunctionLines[];
}

/** By paths below the tree. */
export type LineCounts = ReadonlyMap<string, FileCounts>;

/** What of gcov's JSON is used. */
interface GcovJson {
  /** Where the compiler ran: kbuild of 6.13 and later goes into the folder of the modules. */
  readonly current_working_directory: string;
  readonly files: readonly {
    readonly file: string;
    readonly lines: readonly {
      readonly line_number: number;
      readonly count: number;
      readonly branches: readonly { readonly count: number }[];
    }[];
    readonly functions: readonly {
      readonly demangled_name: string;
      readonly start_line: number;
      readonly end_line: number;
      readonly execution_count: number;
    }[];
  }[];
}

/** @throws InfrastructureError when gcov cannot be run or read. */
export async function lineCounts(modules: CountedModules, counted: readonly Counted[]): Promise<LineCounts> {
  const found: GcovJson[] = [];
  await using folder = await temporaryFolder('gcov');
  for (const { note } of modules.notes) {
    await writeFile(join(folder.path, 'object.gcno'), note);
    const own = counted.filter(({ counters }) => note.includes(nameInNote(counters)));
    await writeFile(join(folder.path, 'object.gcda'), dataFile(note, own));
    const result = await execa('gcov', ['-t', '-j', '-b', 'object.gcda'], {
      cwd: folder.path,
      reject: false,
      maxBuffer: 2 ** 28,
    });
    if (!result.stdout.startsWith('{')) throw new InfrastructureError(`gcov: ${result.stderr || result.message}`);
    found.push(
      ...result.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as GcovJson),
    );
  }
  const counts = mergeCounts(found, [modules.tree, modules.realTree]);
  const missing = modules.notes.find(({ object }) => !counts.has(`${object}.c`));
  // Otherwise a file of which nothing is known looks like one without code.
  if (missing !== undefined) {
    throw new InfrastructureError(
      `gcov names no line of ${missing.object}.c, but of ${[...counts.keys()][0] ?? 'nothing'}`,
    );
  }
  return counts;
}

/** How gcc's notes begin a function: identifier and both checksums. */
function nameInNote({ ident, lineChecksum, cfgChecksum }: Counted['counters']): Buffer {
  const bytes = Buffer.alloc(12);
  for (const [place, word] of [ident, lineChecksum, cfgChecksum].entries()) bytes.writeUInt32LE(word, place * 4);
  return bytes;
}

/**
 * A header that several objects include has its counts added up.
 *
 * @param trees what the paths of files in the tree may begin with.
 */
export function mergeCounts(found: readonly GcovJson[], trees: readonly string[]): LineCounts {
  const files = new Map<string, { lines: Map<number, LineCount>; functions: Map<string, FunctionLines> }>();
  const all = found.flatMap(({ current_working_directory: folder, files: own }) =>
    own.map((one) => ({ folder, ...one })),
  );
  for (const { folder, file, lines, functions } of all) {
    const path = belowTree(resolve(folder, file), trees);
    const into = files.get(path) ?? { lines: new Map(), functions: new Map() };
    files.set(path, into);
    // A line of an inline function stands there once for each function that it is in.
    for (const { line_number: line, count, branches } of lines) {
      const before = into.lines.get(line) ?? { count: 0, least: 0 };
      const least = Math.min(count, ...branches.map((branch) => branch.count));
      into.lines.set(line, { count: before.count + count, least: before.least + least });
    }
    for (const one of functions) {
      const { demangled_name: name, start_line: start, end_line: end, execution_count: count } = one;
      const before = into.functions.get(name)?.count ?? 0;
      into.functions.set(name, { name, start, end, count: before + count });
    }
  }
  return new Map(
    [...files].map(([path, { lines, functions }]) => [path, { lines, functions: [...functions.values()] }]),
  );
}

/** The path below one of the trees; as it is where it is in none. */
export function belowTree(path: string, trees: readonly string[]): string {
  const tree = trees.find((one) => path.startsWith(`${one}/`));
  return tree === undefined ? path : path.slice(tree.length + 1);
}
