import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { flowOf, gccVersionOf, graphsOf } from '../../../src/counts/graph.ts';
import { findProgram } from '../../../src/system/packages/tools.ts';

const source = `
__attribute__((noinline)) int collatz(int n)
{
	int steps = 0;
	while (n != 1) {
		if (n % 2)
			n = 3 * n + 1;
		else
			n /= 2;
		steps++;
	}
	return steps;
}

__attribute__((noinline)) int kind(int n)
{
	switch (n) {
	case 1: return 10;
	case 5: return 50;
	case 9: case 12: return 120;
	default: return n > 20 && n % 3 == 0 ? 7 : 8;
	}
}

int main(void)
{
	int sum = 0;
	for (int i = 1; i < 30; i++)
		sum += collatz(i) * kind(i);
	return sum == 0;
}
`;
const hasGcc = findProgram('gcc') !== null && findProgram('gcov') !== null;

/** Counters by the identifiers of functions, from what gcc's own runtime has written. */
function countersOf(data: Buffer, unit: number): Map<number, bigint[]> {
  const found = new Map<number, bigint[]>();
  let ident = 0;
  for (let at = unit === 1 ? 16 : 12; at + 8 <= data.length;) {
    const [tag, length] = [data.readUInt32LE(at), data.readInt32LE(at + 4) * unit];
    at += 8;
    if (tag === 0x0100_0000 && length > 0) ident = data.readUInt32LE(at);
    if (tag === 0x01a1_0000) {
      // A negative length stands for counters that are all 0.
      const zeros = length < 0;
      const count = Math.abs(length) / 8;
      found.set(
        ident,
        Array.from({ length: count }, (_, index) => (zeros ? 0n : data.readBigUInt64LE(at + index * 8))),
      );
    }
    at += Math.max(length, 0);
  }
  return found;
}

describe.skipIf(!hasGcc)('graphs of functions, where gcc and gcov are installed', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hvipi-test-'));
    writeFileSync(join(folder, 'one.c'), source);
    execFileSync('gcc', ['-O2', '--coverage', '-c', 'one.c'], { cwd: folder });
    execFileSync('gcc', ['--coverage', 'one.o', '-o', 'one'], { cwd: folder });
    execFileSync(join(folder, 'one'), { cwd: folder });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('should come to the counts of functions and branches that gcov comes to', () => {
    const note = readFileSync(join(folder, 'one.gcno'));
    const counters = countersOf(readFileSync(join(folder, 'one.gcda')), gccVersionOf(note) >= 12 ? 1 : 4);
    const { graphs } = graphsOf(note);
    const output = execFileSync('gcov', ['-t', '-j', '-b', 'one.gcda'], { cwd: folder, encoding: 'utf8' });
    const [file] = (JSON.parse(output) as { files: GcovFile[] }).files;

    const flows = graphs.map((graph) => ({ graph, flow: flowOf(graph, counters.get(graph.ident)!) }));
    const calls = Object.fromEntries(flows.map(({ graph, flow }) => [graph.name, flow.blocks[0]]));
    const branches = flows.flatMap(({ graph, flow }) => {
      const real = graph.arcs.map((arc, index) => ({ arc, count: flow.arcs[index]! })).filter(({ arc }) => !arc.isFake);
      return real.filter(({ arc }) => real.filter((other) => other.arc.from === arc.from).length > 1);
    });

    expect(graphs.find(({ name }) => name === 'kind')).toMatchObject({ file: 'one.c', start: 15, end: 23 });
    expect(calls).toEqual(Object.fromEntries(file!.functions.map(({ name, execution_count: count }) => [name, count])));
    const theirs = file!.lines.flatMap((line) => line.branches.map(({ count }) => count));
    expect(theirs.length).toBeGreaterThan(10);
    expect(ascending(branches.map(({ count }) => count))).toEqual(ascending(theirs));
    const lines = new Set(graphs.flatMap(({ blocks }) => blocks.flat().map(({ line }) => line)));
    expect(file!.lines.filter(({ line_number: line }) => !lines.has(line))).toEqual([]);
  });
});

function ascending(values: readonly number[]): number[] {
  return [...values].sort((left, right) => left - right);
}

interface GcovFile {
  readonly functions: readonly { readonly name: string; readonly execution_count: number }[];
  readonly lines: readonly { readonly line_number: number; readonly branches: readonly { readonly count: number }[] }[];
}
