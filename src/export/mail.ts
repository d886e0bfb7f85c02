/** A bug report in the form that the KVM list expects: plain text that says one thing, with what anybody needs to see it. */
import type { Difference } from '../../oracle/outcome.ts';
import { kvmRules } from '../../oracle/call/rules.ts';
import { describeStep, formatMachine, formatStages } from '../campaign/text/stages.ts';
import { viewOutcome } from '../campaign/text/view.ts';
import type { Case, Step } from '../case/case.ts';
import { wrap } from './c/text.ts';
import { type Evidence, problemOf } from './evidence.ts';
import type { ExportedProgram } from './c/write.ts';
import { isCall } from '../case/steps/kinds.ts';

/** The draft; the person fills in what only they know, in angle brackets. */
export function formatMail(value: Case, evidence: Evidence, program: ExportedProgram | null): string {
  const { prepared, kernel, kernelVersion, configHash, moduleCompiler, qemu, cpu, tool, shown, times } = evidence;
  const expected = viewOutcome(prepared.outcome);
  const problem = problemOf(evidence);
  const rule = kvmRules.find(({ name }) => problem?.includes(` ${name}/`));
  const lines = [
    'To: kvm@vger.kernel.org',
    'Cc: <scripts/get_maintainer.pl -f arch/x86/kvm/hyperv.c>',
    `Subject: [BUG] KVM: x86: hyper-v: ${titleOf(value, evidence)}`,
    '',
    ...sentences(value, evidence).flatMap((text) => wrap(text, textColumns)),
    '',
    'Tree and commit',
    '  <tree and commit>; ran on',
    ...wrap(kernelVersion, textColumns).map((line) => `  ${line}`),
    ...(kernel.kvmModules === null
      ? []
      : [`  with other KVM modules than its own: <what they are built from>; ${moduleCompiler ?? '<compiler>'}`]),
    `  bzImage        sha256 ${kernel.imageHash}`,
    ...Object.entries(kernel.moduleHashes).map(([name, hash]) => `  ${name.padEnd(14)} sha256 ${hash}`),
    `  configuration  ${configHash === null ? unknownConfig(kernel.spec) : `sha256 ${configHash}`}`,
    '',
    'Machine',
    ...formatMachine(value).trimEnd().split('\n'),
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
    `  in ${qemu}, emulated ${cpu}; not tried on real hardware`,
  ];
  return `${lines.join('\n')}\n`;
}

/** Of plain text in a mail; tables and hashes may be wider. */
const textColumns = 72;

/** A kernel without /proc/config.gz. */
function unknownConfig(spec: string): string {
  return spec.startsWith('debian:') ? "that of Debian's package" : '(the kernel does not tell)';
}

/** What is wrong, in the words of the interface; the name that this tool has for it comes in the text. */
function titleOf(value: Case, evidence: Evidence): string {
  const difference = firstDifference(evidence.judgement);
  // Of a kernel's failure: what it is and where, without the callers.
  if (difference === null) return problemOf(evidence)?.split('; ').slice(0, 2).join('; ') ?? 'nothing wrong';
  const { step, vcpu, what, expected, observed } = difference;
  const place = vcpu === null ? what : `${what} of vCPU ${vcpu}`;
  return `${callName(value.steps[step ?? value.steps.length - 1])}: ${place}: expected ${expected}, got ${observed}`;
}

/** What is done, and what comes of it. */
function sentences(value: Case, evidence: Evidence): string[] {
  const problem = problemOf(evidence);
  const step = firstDifference(evidence.judgement)?.step ?? null;
  const number = step === null ? '' : `In step ${step + 1} of ${value.steps.length} below, `;
  const call = (step === null ? undefined : value.steps[step]) ?? value.steps.find(isCall) ?? value.steps[0]!;
  const done = value.steps.length === 1 ? describeStep(call) : `${number}${describeStep(call)}`;
  return [
    `${done}.`,
    problem === null ? 'KVM does as expected.' : `${titleOf(value, evidence)}.`,
    ...(firstDifference(evidence.judgement) === null ? [] : [`(hvipi's name for it: ${problem})`]),
  ];
}

function firstDifference(judgement: Evidence['judgement']): Difference | null {
  return 'differences' in judgement ? (judgement.differences[0] ?? null) : null;
}

function callName(step: Step | undefined): string {
  if (step === undefined || !isCall(step)) return 'Hyper-V IPI hypercalls';
  return step.do === 'send-ipi' ? 'HvCallSendSyntheticClusterIpi' : 'HvCallSendSyntheticClusterIpiEx';
}
