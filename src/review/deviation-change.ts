/**
 * Whether what differs between two kernels is a listed deviation from TLFS: one of them deviates as its contract says,
 * and the other does what TLFS permits.
 */
import { isPending } from '../../oracle/compare/attribution.ts';
import type { StepOutcome } from '../../oracle/outcome.ts';
import { type Deviation, explainViolations } from '../../oracle/tlfs/deviations.ts';
import { judgeByTlfs, type JudgedCall, violationsOf } from '../../oracle/tlfs/tlfs.ts';
import { isProblem } from '../campaign/judgement.ts';
import type { LapicChanges, Observation } from '../program/observation.ts';
import type { Pair, Seen } from './pair.ts';

export interface DeviationChange {
  readonly verb: 'mends' | 'makes';
  readonly deviations: readonly Pick<Deviation, 'id' | 'name'>[];
}

/** What the second kernel does to a listed deviation in the first step that differs; null where there is none. */
export function deviationChange({ base, kernel }: Pair, step: number | null): DeviationChange | null {
  if (step === null) return null;
  const mended = isProblem(base.judgement) ? [] : deviationsLeft(base, kernel, step);
  if (mended.length > 0) return { verb: 'mends', deviations: mended };
  const made = isProblem(kernel.judgement) ? [] : deviationsLeft(kernel, base, step);
  return made.length > 0 ? { verb: 'makes', deviations: made } : null;
}

/** `mends deviation D03 fast-0b-vtl-rejected`. */
export function describeDeviationChange({ verb, deviations }: DeviationChange): string {
  const names = deviations.map(({ id, name }) => `${id} ${name}`);
  return `${verb} ${names.length === 1 ? 'deviation' : 'deviations'} ${names.join(', ')}`;
}

/** The deviations that one kernel has in a step, by its contract, where what the other one did is permitted. */
function deviationsLeft({ prepared, facts }: Seen, other: Seen, step: number): readonly Deviation[] {
  const { program, outcome } = prepared;
  const judged = judgeByTlfs(program, outcome, facts).find((call) => call.step === step);
  if (judged === undefined || other.observation === null) return [];
  const { known, unlisted } = explainViolations(judged);
  if (known.length === 0 || unlisted.length > 0) return [];
  const before = step === 0 ? outcome.lapics : (other.observation.steps[step - 1]?.lapics ?? null);
  const done = doneBy(judged, other.observation, before);
  return done !== null && violationsOf(judged.permitted, done).length === 0 ? known : [];
}

/** A call as it was seen, in the form of a prediction; null where it was not made. */
function doneBy(
  { step, done, call, permitted }: JudgedCall,
  observation: Observation,
  before: readonly LapicChanges[] | null,
): StepOutcome | null {
  const seen = observation.steps[step];
  // What the VMM answered is nobody's word on TLFS.
  if (seen === undefined || seen.exit !== null) return null;
  const vector = call.vector & 0xff;
  const named = new Set(permitted.receivers.flat());
  const receivers = done.apics.flatMap((_, vcpu): number[] => {
    const lapic = seen.lapics?.[vcpu];
    if (seen.arrivals[vcpu]?.includes(vector)) return [vcpu];
    // In a batch nobody looks after each step; the case alone tells.
    if (lapic === undefined) return seen.result === 0n && named.has(vcpu) ? [vcpu] : [];
    const wasPending = before !== null && isPending(before[vcpu]!, vector);
    return isPending(lapic, vector) && (named.has(vcpu) || !wasPending) ? [vcpu] : [];
  });
  return { ...done, result: seen.result, exception: seen.exception?.vector ?? null, exit: null, receivers };
}
