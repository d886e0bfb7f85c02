/** Builds the harness of the border with sanitizers, and runs it. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { scriptSources } from '../../../src/hand/build.ts';
import { operationsHeader, operationsSource } from '../../../src/hand/header.ts';
import { findProgram } from '../../../src/system/packages/tools.ts';
import { borderSeeds, encodeSeeds } from './seeds.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const flags = [
  '-std=gnu11',
  '-O1',
  '-g',
  '-Wall',
  '-Wextra',
  '-Wno-unused-function',
  '-pthread',
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover=all',
  '-fno-omit-frame-pointer',
];
const environment = { ASAN_OPTIONS: 'detect_leaks=0:quarantine_size_mb=16:malloc_context_size=4' };

export interface BorderResult {
  /** Seeds that scripts were made from. */
  readonly seeds: number;
  readonly seconds: number;
  /** How often each kind of reply came, the most frequent first. */
  readonly replies: ReadonlyMap<string, number>;
  readonly lostThreads: number;
  /** Resident memory in KiB after a tenth of the scripts, and at the end. */
  readonly resident: readonly [number, number];
}

/** A compiler that has both sanitizers, or why there is none. */
export async function findSanitizers(): Promise<{ readonly compiler: string } | { readonly reason: string }> {
  const compiler = findProgram('gcc') ?? findProgram('clang');
  if (compiler === null) return { reason: 'there is no gcc and no clang' };
  const folder = mkdtempSync(join(tmpdir(), 'hvipi-border-'));
  try {
    const source = join(folder, 'a.c');
    writeFileSync(source, 'int main(void) { return 0; }\n');
    const { failed } = await execa(compiler, [...flags, '-o', join(folder, 'a'), source], { reject: false });
    return failed ? { reason: `${compiler} has no AddressSanitizer` } : { compiler };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Tries so many mutated scripts on the hand, in so many processes.
 *
 * @throws Error with what the harness or a sanitizer says, when the border does not hold.
 */
export async function tryBorder(compiler: string, count: number, seed: number, jobs = 1): Promise<BorderResult> {
  const folder = mkdtempSync(join(tmpdir(), 'hvipi-border-'));
  try {
    const scripts = await borderSeeds(join(root, 'corpus'));
    writeFileSync(join(folder, 'corpus'), encodeSeeds(scripts));
    writeFileSync(join(folder, 'operations.h'), operationsHeader());
    writeFileSync(join(folder, 'operations.c'), operationsSource());
    mkdirSync(join(folder, 'operations'));
    for (const name of [...scriptSources, 'hand.h', 'script.h', 'vcpu-run.h'])
      copyFileSync(join(root, 'src', 'hand', 'c', name), join(folder, name));
    for (const name of ['border.c', 'fake-kvm.h']) copyFileSync(join(import.meta.dirname, name), join(folder, name));
    await execa(compiler, [...flags, '-I.', '-o', 'border', 'border.c'], { cwd: folder });
    const start = performance.now();
    const options = { cwd: folder, env: environment, reject: false } as const;
    const each = Math.ceil(count / jobs);
    const results = await Promise.all(
      Array.from({ length: jobs }, async (_, job) => {
        const words = ['corpus', each, seed, job * each].map(String);
        const { failed, stdout, stderr, exitCode } = await execa('./border', words, options);
        if (failed) throw new Error(`the border does not hold (exit code ${exitCode}): ${stderr.slice(0, 6000)}`);
        return readResult(stdout);
      }),
    );
    return { seeds: scripts.length, seconds: (performance.now() - start) / 1000, ...summed(results) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

type Counts = Pick<BorderResult, 'replies' | 'lostThreads' | 'resident'>;

function readResult(text: string): Counts {
  const values = new Map(
    text.split('\n').map((line): [string, number] => {
      const [name, value] = line.split('\t');
      return [name!, Number(value)];
    }),
  );
  const replies = [...values].filter(([name]) => name.startsWith('reply: '));
  return {
    replies: new Map(replies.map(([name, value]) => [name.slice('reply: '.length), value])),
    lostThreads: values.get('lost threads')!,
    resident: [values.get('resident at a tenth')!, values.get('resident at the end')!],
  };
}

function summed(all: readonly Counts[]): Counts {
  const replies = new Map<string, number>();
  for (const each of all) {
    for (const [kind, times] of each.replies) replies.set(kind, (replies.get(kind) ?? 0) + times);
  }
  const largest = all.reduce((one, other) => (one.resident[1] > other.resident[1] ? one : other));
  return {
    replies: new Map([...replies].sort(([, left], [, right]) => right - left)),
    lostThreads: all.reduce((sum, { lostThreads }) => sum + lostThreads, 0),
    resident: largest.resident,
  };
}
