/** A finding: a problem with its smallest case and everything that is needed to see it again, as plain JSON. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Difference } from '../../../oracle/outcome.ts';
import { type Case, CaseError, caseId, readCase, toJson } from '../../case/case.ts';
import type { TargetFacts } from '../../executor/facts.ts';
import { hvipiCommand } from '../../system/own-command.ts';
import type { FindingClass, Problem } from '../judgement.ts';
import { type RunView, viewObservation, viewOutcome } from '../text/view.ts';

export const findingSchemaName = 'hvipi/finding/1';

export interface Finding {
  readonly schema: typeof findingSchemaName;
  /** Content hash of the case. */
  readonly id: string;
  readonly class: FindingClass;
  readonly signature: string;
  /** False when the problem was seen once, in a batch, and the case alone did not show it again. */
  readonly stable: boolean;
  readonly case: Case;
  readonly expected: RunView;
  /** Null when the kernel failed before it could answer. */
  readonly observed: RunView | null;
  readonly differences: readonly Difference[];
  /** Console of a kernel that failed. */
  readonly console: string | null;
  readonly foundAfter: { readonly cases: number; readonly hypercalls: number; readonly seconds: number };
  readonly shrink: { readonly seconds: number; readonly executions: number };
  /** `again/times`. */
  readonly confirmed: string;
  readonly target: TargetFacts;
  readonly seed: string;
  readonly path: string;
  /** Of an unstable finding: the cases that ran in one batch with it, in order. */
  readonly batch: readonly Case[];
  /** Problems of other signatures that were met while shrinking. */
  readonly met: readonly { readonly signature: string; readonly case: Case }[];
  /** The command that shows it again. */
  readonly replay: string;
}

export interface FindingParts {
  readonly value: Case;
  readonly problem: Problem;
  readonly stable: boolean;
  readonly foundAfter: Finding['foundAfter'];
  readonly shrink: Finding['shrink'];
  readonly confirmed: string;
  readonly facts: TargetFacts;
  readonly seed: string;
  readonly path: string;
  readonly batch: readonly Case[];
  readonly met: ReadonlyMap<string, Case>;
  /** Where the file will be, and what `replay` needs besides it. */
  readonly out: string;
  readonly replayArguments: readonly string[];
}

export function makeFinding(parts: FindingParts): Finding {
  const { value, problem, seed, path } = parts;
  // Pages of what KVM offers say nothing of one case.
  const { offer: _, ...facts } = parts.facts;
  const id = parts.stable ? caseId(value) : `unstable-${caseId(value)}`;
  const origin = { seed, path, kernel: facts.kernelRelease };
  const why = `${problem.class}: ${problem.signature}`.slice(0, 1000);
  const isDivergence = problem.class === 'divergence';
  return {
    schema: findingSchemaName,
    id,
    class: problem.class,
    signature: problem.signature,
    stable: parts.stable,
    case: { ...value, why, origin },
    expected: viewOutcome(problem.outcome),
    observed: isDivergence ? viewObservation(problem.observation) : null,
    differences: isDivergence ? problem.differences : [],
    console: isDivergence ? null : problem.console,
    foundAfter: parts.foundAfter,
    shrink: parts.shrink,
    confirmed: parts.confirmed,
    target: facts,
    seed,
    path,
    batch: parts.batch,
    met: [...parts.met].map(([signature, met]) => ({ signature, case: met })),
    replay: hvipiCommand('replay', join(parts.out, `${id}.json`), ...parts.replayArguments),
  };
}

/** The finding with its cases as canonical JSON values, as it stands in files and in `--json`. */
export function findingToJson(finding: Finding): object {
  return {
    ...finding,
    case: toJson(finding.case),
    batch: finding.batch.map(toJson),
    met: finding.met.map((met) => ({ ...met, case: toJson(met.case) })),
  };
}

export function formatFinding(finding: Finding): string {
  return `${JSON.stringify(findingToJson(finding), null, 2)}\n`;
}

const fields = z.looseObject({
  schema: z.literal(findingSchemaName),
  id: z.string(),
  class: z.enum(['divergence', 'warning', 'oops', 'hang']),
  signature: z.string(),
  batch: z.array(z.unknown()).default([]),
  met: z.array(z.looseObject({ signature: z.string(), case: z.unknown() })).default([]),
});

/**
 * Reads a finding from a parsed JSON value. What this tool acts on is checked; the rest is a record of what was seen.
 * Whether its cases may still be run is for whoever runs them (`fittingCase`): a report shows them all the same.
 *
 * @throws CaseError that names the field.
 */
export function parseFinding(input: unknown): Finding {
  const result = fields.safeParse(input);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw new CaseError(`${issue.path.join('.') || 'finding'}: ${issue.message}`);
  }
  const { batch, met, ...rest } = result.data;
  return {
    ...(rest as unknown as Finding),
    case: within('case', () => readCase(rest['case'])),
    batch: batch.map((value, index) => within(`batch[${index}]`, () => readCase(value))),
    met: met.map((one, index) => ({
      signature: one.signature,
      case: within(`met[${index}].case`, () => readCase(one.case)),
    })),
  };
}

/**
 * Writes the finding to `<out>/<id>.json`.
 *
 * @throws Error of the file system.
 */
export async function saveFinding(finding: Finding, out: string): Promise<string> {
  await mkdir(out, { recursive: true });
  const file = join(out, `${finding.id}.json`);
  await writeFile(file, formatFinding(finding));
  return file;
}

function within<T>(field: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof CaseError ? new CaseError(`${field}.${error.message}`) : error;
  }
}
