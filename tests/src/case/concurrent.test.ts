import { describe, expect, it } from 'vitest';
import { makeCase, makeStep, type Step, type VcpuSetup } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { scheduleOf } from '../../../src/program/schedule.ts';
import { checkCase } from '../../../src/case/checks.ts';

const run = makeStep({ do: 'run' });
const send = (fields: Partial<Extract<Step, { do: 'send-ipi' }>> = {}) => makeStep({ do: 'send-ipi', ...fields });

function issueOf(vcpus: Partial<VcpuSetup>[], steps: Step[], schedule: number | null = 1, irqchip = 'kernel' as const) {
  const value = makeCase(
    vcpus.map((vcpu, position) => ({ vpIndex: position, ...vcpu })),
    steps,
    { schedule, irqchip },
  );
  return checkCase(value).next().value?.message ?? null;
}

describe('checkCase, of a concurrent case', () => {
  it('should accept plain calls of several senders, VP indexes that change, and a fence', () => {
    const move = makeStep({ do: 'write-msr', msr: 'vp-index', vcpu: 3, value: 5n });
    const vcpus = [{}, {}, { idle: 'halted' as const }, {}, { idle: 'spinning' as const }];
    expect(issueOf(vcpus, [send(), send({ sender: 1 }), move, run])).toBeNull();
  });

  it.each<[string, Partial<VcpuSetup>[], Step[], string]>([
    ['no fence', [{}], [send()], 'ends with a run step'],
    ['a sender that sleeps', [{ idle: 'halted' }], [send(), run], 'only parked vCPUs send'],
    ['a call with an entry of its own', [{}], [send({ cpl: 3 }), run], 'concurrent calls are plain'],
    ['an address', [{}], [send({ gpa: 0xf0000n }), run], 'concurrent calls are plain'],
    ['an INIT', [{}, {}], [send(), makeStep({ do: 'init', vcpu: 1 }), run], 'has no such step'],
    [
      'a VP index of a vCPU that runs',
      [{}, { idle: 'spinning' }],
      [makeStep({ do: 'write-msr', msr: 'vp-index', vcpu: 1, value: 5n }), run],
      'only of vCPUs that do not run',
    ],
    ['a receiver without an APIC', [{}, { idle: 'spinning', apic: 'hardware-disabled' }], [run], 'has an APIC'],
  ])('should refuse %s', (_, vcpus, steps, message) => {
    expect(issueOf(vcpus, steps)).toContain(message);
  });

  it('should refuse a spinning vCPU where steps follow each other', () => {
    expect(issueOf([{}, { idle: 'spinning' }], [send(), run], null)).toContain('only a concurrent case');
  });
});

describe('scheduleOf', () => {
  const program = encodeCase(makeCase([{ vpIndex: 0 }, { vpIndex: 1 }, { vpIndex: 2 }], [send(), send(), run]));

  it('should be the same for the same seed, and another one for others', () => {
    expect(scheduleOf(7, program)).toEqual(scheduleOf(7, program));
    expect(new Set([1, 2, 3, 4, 5, 6, 7, 8].map((seed) => JSON.stringify(scheduleOf(seed, program)))).size).toBe(8);
  });

  it('should start every vCPU once', () => {
    expect([...scheduleOf(3, program).starts].sort((left, right) => left - right)).toEqual([0, 1, 2]);
  });
});
