/**
 * One case observed in all three tiers: concurrent as it is, counted with every vCPU parked, and pending without any
 * handler. The tier must not change who accepts which vectors or what the calls return. The observations are compared
 * with each other, whatever the model says.
 */
import { APIC_IRR } from '../abi/lapic.ts';
import type { Case, Step } from '../case/case.ts';
import { runsMeanwhile } from '../case/limits.ts';
import type { LapicChanges, Observation } from '../program/observation.ts';
import { clearedInTmr } from '../../oracle/compare/lapic-differences.ts';
import { vectorsOf } from '../../oracle/state/machine.ts';
import { formatResult, formatVectors } from '../../oracle/names.ts';
import type { Difference } from '../../oracle/outcome.ts';
import { isCall, kindOf } from '../case/steps/kinds.ts';

/** A case with each step after the other, in the counted and in the pending tier. */
export interface Twins {
  readonly counted: Case;
  /** Null for a case that has nothing but `run` steps. */
  readonly pending: Case | null;
}

/** The twins of a concurrent case; null where the order of its steps decides who is meant. */
export function twinsOf(value: Case): Twins | null {
  const { machine, steps } = value;
  if (machine.schedule === null || steps.some((step) => kindOf(step).concurrent?.needsOrder ?? true)) return null;
  const vcpus = machine.vcpus.map((vcpu) => {
    return runsMeanwhile(vcpu) ? { ...vcpu, idle: 'parked' as const } : vcpu;
  });
  const twin = (own: Step[]): Case => ({ ...value, machine: { ...machine, schedule: null, vcpus }, steps: own });
  const calls = steps.filter(isCall);
  return { counted: twin(steps), pending: calls.length === 0 ? null : twin(calls) };
}

/** In what the observations of a case and of its twins disagree; empty when the tiers are compatible. */
export function disagreements(
  { steps }: Case,
  concurrent: Observation,
  counted: Observation,
  pending: Observation | null,
): Difference[] {
  return [
    ...resultDifferences(steps, concurrent, counted, 'counted'),
    ...lapicDisagreements(concurrent, counted, 'counted'),
    ...(pending === null ? [] : resultDifferences(steps, concurrent, pending, 'pending')),
    ...(pending === null ? [] : lapicDisagreements(concurrent, pending, 'pending')),
  ];
}

function resultDifferences(steps: readonly Step[], left: Observation, right: Observation, name: string): Difference[] {
  const calls = steps.flatMap((step, index) => (isCall(step) ? [index] : []));
  return calls.flatMap((step, place): Difference[] => {
    const [seen, other] = [left.steps[step], right.steps[name === 'pending' ? place : step]];
    const isSame = seen?.result === other?.result && seen?.exception?.vector === other?.exception?.vector;
    if (isSame) return [];
    const texts = { expected: formatResult(other?.result ?? null), observed: formatResult(seen?.result ?? null) };
    return [{ step, vcpu: null, what: `result of the ${name} tier against the concurrent one`, ...texts }];
  });
}

/** Vectors that arrived or are pending, and those that were accepted. */
function lapicDisagreements(left: Observation, right: Observation, name: string): Difference[] {
  return left.lapics.flatMap((lapic, vcpu): Difference[] => {
    const other = right.lapics[vcpu];
    const pairs = [
      ['interrupts', got(left, vcpu, lapic), got(right, vcpu, other)],
      ['TMR', accepted(lapic), accepted(other)],
    ] as const;
    return pairs.flatMap(([what, observed, expected]) => {
      if (observed === expected) return [];
      return [{ step: null, vcpu, what: `${what} of the ${name} tier against the concurrent one`, expected, observed }];
    });
  });
}

function got({ steps }: Observation, vcpu: number, lapic: LapicChanges | undefined): string {
  const arrived = steps.flatMap(({ arrivals }) => arrivals[vcpu] ?? []);
  const pending = lapic === undefined ? [] : vectorsOf(lapic, APIC_IRR);
  return formatVectors([...new Set([...arrived, ...pending])].sort((a, b) => b - a));
}

function accepted(lapic: LapicChanges | undefined): string {
  return lapic === undefined ? 'not looked at' : formatVectors(clearedInTmr(lapic));
}
