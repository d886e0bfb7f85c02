import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newHits, Targets } from '../../../../src/review/aim/targets.ts';
import type { Counted } from '../../../../src/counts/count-reader.ts';
import { countersOf } from '../../../../src/counts/counters.ts';
import type { CountedModules } from '../../../../src/counts/counted-folder.ts';
import type { TouchedPlace } from '../../../../src/review/touched.ts';
import { findProgram } from '../../../../src/system/packages/tools.ts';

const source = `int f(int a)
{
	if (a > 10)
		return 3;
	return 2 * a;
}

int g(int a)
{
	return a * a;
}
`;

describe.skipIf(findProgram('gcc') === null)('targets of a patch, where gcc is installed', () => {
  let folder: string;
  let modules: CountedModules;
  let calls: (count: bigint) => Counted[];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hvipi-test-'));
    writeFileSync(join(folder, 'one.c'), source);
    execFileSync('gcc', ['-O2', '-fprofile-arcs', '-ftest-coverage', '-c', 'one.c'], { cwd: folder });
    const note = readFileSync(join(folder, 'one.gcno'));
    const counters = countersOf(readFileSync(join(folder, 'one.o')));
    const realTree = realpathSync(folder);
    modules = {
      folder,
      modules: [{ name: 'kvm', counters }],
      notes: [{ object: 'one', note }],
      tree: folder,
      realTree,
    };
    // The first counter is that of the way which is always taken.
    calls = (count) =>
      counters.map((one) => ({
        counters: one,
        values: Array.from({ length: one.count }, (_, place) => (place === 0 ? count : 0n)),
      }));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const placeAt = (line: number): TouchedPlace => ({
    file: 'one.c',
    function: 'f',
    lines: [line, line],
    removed: null,
    added: [line, line],
    text: '',
  });

  it('should be the block of a touched line and the ways out of it, on the side that has the line', () => {
    const targets = new Targets([placeAt(3)], { before: modules, after: modules });
    const hits = targets.hits({ base: calls(9n), kernel: calls(5n) });

    expect(targets.count).toBe(1);
    expect([...hits.keys()].every((name) => name.startsWith('after f '))).toBe(true);
    expect([...hits.values()].sort((left, right) => left - right)).toEqual([0, 5, 5]);
    expect([...newHits(hits, targets.hits({ base: [], kernel: calls(7n) })).values()].filter(Boolean)).toEqual([2, 2]);
  });

  it('should be those of the statement before a line that has no code', () => {
    const targets = new Targets([placeAt(4)], { before: modules, after: modules });

    expect(targets.hits({ base: calls(1n), kernel: calls(5n) }).size).toBe(3);
  });

  it('should be none where nothing is touched that has code', () => {
    const elsewhere = { ...placeAt(3), file: 'two.c' };

    expect(new Targets([elsewhere], { before: modules, after: modules }).count).toBe(0);
  });
});
