/** Callers with IF or TF set: what they take when, and where #DB comes. */
import { describe, expect, it } from 'vitest';
import { judge } from '../../../oracle/compare/verdict.ts';
import { vectorsOf } from '../../../oracle/state/machine.ts';
import { predict } from '../../../oracle/model.ts';
import { APIC_IRR } from '../../../src/abi/lapic.ts';
import { makeCase, makeStep, type SendIpiStep, type Step, type VcpuSetup } from '../../../src/case/case.ts';
import { isWellFormed } from '../../../src/case/checks.ts';
import { observationOf } from '../../../src/model/model-executor.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { takesInterrupts, tierOf } from '../../../src/program/tier.ts';
import { facts } from '../programs.ts';

const DB = 1;
const UD = 6;
const call = (fields: Partial<SendIpiStep>) => makeStep({ do: 'send-ipi', vector: 0x50, targets: [0, 1], ...fields });
const outcomeOf = (steps: Step[], first: Partial<VcpuSetup> = {}, machine: object = {}) => {
  const value = makeCase([{ vpIndex: 0, ...first }, { vpIndex: 1 }], steps, machine);
  expect(isWellFormed(value)).toBe(true);
  return predict(encodeCase(value), facts);
};
const pending = (outcome: ReturnType<typeof outcomeOf>, vcpu = 0) =>
  vectorsOf(outcome.steps.at(-1)!.lapics[vcpu]!, APIC_IRR);

describe('a caller with IF set', () => {
  it('should take what is pending in front of the call, and its own IPI behind it', () => {
    const outcome = outcomeOf([call({ rflags: 'if', vector: 0x90 })], { irr: [0x30, 0x60] });
    expect(outcome.steps[0]!.arrivals).toEqual([[0x60, 0x30, 0x90], []]);
    expect(pending(outcome)).toEqual([]);
    expect(pending(outcome, 1)).toEqual([0x90]);
  });

  it('should leave what its task priority blocks', () => {
    const outcome = outcomeOf([call({ rflags: 'if', vector: 0x90 })], { irr: [0x30, 0x60], tpr: 6 });
    expect(outcome.steps[0]!.arrivals[0]).toEqual([0x90]);
    expect(pending(outcome)).toEqual([0x60, 0x30]);
  });

  it('should take nothing behind a call that faults', () => {
    const outcome = outcomeOf([call({ rflags: 'if', cpl: 3 })], { irr: [0x30] });
    expect(outcome.steps[0]).toMatchObject({ exception: UD, arrivals: [[0x30], []] });
  });

  it('should take nothing where its APIC is hardware-disabled', () => {
    expect(outcomeOf([call({ rflags: 'if' })], { apic: 'hardware-disabled' }).steps[0]!.arrivals[0]).toEqual([]);
  });

  it('should log PPR as its handlers see it', () => {
    const outcome = outcomeOf([call({ rflags: 'if', vector: 0x90 })], { irr: [0x30], logsPpr: true });
    expect(outcome.steps[0]!.priorities[0]).toEqual([0x30, 0x90]);
  });
});

describe('a caller with TF set', () => {
  it.each<[string, Partial<SendIpiStep>, object]>([
    ['succeeds', {}, { result: 0n, exit: null }],
    ['is refused', { vector: 5 }, { result: 3n, exit: null }],
    ['leaves for the VMM', { controlBits: [15] }, { result: 0x5an, exit: 'hyperv' }],
  ])('should trap behind a call that %s', (_, fields, answer) => {
    expect(outcomeOf([call({ rflags: 'tf', ...fields })]).steps[0]).toMatchObject({ exception: DB, ...answer });
  });

  it('should not trap behind a call that faults', () => {
    expect(outcomeOf([call({ rflags: 'tf', cpl: 1 })]).steps[0]).toMatchObject({ exception: UD, result: null });
  });

  it('should trap before it takes its own IPI', () => {
    const outcome = outcomeOf([call({ rflags: 'if-tf', vector: 0x90 })], { irr: [0x30] });
    expect(outcome.steps[0]).toMatchObject({ exception: DB, result: 0n, arrivals: [[0x30], []] });
    expect(pending(outcome)).toEqual([0x90]);
  });

  it('should be judged by where the trap came', () => {
    const program = encodeCase(makeCase([{ vpIndex: 0 }], [call({ rflags: 'tf', targets: [0] })]));
    const outcome = predict(program, facts);
    const seen = observationOf(outcome, { exact: true });
    expect(seen.steps[0]!.exception).toEqual({ vector: DB, ripOffset: 3 });
    expect(judge(program, outcome, seen)).toEqual({ kind: 'match' });
    const verdictWith = (exception: { vector: number; ripOffset: number } | null) =>
      judge(program, outcome, { ...seen, steps: [{ ...seen.steps[0]!, exception }] });
    for (const wrong of [null, { vector: DB, ripOffset: 0 }, { vector: UD, ripOffset: 3 }]) {
      expect(verdictWith(wrong)).toMatchObject({ kind: 'divergence', signature: 'deliver/exception' });
    }
  });
});

describe('rflags of a call', () => {
  it.each<[string, Partial<SendIpiStep>, object]>([
    ['in a mode that the host enters', { rflags: 'if', mode: 'protected32' }, {}],
    ['with the other opcode', { rflags: 'tf', opcode: 'other' }, {}],
    ['of a trap through a page', { rflags: 'tf', page: 0xf0000n }, {}],
    ['of interrupts without a LAPIC', { rflags: 'if' }, { irqchip: 'none' }],
    ['in a race', { rflags: 'tf' }, { schedule: 1 }],
  ])('should be refused %s', (_, fields, machine) => {
    const steps = [call({ targets: [0], ...fields }), ...('schedule' in machine ? [makeStep({ do: 'run' })] : [])];
    expect(isWellFormed(makeCase([{ vpIndex: 0 }], steps, machine))).toBe(false);
  });

  it('should make a case a counted one where handlers run in the call', () => {
    const program = (fields: Partial<SendIpiStep>) => encodeCase(makeCase([{ vpIndex: 0 }], [call(fields)]));
    expect(tierOf(program({ rflags: 'if' }))).toBe('counted');
    expect(tierOf(program({ rflags: 'tf' }))).toBe('pending');
    expect(takesInterrupts(program({ rflags: 'if-tf' }).steps[0]!)).toBe(true);
  });
});
