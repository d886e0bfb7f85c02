/** What the model says of a second VM, and what a difference of it is told as. */
import { describe, expect, it } from 'vitest';
import { judge } from '../../oracle/compare/verdict.ts';
import { vectorsOf } from '../../oracle/state/machine.ts';
import { predict } from '../../oracle/model.ts';
import { APIC_IRR } from '../../src/abi/lapic.ts';
import { makeCase, makeStep } from '../../src/case/case.ts';
import { type Neighbour, plainNeighbour } from '../../src/case/neighbour.ts';
import { observationOf } from '../../src/model/model-executor.ts';
import { encodeCase } from '../../src/program/encode.ts';
import type { Observation } from '../../src/program/observation.ts';
import { facts } from './programs.ts';

const programWith = (neighbour: Partial<Neighbour> | null, xen: boolean | 'flag' = false) =>
  encodeCase(
    makeCase(
      [{ vpIndex: 0 }, { vpIndex: 1, apic: 'software-disabled' }],
      [makeStep({ do: 'send-ipi', targets: [0, 1], vector: 0x40 })],
      { neighbour: neighbour === null ? null : { ...plainNeighbour, ...neighbour }, xen },
    ),
  );
const pendingBeside = (neighbour: Partial<Neighbour>) =>
  predict(programWith(neighbour), facts).neighbour?.map((lapic) => vectorsOf(lapic, APIC_IRR));

describe('the model, of a second VM', () => {
  it.each<[string, Partial<Neighbour>]>([
    ['without LAPICs', { irqchip: 'none' }],
    ['with Xen', { xen: 'msr' }],
    ['with a disabled APIC that is gone', { apic: 'hardware-disabled', life: 'long-gone' }],
    ['that sends', { busy: true }],
  ])('should let nothing of one %s show in the VM under test', (_, neighbour) => {
    const { neighbour: _own, ...alone } = predict(programWith(null), facts);
    const { neighbour: _other, ...beside } = predict(programWith(neighbour), facts);
    expect(beside).toEqual(alone);
  });

  it('should say that its own IPIs arrive where an APIC is on', () => {
    expect(pendingBeside({ busy: true })).toEqual([[0xe1], [0xe1]]);
    expect(pendingBeside({ busy: true, apic: 'software-disabled' })).toEqual([[0xe1], []]);
    expect(pendingBeside({ busy: true, irqchip: 'none' })).toEqual([[], []]);
    expect(pendingBeside({ busy: true, xen: 'flag' })).toEqual([[0xe1], [0xe1]]);
    expect(pendingBeside({})).toEqual([[], []]);
    expect(pendingBeside({ busy: true, life: 'gone' })).toBe(undefined);
  });

  it('should take the flag alone for Xen, since only a VM with the MSR may be beside', () => {
    const { steps } = predict(programWith({ xen: 'msr' }, 'flag'), facts);
    expect(steps[0]).toMatchObject({ exit: 'xen', receivers: [] });
  });
});

describe('judge, of a second VM', () => {
  const program = programWith({ busy: true });
  const outcome = predict(program, facts);
  const seen = observationOf(outcome, { exact: true });
  const verdictOf = (neighbour: Observation['neighbour']) => judge(program, outcome, { ...seen, neighbour });

  it('should find nothing where it is as predicted', () => {
    expect(judge(program, outcome, seen)).toEqual({ kind: 'match' });
  });

  it('should name the vCPU of the second VM that got an IPI too many', () => {
    const [first, second] = seen.neighbour!;
    const verdict = verdictOf([first!, new Map(second).set(APIC_IRR + 0x20, 1)]);
    expect(verdict).toMatchObject({
      signature: 'program/neighbour',
      differences: [{ what: 'second VM, vCPU 1, IRR', step: null, vcpu: null }],
    });
  });

  it('should miss a second VM that nobody looked at', () => {
    expect(verdictOf(null)).toMatchObject({
      signature: 'program/neighbour',
      differences: [{ what: 'second VM', expected: '2 vCPUs', observed: 'none' }],
    });
  });

  it('should not speak of it where the program was stopped', () => {
    const stopped = { ...seen, steps: [], lapics: [], neighbour: null, stopped: 'KVM_EXIT_SHUTDOWN' };
    const verdict = judge(program, outcome, stopped);
    expect(verdict.kind === 'divergence' && verdict.differences.some(({ what }) => /second VM/.test(what))).toBe(false);
  });
});
