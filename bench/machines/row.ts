/** A row: what one default run of `fuzz` made of one kernel in one system. */
import { z } from 'zod';
import { systems } from './systems.ts';

const count = z.number().int().min(0);

export const rowSchema = z.strictObject({
  system: z.enum(systems),
  /** `debian:7.3`. */
  kernel: z.string(),
  seed: z.string(),
  budgetSeconds: z.number(),
  date: z.string(),
  node: z.string(),
  /** Version of the emulator, and those of its faults that cases are kept away from with this kernel. */
  qemu: z.string(),
  qemuFaults: z.array(z.string()),
  release: z.string(),
  cases: count,
  hypercalls: count,
  seconds: z.number(),
  bootSeconds: z.number(),
  rulesHit: count,
  rulesTotal: count,
  restarts: count,
  /** KVM's own faults that calls showed (`docs/findings`). */
  kvmFaults: z.array(z.string()),
  findings: z.array(z.strictObject({ class: z.string(), signature: z.string(), confirmed: z.string() })),
});
export type Row = z.output<typeof rowSchema>;

export type Cell = Pick<Row, 'system' | 'kernel' | 'seed' | 'budgetSeconds'>;

/** Whether a row is of that cell; a longer run answers for a shorter one. */
export function answers(row: Row, { system, kernel, seed, budgetSeconds }: Cell): boolean {
  return row.system === system && row.kernel === kernel && row.seed === seed && row.budgetSeconds >= budgetSeconds;
}

const fuzzReport = z.looseObject({
  schema: z.literal('hvipi/fuzz/1'),
  target: z.looseObject({
    kernelRelease: z.string(),
    emulator: z.looseObject({ version: z.string(), faults: z.array(z.string()) }),
  }),
  cases: count,
  hypercalls: count,
  seconds: z.number(),
  bootSeconds: z.number(),
  rules: z.looseObject({ hit: z.array(z.string()), total: count }),
  restarts: count,
  kvmFaults: z.record(z.string(), count),
  error: z.string().nullable(),
  findings: z.array(z.looseObject({ class: z.string(), signature: z.string(), confirmed: z.string() })),
});

/**
 * The row that the output of `fuzz --json` makes.
 *
 * @throws Error when the run ended otherwise than by its time or with findings: that is no measurement.
 */
export function rowOf(cell: Cell, node: string, date: string, json: unknown): Row {
  const report = fuzzReport.parse(json);
  if (report.error !== null) throw new Error(report.error);
  const { target, rules, kvmFaults, findings } = report;
  return {
    ...cell,
    date,
    node,
    qemu: target.emulator.version,
    qemuFaults: target.emulator.faults,
    release: target.kernelRelease,
    cases: report.cases,
    hypercalls: report.hypercalls,
    seconds: report.seconds,
    bootSeconds: report.bootSeconds,
    rulesHit: rules.hit.length,
    rulesTotal: rules.total,
    restarts: report.restarts,
    kvmFaults: Object.keys(kvmFaults).sort(),
    findings: findings.map(({ class: kind, signature, confirmed }) => ({ class: kind, signature, confirmed })),
  };
}
