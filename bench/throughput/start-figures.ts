/** Seconds from nothing to the first verdict: an executor that opens, and the command line as a person types it. */
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { predict } from '../../oracle/model.ts';
import { judge } from '../../oracle/compare/verdict.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { cacheRoot } from '../../src/system/cache.ts';
import { openLab } from '../../src/lab/lab.ts';
import { duration, type Figure, roundCount } from './figure.ts';
import { rawCase } from './workload.ts';

const coldRounds = 3;

async function openAndJudge(kernel: string): Promise<void> {
  const program = encodeCase(rawCase(2, 1));
  await using lab = await openLab({ kernel, install: false, say: () => undefined });
  const [observation] = await lab.run([program], { exact: false });
  const verdict = judge(program, predict(program, lab.facts), observation!);
  if (verdict.kind !== 'match') throw new Error(`a divergence in the bench: ${verdict.signature}`);
}

export async function startFigures(kernel: string): Promise<Figure[]> {
  const replay = ['tsx', 'src/cli.ts', 'replay', 'corpus/send-ipi-self.json', '--kernel', kernel];
  return [
    await duration('start to verdict, cold', coldRounds, () => withoutStates(() => openAndJudge(kernel))),
    await duration('start to verdict, warm', roundCount, () => openAndJudge(kernel)),
    await duration('replay of one case, whole process', roundCount, () => execa('npx', replay, { preferLocal: true })),
  ];
}

/** With a cache that has the kernel and Node in it but no saved state. */
async function withoutStates<T>(work: () => Promise<T>): Promise<T> {
  const before = process.env['HVIPI_CACHE'];
  const cache = mkdtempSync(join(tmpdir(), 'hvipi-bench-'));
  for (const part of ['kernels', 'initramfs']) symlinkSync(join(cacheRoot(), part), join(cache, part));
  process.env['HVIPI_CACHE'] = cache;
  try {
    return await work();
  } finally {
    if (before === undefined) delete process.env['HVIPI_CACHE'];
    else process.env['HVIPI_CACHE'] = before;
    rmSync(cache, { recursive: true });
  }
}
