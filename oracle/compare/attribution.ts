/**
 * Which step to blame for a LAPIC that shows wrong only later, at the end of a program or in a `run` step. For a
 * missing interrupt the call is known exactly; for a surplus one it is a best guess.
 */
import { APIC_IRR, APIC_TMR, vectorBit } from '../../src/abi/lapic.ts';
import type { LapicChanges, Observation } from '../../src/program/observation.ts';
import type { Program } from '../../src/program/program.ts';
import { takesInterrupts } from '../../src/program/tier.ts';
import { tmrAtSetup } from '../state/machine.ts';
import type { Outcome } from '../outcome.ts';

export class Attribution {
  readonly #program: Program;
  readonly #outcome: Outcome;
  readonly #observation: Observation;

  constructor(program: Program, outcome: Outcome, observation: Observation) {
    this.#program = program;
    this.#outcome = outcome;
    this.#observation = observation;
  }

  /**
   * The step at or before `until` that made a vector pending at a vCPU, or `until` when none did. Where a handler ran
   * that was not to run, the vector was pending, and it is missing because of that step.
   */
  missing(vcpu: number, vector: number, until: number): number {
    for (let step = until; step >= 0; step--) if (this.#isTakenTooEarly(step, vcpu, vector)) return step;
    return this.#firstOfStretch(until, (step) => isPending(this.#lapicAfter(step, vcpu), vector));
  }

  /** The step at or before `until` that cleared a vector's TMR bit at a vCPU, or `until` when none did. */
  trigger(vcpu: number, vector: number, until: number): number {
    return this.#firstOfStretch(until, (step) => isEdge(this.#lapicAfter(step, vcpu), vector));
  }

  /**
   * The call at or before `until`, and after the `run` step before it, that most likely delivered a vector to a vCPU
   * against the prediction: one of that vector, rather one with a wrong result, rather one that succeeds, rather an early one. A step that should
   * have taken the vector and did not is to blame before any call.
   */
  extra(vcpu: number, vector: number, until: number): number {
    const { steps } = this.#program;
    let best = until;
    let bestScore = -1;
    for (let step = until; step >= 0; step--) {
      if (this.#isStuck(step, vcpu, vector)) return step;
      if (takesInterrupts(steps[step]!)) {
        if (step === until) continue;
        break;
      }
      const score = this.#suspicion(step, vcpu, vector);
      if (score >= bestScore) [best, bestScore] = [step, score];
    }
    return best;
  }

  /** Whether the handler of a vector ran in a step although the vector was to stay pending over it. */
  #isTakenTooEarly(step: number, vcpu: number, vector: number): boolean {
    if (this.#observation.steps[step]?.arrivals[vcpu]?.includes(vector) !== true) return false;
    return !this.#outcome.steps[step]!.arrivals[vcpu]!.includes(vector) && this.staysPending(step, vcpu, vector);
  }

  /** Whether a vector is to be pending before a step and after it. */
  staysPending(step: number, vcpu: number, vector: number): boolean {
    const before = step === 0 ? this.#outcome.lapics[vcpu]! : this.#lapicAfter(step - 1, vcpu);
    return isPending(before, vector) && isPending(this.#lapicAfter(step, vcpu), vector);
  }

  #isStuck(step: number, vcpu: number, vector: number): boolean {
    const isExpected = this.#outcome.steps[step]!.arrivals[vcpu]!.includes(vector);
    return isExpected && this.#observation.steps[step]?.arrivals[vcpu]?.includes(vector) === false;
  }

  #suspicion(step: number, vcpu: number, vector: number): number {
    const outcome = this.#outcome.steps[step]!;
    const { call } = outcome;
    const hasVector = call !== null && call.headIsReadable && (call.vector & 0xff) === vector;
    const hasWrongResult = this.#observation.steps[step]?.result !== outcome.result;
    const isReceiver = outcome.receivers.includes(vcpu);
    return (hasVector ? 8 : 0) + (hasWrongResult ? 4 : 0) + (outcome.result === 0n ? 2 : 0) + (isReceiver ? 0 : 1);
  }

  #lapicAfter(step: number, vcpu: number): LapicChanges {
    return this.#outcome.steps[step]!.lapics[vcpu]!;
  }

  /** First of the steps up to the last at which the condition holds without a break; a `run` step ends before itself. */
  #firstOfStretch(until: number, holds: (step: number) => boolean): number {
    let step = takesInterrupts(this.#program.steps[until]!) && !holds(until) ? until - 1 : until;
    if (step < 0 || !holds(step)) return until;
    while (step > 0 && holds(step - 1)) step--;
    return step;
  }
}

/** Whether a vector's IRR bit is set. */
export function isPending(lapic: LapicChanges, vector: number): boolean {
  const { offset, mask } = vectorBit(APIC_IRR, vector);
  return ((lapic.get(offset) ?? 0) & mask) !== 0;
}

/** Whether a vector's TMR bit is clear. */
export function isEdge(lapic: LapicChanges, vector: number): boolean {
  const { offset, mask } = vectorBit(APIC_TMR, vector);
  return ((lapic.get(offset) ?? tmrAtSetup) & mask) === 0;
}
