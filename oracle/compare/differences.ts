/**
 * All differences between an observation and an outcome, as text, each with the step to blame. Every difference
 * counts: nothing here decides that one does not matter.
 */
import type { MemoryChange, Observation, StepObservation } from '../../src/program/observation.ts';
import type { Program } from '../../src/program/program.ts';
import { Attribution, isPending } from './attribution.ts';
import { type LapicPair, lapicDifferences } from './lapic-differences.ts';
import { leftoverDifferences } from './leftover-differences.ts';
import { neighbourDifferences } from './neighbour-differences.ts';
import { untouchedLapic } from '../state/machine.ts';
import { formatException, formatHex, formatResult, formatVectors } from '../names.ts';
import { type Difference, type Outcome, ripOffsetOf, type StepOutcome } from '../outcome.ts';

/** Kinds of differences; within a step an earlier one names the signature. */
export const differenceKinds = [
  'vp-index',
  'exception',
  'exit',
  'result',
  'register',
  'lost-wake-up',
  'lost-kick',
  'stuck',
  'missing-interrupt',
  'extra-interrupt',
  'order',
  'priority',
  'tmr',
  'lapic',
  'stopped',
  'memory',
  'neighbour',
] as const;
type DifferenceKind = (typeof differenceKinds)[number];

/** The step that a difference speaks against; null for the program as a whole. */
export interface Blame {
  readonly step: number | null;
  readonly kind: DifferenceKind;
}

export interface Differences {
  readonly differences: readonly Difference[];
  readonly blames: readonly Blame[];
}

/** Compares in detail; slow next to `judge`'s quick comparison. */
export function collectDifferences(program: Program, outcome: Outcome, observation: Observation): Differences {
  const collector = new Collector(program, outcome, observation);
  collector.vpIndexes();
  const ran = Math.min(outcome.steps.length, observation.steps.length);
  for (let step = 0; step < ran; step++) {
    collector.registers(step);
    collector.leftovers(step);
    collector.arrivals(step);
    collector.priorities(step);
    collector.lapicsAfter(step);
  }
  collector.stop();
  collector.lapicsAtEnd();
  collector.memory();
  collector.neighbour();
  return collector;
}

class Collector implements Differences {
  readonly differences: Difference[] = [];
  readonly blames: Blame[] = [];
  readonly #outcome: Outcome;
  readonly #observation: Observation;
  readonly #vcpus: readonly number[];
  readonly #attribution: Attribution;
  readonly #program: Program;

  constructor(program: Program, outcome: Outcome, observation: Observation) {
    this.#program = program;
    this.#outcome = outcome;
    this.#observation = observation;
    this.#vcpus = program.vcpus.map((_, position) => position);
    this.#attribution = new Attribution(program, outcome, observation);
  }

  vpIndexes(): void {
    const observed = this.#observation.vpIndexes;
    this.#count(null, 'VP indexes', observed.length, 'vp-index');
    for (const vcpu of this.#vcpus) {
      const [expected, actual] = [this.#outcome.vpIndexes[vcpu], observed[vcpu]];
      if (actual === undefined || expected === actual) continue;
      this.differences.push({ step: null, vcpu, what: 'VP index', expected: `${expected}`, observed: `${actual}` });
      this.blames.push({ step: null, kind: 'vp-index' });
    }
  }

  /** Exception, result and every other register of a call. */
  registers(step: number): void {
    const [expected, observed] = this.#pair(step);
    const report = (kind: DifferenceKind, what: string, wanted: string, seen: string): void => {
      this.differences.push({ step, vcpu: this.#sender(step), what, expected: wanted, observed: seen });
      this.blames.push({ step, kind });
    };
    const vector = observed.exception?.vector ?? null;
    const offset = observed.exception?.ripOffset ?? 0;
    if (expected.exception !== vector || (vector !== null && offset !== ripOffsetOf(expected))) {
      const seen = offset === 0 ? '' : ` at the call ${offset > 0 ? '+' : '-'} ${Math.abs(offset)} bytes`;
      report('exception', 'exception', formatException(expected.exception), `${formatException(vector)}${seen}`);
    }
    if (expected.result !== observed.result) {
      report('result', 'result', formatResult(expected.result), formatResult(observed.result));
    }
    if (expected.exit !== observed.exit) {
      report('exit', 'exit', expected.exit ?? 'none', observed.exit ?? 'none');
    }
    const names = new Set([...expected.registers, ...observed.registers].map(({ register }) => register));
    for (const name of names) {
      const wanted = expected.registers.find(({ register }) => register === name);
      const seen = observed.registers.find(({ register }) => register === name);
      const before = (wanted ?? seen)!.before;
      const [value, actual] = [wanted?.after ?? before, seen?.after ?? before];
      if (value !== actual) report('register', `register ${name}`, formatHex(value, 16), formatHex(actual, 16));
    }
  }

  arrivals(step: number): void {
    const [{ arrivals }, observed] = this.#pair(step);
    this.#count(step, 'arrivals', observed.arrivals.length, 'extra-interrupt');
    for (const vcpu of this.#vcpus) {
      const [expected, seen] = [arrivals[vcpu]!, observed.arrivals[vcpu]];
      if (seen === undefined || (expected.length === seen.length && expected.every((v, i) => v === seen[i]))) continue;
      const texts = { expected: formatVectors(expected), observed: formatVectors(seen) };
      this.differences.push({ step, vcpu, what: 'arrivals', ...texts });
      const lost = withoutEach(expected, seen);
      const surplus = withoutEach(seen, expected);
      for (const vector of lost) this.#blameLost(step, vcpu, vector);
      for (const vector of surplus) this.#blameSurplus(step, vcpu, vector, expected.includes(vector));
      if (lost.length + surplus.length === 0) this.blames.push({ step, kind: 'order' });
    }
  }

  /** PPR at the beginning of the handlers; where other handlers began, that says nothing more. */
  priorities(step: number): void {
    const [expected, observed] = this.#pair(step);
    for (const vcpu of this.#vcpus) {
      const texts = {
        expected: formatVectors(expected.priorities[vcpu]!),
        observed: formatVectors(observed.priorities[vcpu] ?? []),
      };
      if (texts.expected === texts.observed) continue;
      this.differences.push({ step, vcpu, what: 'PPR of handlers', ...texts });
      this.blames.push({ step, kind: 'priority' });
    }
  }

  /** Who had at a fence what it should have taken by itself. */
  leftovers(step: number): void {
    for (const { kind, difference } of leftoverDifferences(step, this.#observation.steps[step]!.leftovers)) {
      this.differences.push(difference);
      this.blames.push({ step, kind });
    }
  }

  /** LAPICs after a step, where they were looked at. */
  lapicsAfter(step: number): void {
    const [{ lapics }, observed] = this.#pair(step);
    if (observed.lapics === null) return;
    this.#count(step, 'LAPICs', observed.lapics.length, 'lapic');
    for (const vcpu of this.#vcpus) {
      const seen = observed.lapics[vcpu];
      if (seen === undefined) continue;
      const now = { expected: lapics[vcpu]!, observed: seen };
      this.#lapic(step, vcpu, now, this.#lapicPair(step - 1, vcpu), true);
    }
  }

  /** LAPICs after the last step; a program that was stopped has none. */
  lapicsAtEnd(): void {
    const last = this.#outcome.steps.length - 1;
    const observed = this.#observation.lapics;
    if (this.#observation.stopped !== null || this.#observation.steps.length !== last + 1) return;
    this.#count(null, 'LAPICs', observed.length, 'lapic');
    const isExact = this.#observation.steps[last]?.lapics != null;
    for (const vcpu of this.#vcpus) {
      const seen = observed[vcpu];
      if (seen === undefined) continue;
      const now = { expected: this.#outcome.steps[last]!.lapics[vcpu]!, observed: seen };
      this.#lapic(null, vcpu, now, this.#lapicPair(last, vcpu), isExact);
    }
  }

  stop(): void {
    const [expected, ran] = [this.#outcome.steps.length, this.#observation.steps.length];
    if (this.#observation.stopped === null && expected === ran) return;
    const observed = `${ran} steps ran${this.#observation.stopped === null ? '' : `, then: ${this.#observation.stopped}`}`;
    const step = ran < expected ? ran : null;
    this.differences.push({ step, vcpu: null, what: 'stopped', expected: `all ${expected} steps run`, observed });
    this.blames.push({ step, kind: 'stopped' });
  }

  memory(): void {
    const { memory: wanted } = this.#outcome;
    const { memory: seen } = this.#observation;
    const find = (list: readonly MemoryChange[], gpa: bigint) => list.find((change) => change.gpa === gpa);
    for (const gpa of new Set([...wanted, ...seen].map((change) => change.gpa))) {
      const before = (find(seen, gpa) ?? find(wanted, gpa))!.before;
      const [expected, after] = [find(wanted, gpa)?.after ?? before, find(seen, gpa)?.after ?? before];
      if (expected.equals(after)) continue;
      const texts = { expected: expected.toString('hex'), observed: after.toString('hex') };
      this.differences.push({ step: null, vcpu: null, what: `memory ${formatHex(gpa)}`, ...texts });
      this.blames.push({ step: null, kind: 'memory' });
    }
  }

  neighbour(): void {
    // A program that was stopped was not looked at to its end.
    if (this.#observation.stopped !== null) return;
    for (const difference of neighbourDifferences(this.#outcome.neighbour, this.#observation.neighbour)) {
      this.differences.push(difference);
      this.blames.push({ step: null, kind: 'neighbour' });
    }
  }

  /** `step` null is the end of the program. */
  #lapic(step: number | null, vcpu: number, now: LapicPair, before: LapicPair, isExact: boolean): void {
    const until = step ?? this.#outcome.steps.length - 1;
    const { missing, extra, trigger } = this.#blamers(vcpu, until, isExact);
    for (const { onlyExpected, onlyObserved, ...difference } of lapicDifferences(now, before)) {
      this.differences.push({ step, vcpu, ...difference });
      if (difference.what === 'IRR') {
        for (const vector of onlyExpected) this.blames.push({ step: missing(vector), kind: 'missing-interrupt' });
        for (const vector of onlyObserved) this.blames.push({ step: extra(vector), kind: 'extra-interrupt' });
      } else if (difference.what === 'TMR') {
        for (const vector of onlyObserved) this.blames.push({ step: trigger(vector), kind: 'tmr' });
        for (const vector of onlyExpected) this.blames.push({ step: extra(vector), kind: 'tmr' });
      } else {
        this.blames.push({ step: until, kind: 'lapic' });
      }
    }
  }

  /** Who is to blame for a vector: the step itself where LAPICs were read after each step, else by the history. */
  #blamers(
    vcpu: number,
    until: number,
    isExact: boolean,
  ): Record<'missing' | 'extra' | 'trigger', (v: number) => number> {
    if (isExact) return { missing: () => until, extra: () => until, trigger: () => until };
    return {
      missing: (vector) => this.#attribution.missing(vcpu, vector, until),
      extra: (vector) => this.#attribution.extra(vcpu, vector, until),
      trigger: (vector) => this.#attribution.trigger(vcpu, vector, until),
    };
  }

  /** A handler did not run: the call did not deliver, unless the vector is still pending at the end. */
  #blameLost(step: number, vcpu: number, vector: number): void {
    const end = this.#observation.lapics[vcpu];
    const expectedEnd = this.#outcome.steps.at(-1)!.lapics[vcpu]!;
    const isStuck = end !== undefined && isPending(end, vector) && !isPending(expectedEnd, vector);
    const exact = isStuck || this.#observation.steps[step]!.lapics !== null;
    const blamed = exact ? step : this.#attribution.missing(vcpu, vector, step);
    this.blames.push({ step: blamed, kind: 'missing-interrupt' });
  }

  /** A handler ran too often in this step, or ran for a vector that a call should not have delivered. */
  #blameSurplus(step: number, vcpu: number, vector: number, isExpectedOnce: boolean): void {
    const isOwn = isExpectedOnce || this.#attribution.staysPending(step, vcpu, vector);
    const exact = isOwn || this.#observation.steps[step]!.lapics !== null;
    const blamed = exact ? step : this.#attribution.extra(vcpu, vector, step);
    this.blames.push({ step: blamed, kind: 'extra-interrupt' });
  }

  /** The LAPICs of a vCPU after a step; equal ones where nobody looked. */
  #lapicPair(step: number, vcpu: number): LapicPair {
    const observed = step < 0 ? null : this.#observation.steps[step]?.lapics?.[vcpu];
    if (observed == null) return { expected: untouchedLapic, observed: untouchedLapic };
    return { expected: this.#outcome.steps[step]!.lapics[vcpu]!, observed };
  }

  /** Reports a list that does not have one entry for each vCPU. */
  #count(step: number | null, what: string, count: number, kind: DifferenceKind): void {
    if (count === this.#vcpus.length) return;
    const texts = { expected: `${this.#vcpus.length} vCPUs`, observed: `${count} vCPUs` };
    this.differences.push({ step, vcpu: null, what, ...texts });
    this.blames.push({ step: step ?? (kind === 'vp-index' ? null : this.#outcome.steps.length - 1), kind });
  }

  #pair(step: number): [StepOutcome, StepObservation] {
    return [this.#outcome.steps[step]!, this.#observation.steps[step]!];
  }

  #sender(step: number): number | null {
    const at = this.#program.steps[step]!;
    if (at.kind === 'call') return at.sender;
    return 'vcpu' in at ? at.vcpu : null;
  }
}

/** The members of a list, each taken away once for each time that it stands in the other. */
function withoutEach(list: readonly number[], other: readonly number[]): number[] {
  const rest = [...list];
  for (const member of other) {
    const place = rest.indexOf(member);
    if (place >= 0) rest.splice(place, 1);
  }
  return rest;
}
