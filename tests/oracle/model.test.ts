import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { APIC_IRR, APIC_TMR } from '../../src/abi/lapic.ts';
import { makeCase, makeStep, type Step, type VcpuSetup } from '../../src/case/case.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { arenaStart } from '../../src/case/memory.ts';
import type { Program } from '../../src/program/program.ts';
import { predict } from '../../oracle/model.ts';
import { idlePosture } from '../../oracle/receivers/receiver.ts';
import type { Outcome } from '../../oracle/outcome.ts';
import { anyProgram, facts, literalCall, programOf, registerSoup } from './programs.ts';

const ipi = (vector: number, targets: number[], sender = 0) => makeStep({ do: 'send-ipi', vector, targets, sender });
const run = makeStep({ do: 'run' });
const outcomeOf = (vcpus: ({ vpIndex: number } & Partial<VcpuSetup>)[], steps: Step[]) =>
  predict(encodeCase(makeCase(vcpus, steps)), facts);
const on = { isHardwareEnabled: true, isSoftwareEnabled: true };
const irrWord = (vector: number) => APIC_IRR + 0x10 * (vector >>> 5);
const tmrWord = (vector: number) => APIC_TMR + 0x10 * (vector >>> 5);

describe('predict', () => {
  it('should set the IRR bit and clear the TMR bit of a parked receiver, and nothing else', () => {
    const { steps, vpIndexes } = outcomeOf([{ vpIndex: 0 }, { vpIndex: 5 }], [ipi(0xfe, [5])]);
    expect(vpIndexes).toEqual([0, 5]);
    expect(steps).toEqual([
      {
        rule: 'deliver',
        result: 0n,
        exception: null,
        exit: null,
        registers: [],
        call: expect.objectContaining({ code: 0x0b, vector: 0xfe, mask: { low: 1, high: 0 } }) as unknown,
        vpIndexes: [0, 5],
        writes: [],
        receivers: [1],
        arrivals: [[], []],
        priorities: [[], []],
        postures: [idlePosture, idlePosture],
        leeway: null,
        lapics: [
          new Map(),
          new Map([
            [0x270, 0x4000_0000],
            [0x1f0, 0xbfff_ffff],
          ]),
        ],
        apics: [on, on],
      },
    ]);
  });

  it('should deliver to the sender when it is named', () => {
    expect(outcomeOf([{ vpIndex: 3 }], [ipi(0x20, [3])]).steps[0]!.receivers).toEqual([0]);
  });

  it.each(['software-disabled', 'hardware-disabled'] as const)('should lose an interrupt to a %s APIC', (apic) => {
    const { steps } = outcomeOf(
      [{ vpIndex: 0 }, { vpIndex: 0, apic }, { vpIndex: 0, apic: 'xapic' }],
      [ipi(0xfe, [0])],
    );
    expect(steps[0]).toMatchObject({ result: 0n, receivers: [0, 2] });
    expect(steps[0]!.lapics[1]!.size).toBe(0);
  });

  it('should let parked vCPUs take what is pending, highest first and once each', () => {
    const steps = [ipi(0x10, [0]), ipi(0xfe, [0, 1]), ipi(0x41, [0]), ipi(0xfe, [0]), run, run];
    const outcome = outcomeOf([{ vpIndex: 0 }, { vpIndex: 1 }], steps);
    expect(outcome.steps[3]!.arrivals).toEqual([[], []]);
    expect(outcome.steps[4]).toMatchObject({ rule: 'run', result: null, receivers: [] });
    expect(outcome.steps[4]!.arrivals).toEqual([[0xfe, 0x41, 0x10], [0xfe]]);
    expect(outcome.steps[5]!.arrivals).toEqual([[], []]);
    expect(outcome.steps[5]!.lapics[1]).toEqual(new Map([[tmrWord(0xfe), 0xbfff_ffff]]));
  });

  it('should let halted vCPUs take interrupts at once, the sender included', () => {
    const vcpus = [{ vpIndex: 0, idle: 'halted' as const }, { vpIndex: 1 }, { vpIndex: 2, idle: 'halted' as const }];
    const { steps } = outcomeOf(vcpus, [ipi(0xfe, [0, 1, 2]), ipi(0xfe, [2]), run]);
    expect(steps.map(({ arrivals }) => arrivals)).toEqual([
      [[0xfe], [], [0xfe]],
      [[], [], [0xfe]],
      [[], [0xfe], []],
    ]);
    expect(steps[0]!.lapics[2]).toEqual(new Map([[tmrWord(0xfe), 0xbfff_ffff]]));
    expect(steps[0]!.lapics[1]!.get(irrWord(0xfe))).toBe(0x4000_0000);
  });

  it('should let a halted vCPU with a disabled APIC take nothing', () => {
    const { steps } = outcomeOf([{ vpIndex: 0, idle: 'halted', apic: 'software-disabled' }], [ipi(0xfe, [0])]);
    expect(steps[0]).toMatchObject({ result: 0n, receivers: [], arrivals: [[]] });
  });

  it('should keep what an earlier step wrote to memory', () => {
    const write = literalCall({ rcx: 0x000bn, rdx: arenaStart }, [0xfen, 1n]);
    const again = literalCall({ rcx: 0x000bn, rdx: arenaStart });
    const { steps } = predict(programOf([0], [write, again]), facts);
    expect(steps.map(({ rule, receivers }) => [rule, receivers])).toEqual([
      ['deliver', [0]],
      ['deliver', [0]],
    ]);
  });

  it('should answer the same every time and leave the program alone', () => {
    const property = fc.property(fc.oneof(anyProgram, registerSoup), (program) => {
      const before = textOf(program);
      expect(predict(program, facts)).toEqual(predict(program, facts));
      expect(textOf(program)).toEqual(before);
    });
    fc.assert(property, { seed: 7, numRuns: 200 });
  });

  it('should not care about VPs that no vCPU has', () => {
    const property = fc.property(anyProgram, fc.integer({ min: 0, max: 63 }), (program, vp) => {
      const plain = predict(program, facts);
      fc.pre(!plain.steps.some(({ vpIndexes }) => vpIndexes.includes(vp)));
      expect(withoutCalls(predict(withTargetInMasks(program, vp), facts))).toEqual(withoutCalls(plain));
    });
    fc.assert(property, { seed: 7, numRuns: 200 });
  });

  it('should never deliver by a call that fails, nor change a LAPIC that has no part in a step', () => {
    const property = fc.property(fc.oneof(anyProgram, registerSoup), (program) => {
      const outcome = predict(program, facts);
      outcome.steps.forEach((step, index) => {
        const done = program.steps[index]!;
        if (step.result !== 0n) expect(step.receivers).toEqual([]);
        step.lapics.forEach((lapic, vcpu) => {
          // A vCPU that was restored gets its PPR when it calls.
          const isRestored = program.steps.slice(0, index).some(({ kind }) => kind === 'migrate');
          const takesPart =
            done.kind === 'call' || done.kind === 'write-msr'
              ? step.receivers.includes(vcpu) || (isRestored && done.kind === 'call' && done.sender === vcpu)
              : !('vcpu' in done) || done.vcpu === vcpu;
          if (!takesPart) expect(lapic).toEqual((outcome.steps[index - 1] ?? outcome).lapics[vcpu]);
        });
      });
    });
    fc.assert(property, { seed: 7, numRuns: 200 });
  });

  it('should change VP indexes, APICs and memory only by the steps that are for that', () => {
    const property = fc.property(anyProgram, (program) => {
      const { steps, vpIndexes } = predict(program, facts);
      steps.forEach((step, index) => {
        const { kind } = program.steps[index]!;
        const before = steps[index - 1];
        if (step.rule !== 'vp-index-written') expect(step.vpIndexes).toEqual(before?.vpIndexes ?? vpIndexes);
        if (before !== undefined && kind !== 'set-apic' && kind !== 'init') expect(step.apics).toEqual(before.apics);
        if (kind !== 'migrate') expect(step.writes.length > 0).toBe(step.rule === 'page-written');
        expect(step.call !== null).toBe(kind === 'call' && step.rule !== 'no-hypercall-in-page');
      });
    });
    fc.assert(property, { seed: 7, numRuns: 200 });
  });
});

/** The program with one more bit in the processor mask of every fast 0x000b call. */
function withTargetInMasks(program: Program, vp: number): Program {
  const steps = program.steps.map((step) => {
    if (step.kind !== 'call' || step.environment.mode !== 'long') return step;
    if (step.registers.readUInt16LE(0) !== 0x0b || (step.registers[2]! & 1) === 0) return step;
    const registers = Buffer.from(step.registers);
    registers.writeBigUInt64LE(registers.readBigUInt64LE(16) | (1n << BigInt(vp)), 16);
    return { ...step, registers };
  });
  return { ...program, steps };
}

function textOf(program: Program): string {
  return JSON.stringify(program, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
}

/** The outcome without the decoded calls, whose masks differ. */
function withoutCalls({ steps, ...outcome }: Outcome): Outcome {
  return { ...outcome, steps: steps.map((step) => ({ ...step, call: null })) };
}
