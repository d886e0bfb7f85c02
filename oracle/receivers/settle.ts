/**
 * Turns the bounds of a concurrent program into one outcome. Where the bounds leave a choice, the outcome takes what
 * was observed; everything else stays as predicted. So the comparison is exact, as for any other program.
 */
import type { LapicChanges, Observation } from '../../src/program/observation.ts';
import { isEdge, isPending } from '../compare/attribution.ts';
import { acceptVector, withoutPending } from '../state/machine.ts';
import type { Leeway, Outcome, StepOutcome } from '../outcome.ts';

/** The outcome of the interleaving that comes closest to an observation. */
export function settle(outcome: Outcome, observation: Observation): Outcome {
  if (outcome.steps.every(({ leeway }) => leeway === null)) return outcome;
  /** Of each vCPU, the uncertain vectors that were accepted so far, and whether they stay pending. */
  const accepted = outcome.lapics.map(() => new Map<number, boolean>());
  const steps = outcome.steps.map((step, index): StepOutcome => {
    const { leeway } = step;
    if (leeway === null) return step;
    const seen = observation.steps[index]?.arrivals;
    const arrivals = step.arrivals.map((fewest, vcpu) => settleArrivals(fewest, leeway[vcpu]!, seen?.[vcpu] ?? fewest));
    for (const [vcpu, known] of accepted.entries()) {
      const own = leeway[vcpu]!;
      for (const vector of acceptedOf(own, arrivals[vcpu]!, observation.lapics[vcpu])) {
        known.set(vector, !own.most.has(vector));
      }
    }
    const lapics = step.lapics.map((lapic, vcpu) => settleLapic(lapic, accepted[vcpu]!));
    return { ...step, arrivals, lapics };
  });
  return { ...outcome, steps };
}

/** What was seen, without what is too much and with what is missing. */
function settleArrivals(fewest: readonly number[], { most, isOrdered }: Leeway, seen: readonly number[]): number[] {
  const counts = new Map<number, number>();
  const kept = seen.filter((vector) => {
    const count = (counts.get(vector) ?? 0) + 1;
    counts.set(vector, count);
    return count <= (most.get(vector) ?? 0);
  });
  const all = [...kept, ...fewest.filter((vector) => !counts.has(vector))];
  return isOrdered ? all.sort((left, right) => right - left) : all;
}

/**
 * The uncertain vectors of a phase that were accepted: they arrived, or are pending to the end where they are blocked. Of one
 * that was pending already only TMR tells.
 */
function acceptedOf(
  { maybe, maybeAgain, most }: Leeway,
  arrivals: readonly number[],
  atEnd: LapicChanges | undefined,
): number[] {
  const isAccepted = (vector: number): boolean =>
    most.has(vector) ? arrivals.includes(vector) : atEnd !== undefined && isPending(atEnd, vector);
  const hasEdge = (vector: number): boolean => atEnd !== undefined && isEdge(atEnd, vector);
  return [...maybe.filter(isAccepted), ...maybeAgain.filter(hasEdge)];
}

/** The LAPIC with what was accepted; what could be taken has been. */
function settleLapic(lapic: LapicChanges, accepted: ReadonlyMap<number, boolean>): LapicChanges {
  let settled = lapic;
  for (const [vector, stays] of accepted) {
    const wasPending = isPending(settled, vector);
    settled = acceptVector(settled, vector);
    if (!wasPending && !stays) settled = withoutPending(settled, [vector]);
  }
  return settled;
}
