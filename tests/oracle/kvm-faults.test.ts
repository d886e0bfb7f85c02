import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { explain } from '../../oracle/explain/explain.ts';
import { explanationColumns, formatExplanation } from '../../oracle/explain/explain-text.ts';
import { kvmFaults, shownFaults } from '../../oracle/kvm-faults.ts';
import { predict } from '../../oracle/model.ts';
import { makeCase, makeStep, parseCase, type Step } from '../../src/case/case.ts';
import { encodeCase } from '../../src/program/encode.ts';
import type { Program } from '../../src/program/program.ts';
import { facts } from './programs.ts';

const root = join(import.meta.dirname, '..', '..');
const pages = join(root, 'docs', 'findings');

const page = 0xf0000n;
const enable = makeStep({ do: 'write-msr', msr: 'hypercall', value: page + 1n });

function programOf(xen: boolean, ...steps: Step[]): Program {
  return encodeCase(makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], steps, { xen }));
}

function namesOf(program: Program): [step: number, name: string][] {
  return shownFaults(predict(program, facts)).map(({ step, fault }) => [step, fault.name]);
}

describe('kvmFaults', () => {
  it('should have a page and a line in the list of pages for each, and no other pages', () => {
    const names = kvmFaults.map(({ name }) => name);
    const files = readdirSync(pages).filter((name) => name.endsWith('.md') && name !== 'README.md');
    const list = readFileSync(join(pages, 'README.md'), 'utf8');
    expect(files.sort()).toEqual(names.map((name) => `${name}.md`).sort());
    for (const name of names) {
      expect(list).toContain(`(${name}.md)`);
      expect(existsSync(join(pages, `${name}.diff`))).toBe(true);
    }
  });

  it.each(kvmFaults)('should name function and commit of $name', ({ source, releases, name }) => {
    expect(source).toMatch(/^[a-z_]+/);
    expect(releases).toMatch(/[0-9a-f]{12}/);
    expect(readFileSync(join(pages, `${name}.md`), 'utf8')).toContain(source.split(',')[0]);
  });
});

describe('shownFaults, xen-page-32-bit', () => {
  const call = { do: 'send-ipi' as const, page, targets: [1] };

  it.each(['compat', 'protected32', 'unpaged32', 'protected16'] as const)('should be there in %s mode', (mode) => {
    expect(namesOf(programOf(true, enable, makeStep({ ...call, mode })))).toEqual([[1, 'xen-page-32-bit']]);
  });

  it('should be there when the guest sets the bit itself', () => {
    const step = makeStep({ do: 'send-ipi', mode: 'protected32', controlBits: [31] });
    expect(namesOf(programOf(true, step))).toEqual([[0, 'xen-page-32-bit']]);
  });

  it.each([
    ['in 64-bit mode', true, makeStep(call)],
    [
      'with another reserved bit, which is refused by right',
      true,
      makeStep({ ...call, mode: 'compat', controlBits: [30] }),
    ],
    ['above CPL 0', true, makeStep({ ...call, mode: 'compat', cpl: 3 })],
    ['without Xen', false, makeStep({ ...call, mode: 'compat' })],
    ['without Xen, with the bit', false, makeStep({ ...call, mode: 'compat', controlBits: [31] })],
  ])('should not be there %s', (_, xen, step) => {
    expect(namesOf(programOf(xen, enable, step))).toEqual([]);
  });

  it('should be shown by its saved case, and named by explain', () => {
    const file = join(root, 'corpus', 'send-ipi-xen-page.json');
    const program = encodeCase(parseCase(readFileSync(file, 'utf8')));
    expect(namesOf(program).map(([step]) => step)).toEqual([2, 3]);

    const text = formatExplanation(explain(program, facts));

    expect(text.match(/KVM's own fault xen-page-32-bit \(docs\/findings\/xen-page-32-bit\.md\)/g)).toHaveLength(2);
    expect(text).toContain('    means to take bit 31 of EAX');
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(explanationColumns);
  });
});

describe('shownFaults, restored-ppr', () => {
  const held = { vpIndex: 0, isr: [0x50] };
  const migrate = makeStep({ do: 'migrate' });
  const namesIn = (vcpu: Parameters<typeof makeCase>[0][number], ...steps: Step[]) =>
    namesOf(encodeCase(makeCase([vcpu], steps)));

  it('should be there at each migration with something in service above TPR', () => {
    const run = makeStep({ do: 'run' });
    expect(namesIn(held, migrate, run, migrate)).toEqual([
      [0, 'restored-ppr'],
      [2, 'restored-ppr'],
    ]);
  });

  it.each([
    ['nothing in service', { vpIndex: 0, irr: [0x50], tpr: 3 }],
    ['a higher TPR', { ...held, tpr: 5 }],
    ['an APIC that is off', { ...held, apic: 'hardware-disabled' as const }],
  ])('should not be there with %s', (_, vcpu) => {
    expect(namesIn(vcpu, migrate)).toEqual([]);
  });
});
