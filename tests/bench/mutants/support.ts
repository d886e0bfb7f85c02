/** Rows and mutants for tests, with what a test does not care about filled in. */
import type { Mutant } from '../../../bench/mutants/mutant.ts';
import { makeRow, nothingFound, type Row } from '../../../bench/mutants/row.ts';

export function aMutant(fields: Partial<Mutant> = {}): Mutant {
  const edit = { file: 'hyperv.c', find: 'a < b', replace: 'a <= b' };
  return { name: 'one', ...edit, mechanism: 'm', grade: 'easy', needs: 'n', expect: 'divergence', ...fields };
}

export function aRow(mutant: Mutant, fields: Partial<Row> = {}): Row {
  const trial = { method: 'hvipi', mutant, seed: '1', budgetSeconds: 60 } as const;
  const measured = { ...nothingFound, kernel: '6.12.117+deb12-amd64', hypercalls: 1000, seconds: 60 };
  return { ...makeRow(trial, measured, '2026-11-23T12:00:00.000Z'), ...fields };
}

/** A row of a mutant that was found and shrunk. */
export function aFind(mutant: Mutant, fields: Partial<Row> = {}): Row {
  const size = { steps: 1, calls: 1, vcpus: 1, bits: 1 };
  const finding = { found: true, class: 'divergence', signature: 's', stable: true, confirmed: '10/10' };
  return aRow(mutant, { ...finding, ...size, shrinkSeconds: 1, seconds: 2, hypercalls: 50, ...fields });
}
