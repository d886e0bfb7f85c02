import { describe, expect, it } from 'vitest';
import { APIC_PROCPRI } from '../../../src/abi/lapic.ts';
import { makeCase, makeStep, type Step, type VcpuSetup } from '../../../src/case/case.ts';
import { vmmDeeds } from '../../../src/case/steps/vmm.ts';
import { predict } from '../../../oracle/model.ts';
import type { Outcome } from '../../../oracle/outcome.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { facts } from '../programs.ts';

const run = makeStep({ do: 'run' });
const ipi = (vector: number, targets: number[]) => makeStep({ do: 'send-ipi', vector, targets });
const interrupt = makeStep({ do: 'vmm', does: 'interrupt' });
const migrate = makeStep({ do: 'migrate' });

function outcomeOf(vcpus: Partial<VcpuSetup>[], steps: Step[]): Outcome {
  const setups = vcpus.map((vcpu, vpIndex) => ({ vpIndex, ...vcpu }));
  return predict(encodeCase(makeCase(setups, steps)), facts);
}

const pprs = ({ steps }: Outcome, vcpu: number): (number | undefined)[] =>
  steps.map(({ lapics }) => lapics[vcpu]!.get(APIC_PROCPRI));

describe('predict, vmm', () => {
  it.each(vmmDeeds)('should change nothing by %s', (does) => {
    const vcpus = [{}, { tpr: 3, irr: [0x25] }, { isr: [0x50] }, { apic: 'software-disabled' as const }];
    const { steps } = outcomeOf(vcpus, [ipi(0x61, [0, 1, 2, 3]), makeStep({ do: 'vmm', does }), ipi(0x62, [1]), run]);
    expect(steps[1]).toMatchObject({ rule: does, result: null, exit: null, receivers: [], writes: [] });
    expect(steps[1]!.lapics).toEqual(steps[0]!.lapics);
    expect(steps[3]!.arrivals).toEqual([[0x61], [0x62, 0x61], [0x61], []]);
  });

  it('should mend PPR of a restored vCPU where a signal ends its KVM_RUN, and not of one that waits with interrupts on', () => {
    const held = { isr: [0x50] };
    expect(pprs(outcomeOf([held], [migrate, interrupt]), 0)).toEqual([undefined, 0x50]);
    expect(pprs(outcomeOf([held], [migrate, makeStep({ do: 'vmm' })]), 0)).toEqual([undefined, undefined]);
    const waits = makeStep({ do: 'act', act: 'wait', at: 'open' });
    expect(pprs(outcomeOf([held], [waits, migrate, interrupt]), 0)).toEqual([0x50, undefined, undefined]);
  });

  it('should leave alone who waits for INIT or has got it', () => {
    const waiting = { isr: [0x50], idle: 'uninitialized' as const };
    expect(pprs(outcomeOf([{}, waiting], [migrate, interrupt]), 1)).toEqual([undefined, undefined]);
  });
});
