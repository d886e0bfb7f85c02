/** The differences between two runs of one case that a guest can see. */
import type { RunView, StepView } from '../campaign/text/view.ts';

/** One thing that the guest sees differently. */
export interface GuestDifference {
  /** Position of the step; null for the machine's set-up and for the end of the program. */
  readonly step: number | null;
  readonly vcpu: number | null;
  readonly what: string;
  readonly base: string;
  readonly kernel: string;
}

/** In what two runs differ, in the order of the steps. */
export function viewDifferences(base: RunView, kernel: RunView): GuestDifference[] {
  const found: GuestDifference[] = [];
  type Value = Parameters<typeof textOf>[0];
  const compare = (step: number | null, vcpu: number | null, what: string, left: Value, right: Value): void => {
    const texts = { base: textOf(left), kernel: textOf(right) };
    if (texts.base !== texts.kernel) found.push({ step, vcpu, what, ...texts });
  };
  base.vpIndexes.forEach((vpIndex, vcpu) => compare(null, vcpu, 'VP index', vpIndex, kernel.vpIndexes[vcpu]));
  for (let step = 0; step < Math.max(base.steps.length, kernel.steps.length); step++) {
    const [left, right] = [base.steps[step], kernel.steps[step]];
    compare(step, null, 'status', statusOf(left), statusOf(right));
    compare(step, null, 'registers', left?.registers, right?.registers);
    left?.vcpus.forEach(({ arrivals, lapic }, vcpu) => {
      const other = right?.vcpus[vcpu];
      compare(step, vcpu, 'handlers', arrivals, other?.arrivals);
      compare(step, vcpu, 'LAPIC', lapic, other?.lapic);
    });
  }
  compare(null, null, 'program', base.stopped ?? 'runs to its end', kernel.stopped ?? 'runs to its end');
  // At the end LAPICs say something new only where they were not read after every step.
  if (found.every(({ what }) => what !== 'LAPIC')) {
    base.lapics.forEach((lapic, vcpu) => compare(null, vcpu, 'LAPIC', lapic, kernel.lapics[vcpu]));
  }
  compare(null, null, 'memory', base.memory, kernel.memory);
  return found;
}

/** `0x3 HV_STATUS_INVALID_HYPERCALL_INPUT`, an exception, who else answered, or that the step did not run. */
export function statusOf(step: StepView | undefined): string {
  if (step === undefined) return 'not run';
  const { exception, exit, result, status } = step;
  if (result === null) return exception ?? exit ?? '-';
  const left = exit === null ? '' : `exit ${exit}, `;
  const behind = exception === null ? '' : `, ${exception}`;
  return status === result ? `${left}${result}${behind}` : `${left}${result} ${status}${behind}`;
}

function textOf(value: string | number | readonly string[] | null | undefined): string {
  if (value === undefined || value === null) return '-';
  if (typeof value === 'object') return value.length === 0 ? 'unchanged' : value.join('; ');
  return `${value}`;
}
