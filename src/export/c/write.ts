/** C programs that show a case without this tool: a template with the case put in. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../system/own-command.ts';
import { prepare } from '../../campaign/judgement.ts';
import { type Case, caseId } from '../../case/case.ts';
import type { TargetFacts } from '../../executor/facts.ts';
import { UsageError } from '../../errors.ts';
import { cPartsOf } from './steps.ts';
import { commentLines } from './text.ts';
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
  checkExportable(value, form);
  const { machine, steps, calls } = cPartsOf(prepare(value, facts));
  const name = `hyperv_ipi_${caseId(value)}`;
  const title = [
    `KVM's HvCallSendSyntheticClusterIpi(Ex): case ${caseId(value)}`,
    ...(value.why === '' ? [] : ['', value.why]),
    '',
    `Written by hvipi; what is expected is what KVM does with KVM_MAX_VCPUS ${facts.kvmMaxVcpus}.`,
  ];
  const uses = usesOf(value, steps);
  const whole = template(form)
    .replace('/*@setup@*/\n', () => template('setup'))
    .replace('/*@lapic@*/\n', () => template('lapic'))
    .replace('/*@entry@*/\n', () => (uses.has('enter') ? `${template('entry')}\n` : ''));
  const text = chooseParts(whole, uses)
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

/** What a program has: the functions that its steps call, and what is special about its machine. */
function usesOf({ machine: { irqchip, xen, guestOsId } }: Case, steps: string): ReadonlySet<string> {
  const functions = [...steps.matchAll(/^\t(\w+)\(/gm)].map(([, name]) => name!);
  const isGuest = functions.includes('call') || functions.includes('expect_handlers');
  const features = {
    guest: isGuest,
    lapic: irqchip !== 'none',
    kernel: irqchip === 'kernel',
    'own-irqchip': irqchip === 'kernel' && !isGuest,
    split: irqchip === 'split',
    xen,
    'os-id': guestOsId !== 0n,
    ROM: /\bROM\b/.test(steps),
  };
  return new Set([...functions, ...Object.entries(features).flatMap(([name, is]) => (is ? [name] : []))]);
}

/** Keeps the parts of a template that are used: from a line with the names of any such use, or of none, to its end. */
function chooseParts(text: string, uses: ReadonlySet<string>): string {
  return text.replaceAll(
    /^\/\*\[(!?)([\w|-]+)\]\*\/\n([^]*?)^\/\*\[\/\]\*\/\n/gm,
    (_, not: string, names: string, part: string) => {
      const isUsed = names.split('|').some((name) => uses.has(name));
      return isUsed === (not === '') ? part : '';
    },
  );
}

/** They are C files beside this one; a build has them in its package's `src`. */
function template(name: ExportForm | 'entry' | 'lapic' | 'setup'): string {
  return readFileSync(join(packageRoot(), 'src/export/c', `${name}.c`), 'utf8');
}
