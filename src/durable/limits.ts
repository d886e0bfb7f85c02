/** What ends a campaign besides a person. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { EndingName, Limits } from './journal/record.ts';

export const noLimits: Limits = {
  seconds: null,
  calls: null,
  findings: null,
  diskBytes: null,
  memoryBytes: null,
  stableSeconds: null,
};

/** What a campaign has used so far. */
export interface Usage {
  readonly seconds: number;
  readonly hypercalls: number;
  readonly findings: number;
  readonly diskBytes: number;
  readonly memoryBytes: number;
  /** Since coverage last grew. */
  readonly stableSeconds: number;
}

/** The first limit that is reached, or null. */
export function reachedLimit(limits: Limits, usage: Usage): EndingName | null {
  const rows: [EndingName, number | null, number][] = [
    ['time', limits.seconds, usage.seconds],
    ['calls', limits.calls, usage.hypercalls],
    ['findings', limits.findings, usage.findings],
    ['disk', limits.diskBytes, usage.diskBytes],
    ['memory', limits.memoryBytes, usage.memoryBytes],
    ['stable', limits.stableSeconds, usage.stableSeconds],
  ];
  return rows.find(([, limit, used]) => limit !== null && used >= limit)?.[0] ?? null;
}

/** Bytes of all files of a folder. */
export function folderBytes(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    // A file may go while we look.
    bytes += statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}
