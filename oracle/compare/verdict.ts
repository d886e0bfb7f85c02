/**
 * Compares an outcome with an observation. Everything in the observation is compared, nothing is tolerated. A quick
 * comparison settles the usual case; only what it cannot settle is looked at in detail.
 */
import type {
  Arrivals,
  LapicChanges,
  MemoryChange,
  Observation,
  RegisterChange,
  StepObservation,
} from '../../src/program/observation.ts';
import type { Program } from '../../src/program/program.ts';
import { type Blame, collectDifferences, differenceKinds } from './differences.ts';
import { type Outcome, ripOffsetOf, type StepOutcome, type Verdict } from '../outcome.ts';
import { withPprAsRead } from './ppr.ts';

const match: Verdict = { kind: 'match' };

/** Whether an observation is what the model predicts for the program, and if not, in what it differs. */
export function judge(program: Program, outcome: Outcome, observation: Observation): Verdict {
  if (isQuietMatch(outcome, observation)) return match;
  const compared = outcome.hasLazyPpr ? withPprAsRead(observation) : observation;
  const { differences, blames } = collectDifferences(program, outcome, compared);
  if (differences.length === 0) return match;
  return { kind: 'divergence', signature: signatureOf(outcome, blames), differences };
}

/** The rule and kind of the first blame; the machine's set-up comes before all steps, its memory after them. */
function signatureOf(outcome: Outcome, blames: readonly Blame[]): string {
  const rank = ({ kind }: Blame): number => differenceKinds.indexOf(kind);
  const [first] = blames.toSorted((a, b) => placeOf(a) - placeOf(b) || rank(a) - rank(b));
  if (first === undefined) throw new Error('a divergence without a blame');
  if (first.step === null) return `${first.kind === 'vp-index' ? 'machine' : 'program'}/${first.kind}`;
  return `${outcome.steps[first.step]?.rule ?? 'program'}/${first.kind}`;
}

function placeOf({ step, kind }: Blame): number {
  if (step !== null) return step;
  return kind === 'vp-index' ? -1 : Number.MAX_SAFE_INTEGER;
}

/** True only when everything is as predicted. */
function isQuietMatch(outcome: Outcome, observation: Observation): boolean {
  const { steps } = outcome;
  if (observation.stopped !== null || !isSameMemory(outcome.memory, observation.memory)) return false;
  if (observation.steps.length !== steps.length || !isSameList(outcome.vpIndexes, observation.vpIndexes)) return false;
  for (let index = 0; index < steps.length; index++) {
    if (!isQuietStep(steps[index]!, observation.steps[index]!)) return false;
  }
  if (!areSameNeighbours(outcome.neighbour, observation.neighbour)) return false;
  const last = steps.at(-1);
  return last !== undefined && areSameLapics(last.lapics, observation.lapics);
}

function isQuietStep(expected: StepOutcome, observed: StepObservation): boolean {
  return (
    expected.result === observed.result &&
    expected.exception === (observed.exception?.vector ?? null) &&
    (observed.exception === null || observed.exception.ripOffset === ripOffsetOf(expected)) &&
    expected.exit === observed.exit &&
    areSameRegisters(expected.registers, observed.registers) &&
    areSameArrivals(expected.arrivals, observed.arrivals) &&
    areSameArrivals(expected.priorities, observed.priorities) &&
    observed.leftovers.length === 0 &&
    (observed.lapics === null || areSameLapics(expected.lapics, observed.lapics))
  );
}

/** Both lists in the order of `changedRegisters`; another order is looked at in detail. */
function areSameRegisters(expected: readonly RegisterChange[], observed: readonly RegisterChange[]): boolean {
  if (expected.length !== observed.length) return false;
  return expected.every(({ register, after }, index) => {
    const seen = observed[index]!;
    return seen.register === register && seen.after === after;
  });
}

/** Whether memory changed as predicted, each word at its place. */
export function isSameMemory(expected: readonly MemoryChange[], observed: readonly MemoryChange[]): boolean {
  if (expected.length !== observed.length) return false;
  return expected.every(
    ({ gpa, after }, index) => observed[index]!.gpa === gpa && observed[index]!.after.equals(after),
  );
}

function areSameArrivals(expected: Arrivals, observed: Arrivals): boolean {
  if (expected.length !== observed.length) return false;
  for (let vcpu = 0; vcpu < expected.length; vcpu++) {
    if (!isSameList(expected[vcpu]!, observed[vcpu]!)) return false;
  }
  return true;
}

function areSameLapics(expected: readonly LapicChanges[], observed: readonly LapicChanges[]): boolean {
  if (expected.length !== observed.length) return false;
  for (let vcpu = 0; vcpu < expected.length; vcpu++) {
    if (!isSameLapic(expected[vcpu]!, observed[vcpu]!)) return false;
  }
  return true;
}

function areSameNeighbours(expected: Outcome['neighbour'], observed: Observation['neighbour']): boolean {
  if (expected === null || observed === null) return expected === observed;
  return areSameLapics(expected, observed);
}

function isSameLapic(expected: LapicChanges, observed: LapicChanges): boolean {
  if (expected.size !== observed.size) return false;
  for (const [offset, value] of expected) if (observed.get(offset) !== value) return false;
  return true;
}

function isSameList(expected: readonly number[], observed: readonly number[]): boolean {
  if (expected.length !== observed.length) return false;
  for (let index = 0; index < expected.length; index++) if (expected[index] !== observed[index]) return false;
  return true;
}
