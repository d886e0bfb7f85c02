/** C programs that show a case without this tool: a template with the case put in. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ownCorpusFolder } from '../campaign/corpus.ts';
import { prepare } from '../campaign/judgement.ts';
import { type Case, caseId } from '../case/case.ts';
import type { TargetFacts } from '../executor/executor.ts';
import { UsageError } from '../lab/errors.ts';
import { cPartsOf } from './c-steps.ts';
import { commentLines } from './c-text.ts';
import { checkExportable } from './supported.ts';

/** `standalone` needs libc and kernel headers, `selftest` the kernel's tools/testing/selftests/kvm. */
export const exportForms = ['standalone', 'selftest'] as const;
export type ExportForm = (typeof exportForms)[number];

export interface ExportedProgram {
  readonly form: ExportForm;
  /** Name of the program, without `.c`. */
  readonly name: string;
  readonly text: string;
}

/**
 * The program, with what the model expects of the KVM that the facts describe.
 *
 * @throws UsageError for a case that a C program cannot show.
 */
export function exportCase(value: Case, facts: TargetFacts, form: ExportForm): ExportedProgram {
  checkExportable(value);
  const { machine, steps, calls } = cPartsOf(prepare(value, facts));
  const name = `hyperv_ipi_${caseId(value)}`;
  const title = [
    `KVM's HvCallSendSyntheticClusterIpi(Ex): case ${caseId(value)}`,
    ...(value.why === '' ? [] : ['', value.why]),
    '',
    `Written by hvipi; what is expected is what KVM does with KVM_MAX_VCPUS ${facts.kvmMaxVcpus}.`,
  ];
  const text = template(form)
    .replaceAll(' * @title@\n', () => commentLines(title))
    .replaceAll('@name@', name)
    .replace('/*@machine@*/', () => machine)
    .replace('/*@steps@*/\n', () => steps)
    .replace('/*@calls@*/\n', () => calls);
  return { form, name, text };
}

/** As `exportCase`; null for a case that C programs cannot show, where the rest is of use without them. */
export function programOrNull(
  value: Case,
  facts: TargetFacts,
  form: ExportForm = 'standalone',
): ExportedProgram | null {
  try {
    return exportCase(value, facts, form);
  } catch (error) {
    if (error instanceof UsageError) return null;
    throw error;
  }
}

/** They are C files beside this one; a build has them in its package's `src`. */
function template(form: ExportForm): string {
  return readFileSync(join(dirname(ownCorpusFolder()), 'src/export', `${form}.c`), 'utf8');
}
