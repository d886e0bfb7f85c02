import { describe, expect, it } from 'vitest';
import { APIC_PROCPRI, APIC_TASKPRI } from '../../src/abi/lapic.ts';
import { makeCase, makeStep, type Step, type VcpuSetup } from '../../src/case/case.ts';
import { arenaStart } from '../../src/case/memory.ts';
import type { TargetFacts } from '../../src/executor/facts.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { predict } from '../../oracle/model.ts';
import type { Outcome, StepOutcome } from '../../oracle/outcome.ts';
import { facts } from './programs.ts';

const migrate = makeStep({ do: 'migrate' });
const run = makeStep({ do: 'run' });
const ipi = (vector: number, targets: number[], sender = 0) => makeStep({ do: 'send-ipi', vector, targets, sender });
const apic = (vcpu: number, to: 'enabled' | 'hardware-disabled') => makeStep({ do: 'set-apic', vcpu, apic: to });
const page = arenaStart;
const setMsr = (msr: 'guest-os-id' | 'hypercall', value: bigint) => makeStep({ do: 'write-msr', msr, value });

function outcomeOf(vcpus: Partial<VcpuSetup>[], steps: Step[], target: TargetFacts = facts): Outcome {
  const setups = vcpus.map((vcpu, vpIndex) => ({ vpIndex, ...vcpu }));
  return predict(encodeCase(makeCase(setups, steps)), target);
}

const pprs = ({ steps }: Outcome, vcpu: number): (number | undefined)[] =>
  steps.map(({ lapics }: StepOutcome) => lapics[vcpu]!.get(APIC_PROCPRI));

describe('predict, migrate', () => {
  it('should change nothing where nothing is in service', () => {
    const vcpus = [{}, { tpr: 3, irr: [0x25] }, { apic: 'xapic' as const }, { apic: 'software-disabled' as const }];
    const { steps } = outcomeOf(vcpus, [ipi(0x41, [0, 1, 2, 3]), migrate, ipi(0x42, [0, 1, 2, 3]), run]);
    expect(steps[1]).toMatchObject({ rule: 'migrate', result: null, exit: null, receivers: [], writes: [] });
    expect(steps[1]!.lapics).toEqual(steps[0]!.lapics);
    expect(steps[2]!.receivers).toEqual([0, 1, 2]);
    expect(steps[3]!.arrivals).toEqual([[0x42, 0x41], [0x42, 0x41], [0x42, 0x41], []]);
  });

  it('should forget in PPR what is in service, until the vCPU enters its guest', () => {
    const held = { isr: [0x50], tpr: 2 };
    expect(pprs(outcomeOf([{}, held], [migrate, ipi(0x41, [1]), migrate, run, migrate]), 1)).toEqual([
      0x20, 0x20, 0x20, 0x50, 0x20,
    ]);
    expect(pprs(outcomeOf([held, {}], [migrate, ipi(0x41, [1])]), 0)).toEqual([0x20, 0x50]);
    const acts = (act: Partial<Extract<Step, { do: 'act' }>>) => makeStep({ do: 'act', act: 'take', ...act });
    expect(pprs(outcomeOf([held], [migrate, acts({ act: 'wait', at: 'hlt' }), acts({ act: 'take' })]), 0)).toEqual([
      0x20, 0x20, 0x50,
    ]);
    expect(pprs(outcomeOf([held], [migrate, acts({ act: 'wait', at: 'open' })]), 0)).toEqual([0x20, 0x50]);
  });

  it('should have no PPR where TPR is 0 as well, and block what is in service all the same', () => {
    const { steps } = outcomeOf([{}, { isr: [0x50] }], [migrate, ipi(0x51, [1]), run]);
    expect(steps[0]!.lapics[1]!.has(APIC_PROCPRI)).toBe(false);
    expect(steps[2]!.arrivals[1]).toEqual([]);
    expect(steps[2]!.lapics[1]!.get(APIC_PROCPRI)).toBe(0x50);
  });

  it('should keep PPR where the priority of the task is above what is in service', () => {
    expect(pprs(outcomeOf([{ isr: [0x50], tpr: 6 }], [migrate, run]), 0)).toEqual([0x60, 0x60]);
  });

  it('should keep PPR of a LAPIC that is off, and mend it where a step turns one off', () => {
    const off = { isr: [0x50], apic: 'hardware-disabled' as const };
    expect(pprs(outcomeOf([off, {}], [migrate, run]), 0)).toEqual([0x50, 0x50]);
    expect(pprs(outcomeOf([{ isr: [0x50] }, {}], [migrate, apic(0, 'hardware-disabled'), run]), 0)).toEqual([
      undefined,
      0x50,
      0x50,
    ]);
    expect(pprs(outcomeOf([{ isr: [0x50] }, {}], [migrate, apic(0, 'enabled')]), 0)).toEqual([undefined, 0x50]);
  });

  it('should keep PPR on a KVM that counts what is in service first', () => {
    const mended = { ...facts, restoresPpr: true };
    expect(pprs(outcomeOf([{ isr: [0x50] }], [migrate], mended), 0)).toEqual([0x50]);
    expect(pprs(outcomeOf([{ isr: [0x50] }], [migrate], { ...facts, restoresPpr: false }), 0)).toEqual([undefined]);
  });

  it('should keep PPR of a vCPU that halts, which is in its guest again before the step ends', () => {
    const halted = { idle: 'halted' as const, eoi: 'none' as const };
    const outcome = outcomeOf([{}, halted], [ipi(0x50, [1]), migrate]);
    expect(pprs(outcome, 1)).toEqual([0x50, 0x50]);
    expect(outcome.steps[1]!.lapics[1]!.get(APIC_TASKPRI)).toBeUndefined();
  });

  it.each<[string, Step[], bigint[]]>([
    ['a page that is on', [setMsr('hypercall', page | 1n)], [page]],
    ['the last page alone', [setMsr('hypercall', page | 1n), setMsr('hypercall', page + 0x1001n)], [page + 0x1000n]],
    ['none that is off again', [setMsr('hypercall', page | 1n), setMsr('hypercall', page)], []],
    ['none that was refused', [setMsr('hypercall', (1n << 52n) | 1n)], []],
    ['none that went with GUEST_OS_ID', [setMsr('hypercall', page | 1n), setMsr('guest-os-id', 0n)], []],
    ['none that never was on', [], []],
  ])('should have KVM write %s anew', (_, before, pages) => {
    const { steps } = outcomeOf([{}], [...before, ipi(0xfe, [0]), migrate]);
    expect(steps.at(-1)!.writes.map(({ gpa }) => gpa)).toEqual(pages);
  });

  it('should bring the instruction back into a page that was overwritten', () => {
    const over = makeStep({ do: 'send-ipi', gpa: page, targets: [0] });
    const through = makeStep({ do: 'send-ipi', page, targets: [0] });
    const { steps } = outcomeOf([{}], [setMsr('hypercall', page | 1n), over, through, migrate, through]);
    expect(steps.map(({ rule }) => rule)).toEqual([
      'page-written',
      'deliver',
      'no-hypercall-in-page',
      'migrate',
      'deliver',
    ]);
  });
});
