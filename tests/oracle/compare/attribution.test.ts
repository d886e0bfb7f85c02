import { describe, expect, it } from 'vitest';
import { makeCase, makeStep, type Step } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import type { StepObservation } from '../../../src/program/observation.ts';
import { observationOf } from '../../../src/model/model-executor.ts';
import { Attribution, isPending } from '../../../oracle/compare/attribution.ts';
import { predict } from '../../../oracle/model.ts';
import { facts } from '../programs.ts';

const ipi = (vector: number, ...targets: number[]) => makeStep({ do: 'send-ipi', vector, targets });
const run = makeStep({ do: 'run' });
const failing = (vector: number) => makeStep({ do: 'send-ipi', vector, targets: [1], repCount: 1 });
const unreadable = makeStep({ do: 'send-ipi', gpa: 0x100000n });

describe('Attribution.missing', () => {
  it.each<[string, Step[], number, number]>([
    ['the call that delivered', [ipi(0x41, 1), ipi(0x20, 1)], 0x20, 1],
    ['the first of several', [ipi(0x20, 1), ipi(0x20, 1), ipi(0x20, 1)], 0x20, 0],
    ['the first behind a run', [ipi(0x20, 1), run, ipi(0x20, 1), ipi(0x20, 1)], 0x20, 2],
    ['the last step where none did', [ipi(0x20, 1), ipi(0x20, 0)], 0x30, 1],
    ['the last step where another vCPU got it', [ipi(0x20, 0), ipi(0x30, 1)], 0x20, 1],
    ['the call before a run that takes it', [ipi(0x41, 1), ipi(0x20, 1), run], 0x20, 1],
    ['the first call before a run that takes it', [ipi(0x20, 1), ipi(0x20, 1), run], 0x20, 0],
    ['a run before which nothing was pending', [ipi(0x41, 1), run], 0x20, 1],
    ['a run that stands first', [run], 0x20, 0],
    ['a step that lost it', [ipi(0x20, 1), makeStep({ do: 'init', vcpu: 1 })], 0x20, 1],
  ])('should blame %s', (_, steps, vector, blamed) => {
    expect(attribution(steps).missing(1, vector, steps.length - 1)).toBe(blamed);
  });

  it('should look no further than it is told', () => {
    expect(attribution([ipi(0x20, 0), ipi(0x20, 1)]).missing(1, 0x20, 0)).toBe(0);
  });
});

describe('Attribution.trigger', () => {
  it.each<[string, Step[], number]>([
    ['the first call of the vector, over runs', [ipi(0x41, 1), ipi(0x20, 1), run, ipi(0x20, 1)], 1],
    ['the last step where none did', [ipi(0x20, 0), ipi(0x41, 1)], 1],
    ['the call before a run', [ipi(0x20, 1), run], 0],
  ])('should blame %s', (_, steps, blamed) => {
    expect(attribution(steps).trigger(1, 0x20, steps.length - 1)).toBe(blamed);
  });
});

describe('Attribution.extra', () => {
  it.each<[string, Step[], number]>([
    ['the call of that vector', [ipi(0x41, 0), ipi(0x20, 0), ipi(0x41, 0)], 1],
    ['the first of several', [ipi(0x20, 0), ipi(0x20, 0)], 0],
    ['one that did not deliver there rather than one that did', [ipi(0x20, 1), ipi(0x20, 0), ipi(0x20, 1)], 1],
    ['one that succeeds rather than one that fails', [failing(0x20), ipi(0x20, 0)], 1],
    ['a failing one of the vector rather than any other', [ipi(0x41, 0), failing(0x20), ipi(0x41, 0)], 1],
    ['by the low byte of the vector', [ipi(0x41, 0), ipi(0x120, 0), ipi(0x41, 0)], 1],
    ['none whose input could not be read', [ipi(0x41, 0), unreadable], 0],
    ['one behind the run before', [ipi(0x20, 0), run, ipi(0x41, 0)], 2],
    ['one before the run that took it', [ipi(0x20, 0), ipi(0x41, 0), run], 0],
    ['the run where there is nothing else', [ipi(0x20, 0), run, run], 2],
  ])('should blame %s', (_, steps, blamed) => {
    const vector = steps.includes(unreadable) ? 0 : 0x20;
    expect(attribution(steps).extra(1, vector, steps.length - 1)).toBe(blamed);
  });

  it('should blame one with a wrong result rather than one with a right one', () => {
    const steps = [ipi(0x20, 0), failing(0x20), ipi(0x20, 0)];
    expect(attribution(steps).extra(1, 0x20, 2)).toBe(0);
    expect(attribution(steps, [1, { result: 0n }]).extra(1, 0x20, 2)).toBe(1);
    expect(attribution([ipi(0x20, 0), ipi(0x20, 0)], [1, { result: 3n }]).extra(1, 0x20, 1)).toBe(1);
  });

  it('should blame the step that should have taken the vector before any call', () => {
    const steps = [ipi(0x20, 1), run, ipi(0x20, 0)];
    expect(attribution(steps, [1, { arrivals: [[], []] }]).extra(1, 0x20, 2)).toBe(1);
    expect(attribution(steps).extra(1, 0x20, 2)).toBe(2);
    expect(attribution(steps, [1, { arrivals: [] }]).extra(1, 0x20, 2)).toBe(2);
    expect(attribution(steps, [1, { arrivals: [[0x20], [0x41]] }]).extra(0, 0x20, 2)).toBe(2);
  });
});

describe('isPending', () => {
  it('should look at the bit of the vector', () => {
    const lapic = new Map([[0x210, 0x8000_0000]]);
    expect([0x3f, 0x3e, 0x5f, 0x1f].map((vector) => isPending(lapic, vector))).toEqual([true, false, false, false]);
  });
});

/** Two vCPUs of VP indexes 0 and 1; one step may be observed otherwise than predicted. */
function attribution(steps: readonly Step[], changed?: [step: number, change: Partial<StepObservation>]): Attribution {
  const program = encodeCase(makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], steps));
  const outcome = predict(program, facts);
  const seen = observationOf(outcome, { exact: false });
  if (changed === undefined) return new Attribution(program, outcome, seen);
  const [step, change] = changed;
  const observed = { ...seen, steps: seen.steps.with(step, { ...seen.steps[step]!, ...change }) };
  return new Attribution(program, outcome, observed);
}
