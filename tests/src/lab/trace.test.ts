import { describe, expect, it } from 'vitest';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import type { Observation } from '../../../src/program/observation.ts';
import { eventsByStep, parseTrace, withoutAsides } from '../../../src/lab/trace.ts';

const text = `# tracer: nop
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
            node-123     [000] .....    12.1: kvm_entry: vcpu 0, rip 0x7002
            node-123     [000] .....    12.2: kvm_exit: vcpu 0 reason npf rip 0x7002 info1 0x0
            node-123     [000] .....    12.3: kvm_entry: vcpu 0, rip 0x7002
            node-123     [000] d..1.    12.4: kvm_hv_hypercall: code 0xb slow var_cnt 0x0
            node-123     [000] .....    12.5: kvm_exit: vcpu 0 reason io rip 0x7000 info1 0x0
            node-123     [000] .....    12.6: kvm_entry: vcpu 0, rip 0x7002
            node-123     [000] .....    12.7: kvm_exit: vcpu 0 reason io rip 0x7000 info1 0x0
            node-123     [000] .....    12.8: kvm_entry: vcpu 1, rip 0x7002
`;

describe('parseTrace', () => {
  it('should give the events without the kernel thread and the time', () => {
    const events = parseTrace(text);

    expect(events).toHaveLength(8);
    expect(events[3]).toEqual({ name: 'kvm_hv_hypercall', text: 'code 0xb slow var_cnt 0x0' });
  });
});

describe('eventsByStep', () => {
  const vcpus = [{ vpIndex: 0 }, { vpIndex: 1 }];

  it('should give a call one run and a run step one of each vCPU', () => {
    const program = encodeCase(makeCase(vcpus, [makeStep({ do: 'send-ipi' }), makeStep({ do: 'run' })]));

    const steps = eventsByStep(program, { events: parseTrace(text), observation: ran() });

    expect(steps!.map((events) => events.length)).toEqual([5, 3]);
  });

  it('should give no run to what the host does, and to a call that is not made', () => {
    const page = 0xf0000n;
    const steps = [
      makeStep({ do: 'write-msr', msr: 'vp-index', value: 3n }),
      makeStep({ do: 'send-ipi', page }),
      makeStep({ do: 'send-ipi' }),
      makeStep({ do: 'init', vcpu: 0 }),
      makeStep({ do: 'run' }),
    ];

    const divided = eventsByStep(encodeCase(makeCase(vcpus, steps)), {
      events: parseTrace(text),
      observation: ran([null, 'no-code', null, null, null]),
    });

    // vCPU 0 got INIT and runs no more.
    expect(divided!.map((events) => events.length)).toEqual([0, 0, 5, 0, 2]);
  });

  it('should not divide what vCPUs on threads of their own do', () => {
    const program = encodeCase(makeCase([{ vpIndex: 0, idle: 'halted' }], [makeStep({ do: 'send-ipi' })]));

    expect(eventsByStep(program, { events: parseTrace(text), observation: ran() })).toBeNull();
  });
});

/** An observation that has nothing but how each call left. */
function ran(exits: readonly Observation['steps'][number]['exit'][] = []): Observation {
  const nothing = {
    result: null,
    exception: null,
    registers: [],
    arrivals: [],
    priorities: [],
    leftovers: [],
    lapics: null,
  };
  return {
    vpIndexes: [],
    steps: exits.map((exit) => ({ ...nothing, exit })),
    lapics: [],
    neighbour: null,
    memory: [],
    stopped: null,
  };
}

describe('withoutAsides', () => {
  it('should leave out page faults with the entry behind them, and count them', () => {
    const { events, asides } = withoutAsides(parseTrace(text));

    expect(asides).toBe(1);
    expect(events.slice(0, 2).map(({ name }) => name)).toEqual(['kvm_entry', 'kvm_hv_hypercall']);
  });
});
