/**
 * The shape of a case: every field with its range and its default. Text forms are JSON numbers, hexadecimal texts for
 * what is a bit pattern or an address, "0-3,65" or "0x30,0x40-0x4f" for sets of small numbers, and words.
 */
import { z } from 'zod';
import { caseLimits } from './limits.ts';
import { machineSchema } from './machine.ts';
import { stepSchema } from './steps/kinds.ts';

export const caseSchemaName = 'hvipi/case/1';

const originSchema = z.strictObject({
  seed: z.string(),
  /** `batch:index` of the generated case that this one was shrunk from. */
  path: z.string(),
  kernel: z.string().optional(),
});

export const caseSchema = z.strictObject({
  schema: z.literal(caseSchemaName),
  why: z.string().max(1000).default(''),
  origin: originSchema.nullable().default(null),
  machine: machineSchema,
  steps: z.array(stepSchema).min(1).max(caseLimits.steps),
});

export type Case = z.output<typeof caseSchema>;
