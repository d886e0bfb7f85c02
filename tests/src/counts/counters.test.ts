import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countersOf, dataFile } from '../../../src/counts/counters.ts';
import { CountReader } from '../../../src/counts/count-reader.ts';
import type { CountedModules } from '../../../src/counts/counted-folder.ts';
import { offsetOf } from '../../../src/counts/kernel-memory.ts';
import { lineCounts } from '../../../src/counts/line-counts.ts';
import { findProgram } from '../../../src/system/packages/tools.ts';

const source = `__attribute__((noinline)) static int twice(int a)
{
	if (a > 10)
		return 3;
	return 2 * a;
}

int f(int a)
{
	return twice(a) + 1;
}
`;
const hasGcc = findProgram('gcc') !== null && findProgram('gcov') !== null;

describe.skipIf(!hasGcc)('counters of an object, where gcc and gcov are installed', () => {
  let folder: string;
  let object: Buffer;
  let note: Buffer;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hvipi-test-'));
    writeFileSync(join(folder, 'one.c'), source);
    const flags = ['-O2', '-fprofile-arcs', '-ftest-coverage', '-c', 'one.c', '-o', 'one.o'];
    execFileSync('gcc', flags, { cwd: folder });
    object = readFileSync(join(folder, 'one.o'));
    note = readFileSync(join(folder, 'one.gcno'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('should be found for each function', () => {
    const found = countersOf(object);

    expect(found.map(({ name }) => name).sort()).toEqual(['f', 'twice']);
    expect(new Set(found.map(({ file }) => file))).toEqual(new Set(['one.c']));
    for (const { count } of found) expect(count).toBeGreaterThan(0);
  });

  it('should come to lines that gcov tells', async () => {
    const values = (name: string, count: number): bigint[] => {
      // Who is called five times and never goes into the branch.
      return Array.from({ length: count }, (_, place) => (name === 'f' || place === 0 ? 5n : 0n));
    };
    const counted = countersOf(object).map((counters) => ({ counters, values: values(counters.name, counters.count) }));
    const modules: CountedModules = {
      folder,
      modules: [],
      notes: [{ object: 'one', note }],
      tree: folder,
      realTree: folder,
    };

    const { lines, functions } = (await lineCounts(modules, counted)).get('one.c')!;

    expect(functions.map(({ name, start, end }) => ({ name, start, end }))).toEqual(
      expect.arrayContaining([{ name: 'twice', start: 1, end: 6 }]),
    );
    expect(lines.get(10)!.count).toBe(5);
    // gcc keeps the branch, and nothing of `return 3`.
    expect(lines.get(3)).toEqual({ count: 5, least: 0 });
    expect(lines.get(4)).toBeUndefined();
  });

  it('should begin with what gcc writes into its notes', () => {
    const data = dataFile(note, []);

    expect(data.toString('latin1', 0, 4)).toBe('adcg');
    expect(data.subarray(4, 12)).toEqual(note.subarray(4, 12));
    expect(existsSync(join(folder, 'one.gcda'))).toBe(false);
  });

  it('should be added up over kernels that died', async () => {
    const counters = countersOf(object);
    const modules: CountedModules = {
      folder,
      modules: [{ name: 'kvm', counters }],
      notes: [],
      tree: folder,
      realTree: folder,
    };
    const reader = new CountReader(modules);
    const kernel = fakeKernel(0xffff_ffff_c000_1000n, 0x2000);

    kernel.memory.writeBigUInt64LE(3n, counters[0]!.offset);
    await reader.read(kernel.readFile, 0);
    kernel.memory.writeBigUInt64LE(4n, counters[0]!.offset);
    await reader.read(kernel.readFile, 0);
    expect(reader.total[0]!.values[0]).toBe(4n);

    kernel.memory.writeBigUInt64LE(1n, counters[0]!.offset);
    await reader.read(kernel.readFile, 1);
    expect(reader.total[0]!.values[0]).toBe(5n);
  });
});

describe('offsetOf', () => {
  it('should find an address of the upper half in its segment', () => {
    const { head } = fakeKernel(0xffff_ffff_c000_0000n, 0x1000);

    expect(offsetOf(head, 0xffff_ffff_c000_0010n)).toBe(0x4010n);
    expect(offsetOf(head, 0xffff_ffff_c000_1000n)).toBeNull();
    expect(offsetOf(head, 0x10n)).toBeNull();
  });
});

/** A kernel whose memory is one segment, in which the section lies that holds the counters. */
function fakeKernel(start: bigint, bytes: number) {
  const head = Buffer.alloc(4096);
  head.writeBigUInt64LE(64n, 32);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(1, 56);
  head.writeUInt32LE(1, 64);
  head.writeBigUInt64LE(0x4000n, 64 + 8);
  head.writeBigUInt64LE(start, 64 + 16);
  head.writeBigUInt64LE(BigInt(bytes), 64 + 40);
  const memory = Buffer.alloc(bytes);
  const readFile = (path: string, offset: bigint, count: number): Promise<Buffer> => {
    if (path.endsWith('initstate')) return Promise.resolve(Buffer.from('live\n'));
    if (path.startsWith('/sys/module')) return Promise.resolve(Buffer.from(`0x${start.toString(16)}\n`));
    const at = Number(offset - 0x4000n);
    return Promise.resolve(offset === 0n ? head : Buffer.from(memory.subarray(at, at + count)));
  };
  return { head, memory, readFile };
}
