/** A second VM in a case's text, in words, and what it may be. */
import { describe, expect, it } from 'vitest';
import { CaseError, formatCase, makeCase, makeStep, parseCase } from '../../../src/case/case.ts';
import { isWellFormed } from '../../../src/case/checks.ts';
import { describeNeighbour, type Neighbour, plainNeighbour } from '../../../src/case/neighbour.ts';

const caseWith = (neighbour: Partial<Neighbour>, machine: object = {}) =>
  makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi' })], {
    neighbour: { ...plainNeighbour, ...neighbour },
    ...machine,
  });

describe('a second VM', () => {
  it('should come back from text, where only what is special stands', () => {
    const value = caseWith({ irqchip: 'none', life: 'gone' });
    expect(formatCase(value)).toContain('"neighbour": { "life": "gone", "irqchip": "none" }');
    expect(parseCase(formatCase(value))).toEqual(value);
    expect(formatCase(caseWith({}))).toContain('"neighbour": {');
    expect(parseCase(formatCase(caseWith({})))).toEqual(caseWith({}));
  });

  it.each<[string, Partial<Neighbour>, object, RegExp]>([
    ['without a LAPIC that has a state', { irqchip: 'none', apic: 'xapic' }, {}, /^machine\.neighbour\.apic: /],
    ['without Hyper-V that sends', { hyperv: false, busy: true }, {}, /^machine\.neighbour\.busy: /],
    ['without Xen beside the flag alone', {}, { xen: 'flag' }, /^machine\.xen: .*"xen": "msr"/],
    ['that is gone, for the flag alone', { xen: 'msr', life: 'gone' }, { xen: 'flag' }, /^machine\.xen: /],
  ])('should be refused %s', (_, neighbour, machine, message) => {
    const value = caseWith(neighbour, machine);
    expect(isWellFormed(value)).toBe(false);
    expect(() => parseCase(formatCase(value))).toThrow(CaseError);
    expect(() => parseCase(formatCase(value))).toThrow(message);
  });

  it('should let a machine have the flag alone beside one with the MSR', () => {
    expect(isWellFormed(caseWith({ xen: 'msr' }, { xen: 'flag' }))).toBe(true);
  });

  it('should be told in words', () => {
    expect(describeNeighbour({ ...plainNeighbour, life: 'long-gone', apic: 'hardware-disabled', hyperv: false })).toBe(
      'a second VM gone for more than a second, quiet: irqchip kernel, one APIC hardware-disabled, no Hyper-V',
    );
    expect(describeNeighbour({ ...plainNeighbour, xen: 'flag', busy: true })).toMatch(
      /beside it, sending IPIs: .*flag/,
    );
  });
});
