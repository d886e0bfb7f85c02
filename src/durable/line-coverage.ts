/**
 * Which lines of KVM a campaign ran: a tracefile of each process that worked on it, in the folder `coverage` of its
 * directory. Together they are what all of them ran.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { addTraces, parseLcov, totalOf, type Trace } from '../counts/lcov.ts';
import { folders, writeWhole } from './journal/folder.ts';

/** Null where nothing was counted. */
export function readTrace(folder: string): Trace | null {
  const traces = traceNames(folder).map((name) => parseLcov(readOne(folder, name)));
  return traces.length === 0 ? null : addTraces(traces);
}

/** Takes over those of another directory; of two copies of one, the later. */
export async function copyTraces(source: string, folder: string): Promise<void> {
  const ours = new Set(traceNames(folder));
  for (const name of traceNames(source)) {
    const text = readOne(source, name);
    const isOlder = ours.has(name) && totalOf(parseLcov(readOne(folder, name))) >= totalOf(parseLcov(text));
    if (isOlder) continue;
    await writeWhole(join(folder, folders.coverage, name), text);
  }
}

function traceNames(folder: string): string[] {
  const inside = join(folder, folders.coverage);
  return existsSync(inside)
    ? readdirSync(inside)
        .filter((name) => name.endsWith('.info'))
        .sort()
    : [];
}

function readOne(folder: string, name: string): string {
  return readFileSync(join(folder, folders.coverage, name), 'utf8');
}
