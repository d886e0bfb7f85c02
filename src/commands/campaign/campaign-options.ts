/** The options of `campaign start` and `campaign resume`, as commander reads them and as checked values. */
import { type Command, InvalidArgumentError } from 'commander';
import { type KnownFinding, readKnown } from '../../durable/known.ts';
import type { Limits } from '../../durable/journal/record.ts';
import { addJobsOption, parseDuration, parsePositive } from '../common/options.ts';

export interface RawLimits {
  readonly time?: number;
  readonly calls?: number;
  readonly findings?: number;
  readonly disk?: number;
  readonly memory?: number;
  readonly until?: number;
}

export interface RunOptions extends RawLimits {
  readonly known?: string;
  readonly install: boolean;
  readonly jobs?: number;
  readonly json?: true;
}

export function addRunOptions(command: Command): Command {
  return addJobsOption(command)
    .option('--time <TIME>', 'stop after this much work in all, over every resume: 90m, 8h, 3d', parseDuration)
    .option('--calls <N>', 'stop after N hypercalls', parsePositive)
    .option('--findings <N>', 'stop at N findings', parsePositive)
    .option('--disk <SIZE>', 'stop when the directory has this size: 500M, 2G', parseSize)
    .option('--memory <SIZE>', 'stop when this process has this much resident memory', parseSize)
    .option(
      '--until <WHAT>',
      'stable: stop when coverage has not grown for 1h; stable:30m for another time',
      parseUntil,
    )
    .option('--known <FILE>', 'known findings, to be kept apart')
    .option('--json', 'one JSON object on stdout at the end');
}

/** The limits of the options over those that held before. */
export function limitsOf(options: RawLimits, before: Limits): Limits {
  return {
    seconds: options.time ?? before.seconds,
    calls: options.calls ?? before.calls,
    findings: options.findings ?? before.findings,
    diskBytes: options.disk ?? before.diskBytes,
    memoryBytes: options.memory ?? before.memoryBytes,
    stableSeconds: options.until ?? before.stableSeconds,
  };
}

/** @throws UsageError */
export function knownOf({ known }: { readonly known?: string }): readonly KnownFinding[] {
  return known === undefined ? [] : readKnown(known);
}

const bytesOfUnit = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const;

function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGT])i?B?$/i.exec(text);
  const unit = match?.[2]?.toUpperCase() as keyof typeof bytesOfUnit | undefined;
  const bytes = unit === undefined ? 0 : Math.round(Number(match![1]) * bytesOfUnit[unit]);
  if (bytes <= 0) throw new InvalidArgumentError('a size is like 500M or 2G.');
  return bytes;
}

const stableSecondsDefault = 3600;

function parseUntil(text: string): number {
  const [what, time] = text.split(':');
  if (what !== 'stable') throw new InvalidArgumentError('it is stable or stable:TIME, like stable:30m.');
  return time === undefined ? stableSecondsDefault : parseDuration(time);
}
