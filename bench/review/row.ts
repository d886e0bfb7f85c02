/** What `review` made of a sample, one a line in `results.ndjson`. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { answers } from './sample.ts';

const rowSchema = z.strictObject({
  sample: z.string(),
  date: z.string(),
  kernel: z.string(),
  seed: z.string(),
  /** For how long cases ran, as it was asked for. */
  time: z.string(),
  exitCode: z.number().int(),
  /** Null where the exit code and the text are none of the answers. */
  answer: z.enum(answers).nullable(),
  isRight: z.boolean(),
  /** The line of the verdict, without its label. */
  verdict: z.string(),
  /** The gravest difference: a group, or what is offered; "" without one. */
  difference: z.string(),
  cases: z.number().int(),
  /** Seconds of comparing until a difference was confirmed; null without one. */
  foundAfter: z.number().nullable(),
  /** Of all of it. */
  seconds: z.number(),
});
export type Row = z.output<typeof rowSchema>;

export const resultsFile = join(import.meta.dirname, 'results.ndjson');

/** The last row of each sample, in the order of the file. */
export function readRows(): Row[] {
  if (!existsSync(resultsFile)) return [];
  const lines = readFileSync(resultsFile, 'utf8').split('\n').filter(Boolean);
  const rows = lines.map((line) => rowSchema.parse(JSON.parse(line)));
  return [...new Map(rows.map((row) => [row.sample, row])).values()];
}
