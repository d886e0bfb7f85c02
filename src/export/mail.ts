/** A bug report in the form that the KVM list expects: plain text that says one thing, with what anybody needs to see it. */
import { kvmRules } from '../../oracle/rules.ts';
import { describeStep, formatStages } from '../campaign/stages.ts';
import { viewOutcome } from '../campaign/view.ts';
import type { Case } from '../case/case.ts';
import { formatModules } from '../review/kernel-identity.ts';
import { type Evidence, problemOf } from './evidence.ts';
import type { ExportedProgram } from './write.ts';

/** The draft; the person fills in what only they know, in angle brackets. */
export function formatMail(value: Case, evidence: Evidence, program: ExportedProgram | null): string {
  const { prepared, kernel, kernelVersion, configHash, qemu, cpu, tool, shown, times } = evidence;
  const expected = viewOutcome(prepared.outcome);
  const problem = problemOf(evidence);
  const rule = kvmRules.find(({ name }) => problem?.includes(` ${name}/`));
  const lines = [
    'To: kvm@vger.kernel.org',
    'Cc: <scripts/get_maintainer.pl -f arch/x86/kvm/hyperv.c>',
    `Subject: [BUG] KVM: x86: hyper-v: ${problem ?? 'nothing wrong'}`,
    '',
    sentence(value, problem),
    '',
    'Tree and commit',
    `  <tree and commit>; ran on ${kernelVersion}`,
    `  bzImage sha256 ${kernel.imageHash}`,
    ...Object.entries(kernel.moduleHashes).map(([name, hash]) => `  ${name} sha256 ${hash}`),
    `  configuration sha256 ${configHash ?? '(the kernel does not tell)'}`,
    '',
    'Expected against observed',
    ...formatStages(value, expected, evidence.observed)
      .trimEnd()
      .split('\n')
      .map((line) => `  ${line}`),
    ...(rule === undefined ? [] : [`  expected after: ${rule.source}`]),
    ...(evidence.console === null ? [] : ['', 'Console', ...evidence.console.split('\n').map((line) => `  ${line}`)]),
    '',
    'Reproducer',
    ...(program === null
      ? ['  the case cannot be shown as a C program; with hvipi: hvipi replay case.json']
      : [
          `  ${program.name}-standalone.c, attached; needs libc, kernel headers and /dev/kvm:`,
          `  gcc -O2 -o reproducer ${program.name}-standalone.c && ./reproducer`,
        ]),
    '',
    'How often',
    `  ${shown} of ${times} runs, each in a fresh VM`,
    '',
    'How found',
    `  ${tool}, ${value.origin === null ? 'a case written by hand' : `seed ${value.origin.seed}, path ${value.origin.path}`}`,
    `  in ${qemu}, emulated ${cpu}; ${formatModules(kernel).join(', ')}; not tried on real hardware`,
  ];
  return `${lines.join('\n')}\n`;
}

function sentence(value: Case, problem: string | null): string {
  const call = value.steps.find((step) => step.do !== 'run');
  const what = call === undefined ? 'The case' : describeStep(call);
  return `${what}${value.steps.length > 1 ? ' (and what follows)' : ''}: ${problem ?? 'KVM does as expected'}.`;
}
