/** A row: what one method made of one mutant with one seed. Rows stand one a line in `results/*.ndjson`. */
import { z } from 'zod';
import { vpsPerBank } from '../../src/abi/hypercall.ts';
import { type Case, parseCase } from '../../src/case/case.ts';
import { editId } from './build.ts';
import { expectations, grades, type Mutant } from './mutant.ts';
import { isCall } from '../../src/case/steps/kinds.ts';

export const methods = ['hvipi', 'words', 'selftests'] as const;
export type Method = (typeof methods)[number];

const count = z.number().int().min(0);
export const rowSchema = z.strictObject({
  method: z.enum(methods),
  mutant: z.string(),
  /** See `editId`. */
  edit: z.string(),
  grade: z.enum(grades),
  expect: z.enum(expectations),
  seed: z.string(),
  budgetSeconds: z.number(),
  kernel: z.string(),
  date: z.string(),
  found: z.boolean(),
  class: z.string().nullable(),
  signature: z.string().nullable(),
  /** Calls and seconds from the first case to the finding, or to the end. */
  hypercalls: count,
  seconds: z.number(),
  shrinkSeconds: z.number().nullable(),
  /** `again/times`; null where nothing is confirmed. */
  confirmed: z.string().nullable(),
  stable: z.boolean().nullable(),
  /** Of the minimal case: steps, those that are calls, vCPUs, and the most bits that a bank of a call has. */
  steps: count.nullable(),
  calls: count.nullable(),
  vcpus: count.nullable(),
  bits: count.nullable(),
  restarts: count,
});

export type Row = z.output<typeof rowSchema>;
export type Measurement = Omit<
  Row,
  'method' | 'mutant' | 'edit' | 'grade' | 'expect' | 'seed' | 'budgetSeconds' | 'date'
>;

/** What a method says when it found nothing; `kernel`, calls and seconds are always measured. */
export const nothingFound = {
  found: false,
  class: null,
  signature: null,
  shrinkSeconds: null,
  confirmed: null,
  stable: null,
  steps: null,
  calls: null,
  vcpus: null,
  bits: null,
  restarts: 0,
} as const;

export interface Trial {
  readonly method: Method;
  readonly mutant: Mutant;
  readonly seed: string;
  readonly budgetSeconds: number;
}

export function makeRow({ method, mutant, seed, budgetSeconds }: Trial, measured: Measurement, date: string): Row {
  const { name, grade, expect } = mutant;
  return { method, mutant: name, edit: editId(mutant), grade, expect, seed, budgetSeconds, date, ...measured };
}

/** What must be equal for a row to answer a trial. A smaller budget that found something answers a larger one. */
export function answers(row: Row, { method, mutant, seed, budgetSeconds }: Trial): boolean {
  const isSame =
    row.method === method && row.mutant === mutant.name && row.edit === editId(mutant) && row.seed === seed;
  return isSame && (row.found || row.budgetSeconds >= budgetSeconds);
}

/** Sizes of a minimal case. */
export function sizeOf(value: Case): Pick<Row, 'steps' | 'calls' | 'vcpus' | 'bits'> {
  const calls = value.steps.filter(isCall);
  const bits = calls.map(({ targets }) => {
    const banks = new Map<number, number>();
    for (const vp of targets) {
      const bank = Math.floor(vp / vpsPerBank);
      banks.set(bank, (banks.get(bank) ?? 0) + 1);
    }
    return Math.max(0, ...banks.values());
  });
  return {
    steps: value.steps.length,
    calls: calls.length,
    vcpus: value.machine.vcpus.length,
    bits: Math.max(0, ...bits),
  };
}

const fuzzReport = z.looseObject({
  schema: z.literal('hvipi/fuzz/1'),
  target: z.looseObject({ kernelRelease: z.string() }),
  hypercalls: count,
  seconds: z.number(),
  restarts: count,
  error: z.string().nullable(),
  findings: z.array(
    z.looseObject({
      class: z.string(),
      signature: z.string(),
      stable: z.boolean(),
      case: z.unknown(),
      foundAfter: z.looseObject({ hypercalls: count, seconds: z.number() }),
      shrink: z.looseObject({ seconds: z.number() }),
      confirmed: z.string(),
    }),
  ),
});

/**
 * What `fuzz --json` measured.
 *
 * @throws Error when the target failed without a finding, which says nothing about the mutant.
 */
export function measurementOf(json: unknown): Measurement {
  const { target, hypercalls, seconds, restarts, error, findings } = fuzzReport.parse(json);
  // A problem that the case alone shows says more than one that was seen in a batch only.
  const finding = findings.find(({ stable }) => stable) ?? findings[0];
  if (finding === undefined) {
    if (error !== null) throw new Error(error);
    return { ...nothingFound, kernel: target.kernelRelease, hypercalls, seconds, restarts };
  }
  return {
    kernel: target.kernelRelease,
    found: true,
    class: finding.class,
    signature: finding.signature,
    hypercalls: finding.foundAfter.hypercalls,
    seconds: finding.foundAfter.seconds,
    shrinkSeconds: finding.shrink.seconds,
    confirmed: finding.confirmed,
    stable: finding.stable,
    ...sizeOf(parseCase(finding.case)),
    restarts,
  };
}
