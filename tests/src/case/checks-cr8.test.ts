import { describe, expect, it } from 'vitest';
import { makeCase, makeStep, type Step, type VcpuSetup } from '../../../src/case/case.ts';
import { checkCase } from '../../../src/case/checks.ts';

describe('checkCase, CR8', () => {
  const write = makeStep({ do: 'act', act: 'set-tpr', by: 'cr8', open: true });
  const issues = (steps: readonly Step[], apic: VcpuSetup['apic'] = 'x2apic') =>
    [...checkCase(makeCase([{ apic }], steps))].map(({ path }) => path.join('.'));

  it('should want interrupts on, so that the lab survives it', () => {
    expect(issues([write])).toEqual([]);
    expect(issues([{ ...write, open: false }])).toEqual(['steps.0.open']);
  });

  it('should want an APIC that is enabled at that time', () => {
    const set = (apic: 'enabled' | 'software-disabled') => makeStep({ do: 'set-apic', apic });
    expect(issues([write], 'software-disabled')).toEqual(['steps.0.by']);
    expect(issues([set('software-disabled'), write])).toEqual(['steps.1.by']);
    expect(issues([set('enabled'), write], 'software-disabled')).toEqual([]);
  });
});
