/** `replay --trace`: KVM's own trace events beside the rules of the model. */
import { kvmRules } from '../../oracle/call/rules.ts';
import type { Difference, StepOutcome } from '../../oracle/outcome.ts';
import { faultMet } from '../campaign/target/emulator-faults.ts';
import { isProblem, judgeObservation, prepare, type Prepared } from '../campaign/judgement.ts';
import { Progress } from '../campaign/progress.ts';
import { describeStep, formatMachine } from '../campaign/text/stages.ts';
import { viewOutcome } from '../campaign/text/view.ts';
import { caseId } from '../case/case.ts';
import { groupVcpus, nameVcpus } from '../case/vcpus/vcpu-groups.ts';
import { openLab } from '../lab/lab.ts';
import { SkippedError, UsageError } from '../errors.ts';
import { eventsByStep, type Traced, type TraceEvent, traceProgram, withoutAsides } from '../lab/trace.ts';
import type { LoadedCase } from './common/case-files.ts';
import { type CommandContext, exitCodes } from './common/command.ts';
import { labOptionsOf, type RawTargetOptions } from './common/options.ts';

/** Traces each case in the lab; the exit code is that of `replay`. */
export async function replayTraced(
  loaded: readonly LoadedCase[],
  options: RawTargetOptions,
  { stdout, stderr, signal }: CommandContext,
): Promise<number> {
  if (options.target !== 'lab') throw new UsageError('--trace goes with --target lab only');
  const progress = new Progress(stderr);
  const cases = loaded.filter((each) => complaintOf(each) === null);
  for (const each of loaded) {
    if (!cases.includes(each)) progress.say(`${each.name}: --trace: ${complaintOf(each)!}`);
  }
  if (cases.length === 0) return exitCodes.usage;
  const labOptions = labOptionsOf(options, progress.say);
  await using lab = await openLab({ ...labOptions, signal, hasPrograms: true });
  let exitCode: number = cases.length < loaded.length ? exitCodes.usage : exitCodes.fine;
  for (const { name, value } of cases) {
    const reason = faultMet(value, lab.facts);
    if (reason !== null) throw new SkippedError(`${name}: ${reason}`);
    const prepared = prepare(value, lab.facts);
    const traced = await traceProgram(lab, prepared.program);
    const judgement = judgeObservation(prepared, traced.observation);
    const verdict = isProblem(judgement) ? `${judgement.class.toUpperCase()} ${judgement.signature}` : judgement.class;
    const differences =
      judgement.class === 'divergence' ? judgement.differences.slice(0, differencesMax).map(formatDifference) : [];
    if (isProblem(judgement)) exitCode = exitCodes.divergence;
    stdout.write(
      `${name} (${caseId(value)})\nmachine\n${formatMachine(value)}${formatTrace(prepared, traced)}${[verdict, ...differences].join('\n')}\n\n`,
    );
  }
  return exitCode;
}

/** Why a case cannot be traced, or null. */
function complaintOf({ before, value }: LoadedCase): string | null {
  if (before.length > 0) return 'the finding shows only behind other cases, which are not traced';
  if (value.machine.schedule === null) return null;
  return 'the steps of a concurrent case have no order by which events could be told apart';
}

/** Enough to see what is the matter. */
const differencesMax = 64;

/** `  step 1, vCPU 0, IRR: expected 0xfe, observed -`. */
function formatDifference({ step, vcpu, what, expected, observed }: Difference): string {
  const place = [step === null ? null : `step ${step + 1}`, vcpu === null ? null : `vCPU ${vcpu}`, what];
  return `  ${place.filter((part) => part !== null).join(', ')}: expected ${expected}, observed ${observed}`;
}

function formatTrace(prepared: Prepared, traced: Traced): string {
  const { value, program, outcome } = prepared;
  const bySteps = eventsByStep(program, traced);
  const steps = value.steps.map((step, index) => {
    const lines = [
      `step ${index + 1} of ${value.steps.length}`,
      `  ${describeStep(step)}`,
      ...modelLines(prepared, outcome.steps[index]!, index),
      ...(bySteps === null ? [] : eventLines(bySteps[index]!)),
    ];
    return `${lines.join('\n')}\n`;
  });
  const mixed =
    bySteps === null
      ? `KVM, all steps (vCPUs halt on threads of their own)\n${eventLines(traced.events).join('\n')}\n`
      : '';
  return steps.join('') + mixed;
}

/** The rule that decides, whose word it is, and what must come of it. */
function modelLines({ outcome, value }: Prepared, { rule }: StepOutcome, index: number): string[] {
  const view = viewOutcome(outcome).steps[index]!;
  const source = kvmRules.find(({ name }) => name === rule)?.source;
  const texts = view.vcpus.map(({ arrivals, lapic }) => {
    const parts = [arrivals === '-' ? '' : `handles ${arrivals}`, lapic === null || lapic === '-' ? '' : lapic];
    return parts.filter(Boolean).join('; ');
  });
  const vpIndexes = value.machine.vcpus.map(({ vpIndex }) => vpIndex);
  const vcpus = groupVcpus(texts.length, (vcpu) => texts[vcpu]!).flatMap((positions) => {
    const text = texts[positions[0]!]!;
    return text === '' ? [] : [`    model   ${nameVcpus(positions, vpIndexes)}: ${text}`];
  });
  if (source === undefined) return vcpus;
  const result = view.exception ?? `${view.result ?? '-'} ${view.status ?? ''}`;
  return [`    model   ${rule}: ${result}`, `            ${source}`, ...vcpus];
}

function eventLines(all: readonly TraceEvent[]): string[] {
  const { events, asides } = withoutAsides(all);
  const lines = events.map(({ name, text }) => `    KVM     ${name}: ${text.replace(quietFields, '')}`);
  return asides === 0 ? lines : [...lines, `            ${asides} exits for pages and host interrupts left out`];
}

/** What an exit that has nothing more to say ends with. */
const quietFields = /(?: info[12] 0x0+)*(?: intr_info 0x0+ error_code 0x0+)?$/;
