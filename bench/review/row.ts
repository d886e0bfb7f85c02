/** What `review` made of a sample, one a line in `results/reviews.ndjson`. */
import { join } from 'node:path';
import { z } from 'zod';
import { answers } from './sample.ts';

export const rowSchema = z.strictObject({
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

export const results = join(import.meta.dirname, 'results');
export const resultsFile = join(results, 'reviews.ndjson');
