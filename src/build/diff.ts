/** Reads a diff by files and hunks, whether git, diff or a mail program wrote it. */
import { UsageError } from '../errors.ts';

/** What a diff says of one file. */
export interface FileDiff {
  /** Both sides' paths below the tree, once where they are the same; without /dev/null. */
  readonly files: readonly string[];
  /** Heads of its hunks: `@@ -2290,6 +2290,7 @@ static u64 kvm_hv_send_ipi(...)`. */
  readonly hunks: readonly string[];
  readonly text: string;
}

const hunkHead = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/;

/**
 * The parts of a diff, in order; what stands before the first one is left out.
 *
 * @throws UsageError for a path that leads out of the tree.
 */
export function fileDiffs(diff: string): FileDiff[] {
  const lines = diff.split('\n');
  const starts: number[] = [];
  let hasPaths = true;
  for (let at = 0; at < lines.length; at++) {
    if (lines[at]!.startsWith('diff --git ')) {
      starts.push(at);
      hasPaths = false;
    } else if (isPair(lines, at)) {
      if (hasPaths) starts.push(at);
      hasPaths = true;
      at++;
    } else if (lines[at]!.startsWith('rename from ') && starts.length === 0) {
      starts.push(at);
    } else {
      at = endOfHunk(lines, at);
    }
  }
  return starts.map((start, index) => partOf(lines.slice(start, starts[index + 1] ?? lines.length)));
}

function partOf(lines: readonly string[]): FileDiff {
  const paths = new Set<string>();
  const hunks: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    if (hunkHead.test(line)) hunks.push(line);
    const isNamed = hunks.length === 0 && isPair(lines, at);
    for (const path of isNamed ? [line, lines[at + 1]!].map(pathOf) : renamed(line)) paths.add(path);
    at = endOfHunk(lines, at);
  }
  // A change of modes, or of a binary file.
  if (paths.size === 0) for (const path of gitPaths(lines[0]!)) paths.add(path);
  paths.delete('/dev/null');
  for (const path of paths) {
    if (path.startsWith('/') || path.split('/').includes('..')) {
      throw new UsageError(`the patch touches ${path}, which is outside of the kernel's source`);
    }
  }
  return { files: [...paths], hunks, text: `${lines.join('\n')}\n` };
}

/** Where the hunk that begins at a line ends; that line where none does. A line that is taken away may look like a head. */
function endOfHunk(lines: readonly string[], start: number): number {
  const head = hunkHead.exec(lines[start]!);
  if (head === null) return start;
  let [before, after] = [Number(head[1] ?? 1), Number(head[2] ?? 1)];
  let at = start;
  while ((before > 0 || after > 0) && at + 1 < lines.length) {
    const mark = lines[at + 1]![0] ?? ' ';
    if (!' +-\\'.includes(mark)) break;
    if (mark === ' ' || mark === '-') before--;
    if (mark === ' ' || mark === '+') after--;
    at++;
  }
  return at;
}

function isPair(lines: readonly string[], at: number): boolean {
  return lines[at]!.startsWith('--- ') && lines[at + 1]?.startsWith('+++ ') === true;
}

/** `arch/x86/kvm/hyperv.c` of `--- a/arch/x86/kvm/hyperv.c<TAB>date`. */
function pathOf(line: string): string {
  const path = line.slice(4).split('\t')[0]!.trim();
  return path === '/dev/null' ? path : path.replace(/^[^/]+\//, '');
}

function renamed(line: string): string[] {
  const path = /^rename (?:from|to) (.+)$/.exec(line)?.[1];
  return path === undefined ? [] : [path];
}

function gitPaths(line: string): string[] {
  const match = /^diff --git a\/(.+) b\/(.+)$/.exec(line);
  return match === null ? [] : [match[1]!, match[2]!];
}
