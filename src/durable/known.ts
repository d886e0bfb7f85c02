/**
 * Known findings: a file that a person keeps beside the campaign, so that what is reported upstream or fixed in a later
 * release does not hide what is new.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { FindingClass } from '../campaign/judgement.ts';
import { UsageError } from '../errors.ts';

export const knownSchemaName = 'hvipi/known/1';

const knownSchema = z.strictObject({
  schema: z.literal(knownSchemaName),
  findings: z.array(
    z.strictObject({
      class: z.enum(['divergence', 'warning', 'oops', 'hang']),
      /** The signature as it is reported, whole. */
      signature: z.string().min(1),
      /** Commit that brought or mended it, and the release that has it. */
      commit: z.string().min(1),
      release: z.string().min(1),
      why: z.string().default(''),
    }),
  ),
});

export type KnownFinding = z.output<typeof knownSchema>['findings'][number];

/** @throws UsageError that names the file and the field. */
export function readKnown(file: string): readonly KnownFinding[] {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`);
  }
  const result = knownSchema.safeParse(json);
  if (result.success) return result.data.findings;
  const issue = result.error.issues[0]!;
  throw new UsageError(`${file}: ${issue.path.join('.') || 'file'}: ${issue.message}`);
}

export function findKnown(
  known: readonly KnownFinding[],
  key: { readonly class: FindingClass; readonly signature: string },
): KnownFinding | null {
  return known.find((one) => one.class === key.class && one.signature === key.signature) ?? null;
}
