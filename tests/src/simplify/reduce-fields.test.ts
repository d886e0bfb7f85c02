/** What a case is made with goes where it does not matter, field by field, and stays where it does. */
import { describe, expect, it } from 'vitest';
import {
  type CallStep,
  type Case,
  formatCase,
  makeCase,
  makeStep,
  type SendIpiStep,
  type Step,
  type VcpuSetup,
} from '../../../src/case/case.ts';
import { plainNeighbour } from '../../../src/case/neighbour.ts';
import { reduce } from '../../../src/simplify/reduce.ts';
import { isWellFormed } from '../../../src/case/checks.ts';
import { isCall } from '../../../src/case/steps/kinds.ts';

const plenty = { attemptsMax: 100_000 };

/** A case with every field of a machine, a vCPU, a call and a change away from its default. */
const everything = makeCase(
  [
    {
      vpIndex: 3,
      vcpuId: 9,
      lacks: ['cluster-ipi', 'ex-masks'],
      enforced: true,
      tpr: 9,
      irr: [16, 33],
      isr: [0x41, 0x52],
    },
    { vpIndex: 65, vcpuId: 0, idle: 'init-received', eoi: 'apic', apic: 'xapic', lacks: ['hyperv'] },
  ],
  [
    makeStep({ do: 'write-msr', vcpu: 1, msr: 'vp-index', value: 7n }),
    makeStep({ do: 'write-msr', msr: 'hypercall', value: 0xf0001n }),
    makeStep({ do: 'send-ipi', mode: 'unpaged32', cpl: 3, page: 0xf0000n, targets: [3] }),
    makeStep({ do: 'set-apic', vcpu: 1, apic: 'software-disabled' }),
    makeStep({ do: 'send-ipi', mode: 'protected16', opcode: 'other', rax: 11n, targets: [7] }),
    makeStep({ do: 'run' }),
    makeStep({ do: 'init', vcpu: 1 }),
    makeStep({ do: 'send-ipi', cpl: 2, rax: 64n }),
  ],
  {
    irqchip: 'split',
    xen: 'flag',
    guestOsId: 0n,
    neighbour: { ...plainNeighbour, irqchip: 'none', xen: 'msr', busy: true },
  },
);

/** The same without a LAPIC in the kernel, and without what needs one. */
const everythingWithoutLapic = makeCase(
  everything.machine.vcpus.map((vcpu) => ({ ...vcpu, idle: 'parked', tpr: 0, irr: [], isr: [] })),
  everything.steps.filter((step) => isCall(step) || step.do === 'write-msr'),
  { irqchip: 'none', xen: true, guestOsId: 0n, neighbour: { ...plainNeighbour, irqchip: 'none' } },
);

describe('reduce', () => {
  it.each<[name: string, value: Case]>([
    ['a split irqchip', oneCall({}, {}, { irqchip: 'split' })],
    ['no irqchip', oneCall({}, {}, { irqchip: 'none' })],
    ['Xen', oneCall({}, {}, { xen: true })],
    ['a second VM without a LAPIC', oneCall({}, {}, { neighbour: { ...plainNeighbour, irqchip: 'none' } })],
    ['no GUEST_OS_ID', oneCall({}, {}, { guestOsId: 0n })],
    ['a vCPU id', oneCall({}, { vcpuId: 7 })],
    ['missing features', oneCall({}, { lacks: ['cluster-ipi', 'xmm-input'] })],
    ['CPUID enforced', oneCall({}, { enforced: true })],
    ['presets', oneCall({}, { tpr: 9, irr: [16, 33], isr: [64] })],
    ['a mode and a privilege level', oneCall({ mode: 'protected16', cpl: 3 })],
    ['a page', oneCall({ page: 0xf0000n })],
    ['the other opcode', oneCall({ opcode: 'other' })],
    ['RAX', oneCall({ rax: 11n })],
    ['an MSR write', withChange(makeStep({ do: 'write-msr', msr: 'hypercall', value: 0xf0001n }))],
    ['a changed APIC', withChange(makeStep({ do: 'set-apic', apic: 'hardware-disabled' }))],
    ['INIT of another vCPU', withChange(makeStep({ do: 'init', vcpu: 1 }))],
    ['all of it', everything],
    ['all of it without a LAPIC', everythingWithoutLapic],
  ])('should do without %s where it does not matter', async (_, start) => {
    expect(isWellFormed(start)).toBe(true);
    const { value, complete } = await reduce(start, ({ steps }) => Promise.resolve(steps.some(isCall)), plenty);
    expect(complete).toBe(true);
    expect(formatCase(value)).toBe(formatCase(oneCall()));
  });

  it.each<[name: string, holds: (value: Case) => boolean, minimum: Case]>([
    ['no irqchip', ({ machine }) => machine.irqchip === 'none', oneCall({}, {}, { irqchip: 'none' })],
    ['a split irqchip', ({ machine }) => machine.irqchip === 'split', oneCall({}, {}, { irqchip: 'split' })],
    ['Xen', ({ machine }) => machine.xen !== false, oneCall({}, {}, { xen: true })],
    [
      'a second VM without a LAPIC',
      ({ machine }) => machine.neighbour?.irqchip === 'none',
      oneCall({}, {}, { neighbour: { ...plainNeighbour, irqchip: 'none' } }),
    ],
    ['no GUEST_OS_ID', ({ machine }) => machine.guestOsId === 0n, oneCall({}, {}, { guestOsId: 0n })],
    [
      'one of two missing features',
      ({ machine }) => machine.vcpus.some(({ lacks }) => lacks.includes('ex-masks')),
      oneCall({}, { lacks: ['ex-masks'] }),
    ],
    [
      'CPUID enforced',
      ({ machine }) => machine.vcpus.some(({ enforced }) => enforced),
      oneCall({}, { enforced: true }),
    ],
    ['a task priority', ({ machine }) => machine.vcpus.some(({ tpr }) => tpr >= 5), oneCall({}, { tpr: 5 })],
    [
      'one of several vectors in service',
      ({ machine }) => machine.vcpus.some(({ isr }) => isr.includes(0x41)),
      oneCall({}, { isr: [0x41] }),
    ],
    ['a caller above CPL 0', anyCall(({ cpl }) => cpl > 0), oneCall({ cpl: 1 })],
    ['a caller that is not in 64-bit mode', anyCall(({ mode }) => mode !== 'long'), oneCall({ mode: 'compat' })],
    ['the other opcode', anyCall(({ opcode }) => opcode === 'other'), oneCall({ opcode: 'other' })],
    ['a RAX', anyCall(({ rax }) => rax === 11n), oneCall({ rax: 11n })],
  ])('should keep %s where it matters, and nothing else', async (_, holds, minimum) => {
    const starts = [everything, everythingWithoutLapic].filter(holds);
    expect(starts.length).toBeGreaterThan(0);
    for (const start of starts) {
      const fails = (value: Case) => Promise.resolve(holds(value) && value.steps.some(isCall));
      const { value } = await reduce(start, fails, plenty);
      expect(formatCase(value)).toBe(formatCase(minimum));
    }
  });
});

/** What belongs together moves together: each start is minimal field by field. */
describe('reduce, of priorities', () => {
  const pending = ({ machine }: Case): number => Math.max(0, ...machine.vcpus[0]!.irr);
  const received = ({ steps }: Case): number[] =>
    steps.filter(isCall).flatMap(({ targets, vector }) => (targets.includes(0) ? [vector] : []));
  const sent = (value: Case): number => received(value)[0] ?? 0;
  const sendAndRun = (vector: number): Step[] => [
    makeStep({ do: 'send-ipi', vector, targets: [0] }),
    makeStep({ do: 'run' }),
  ];

  it.each<[name: string, holds: (value: Case) => boolean, start: Case, minimum: Case]>([
    [
      'a task priority of the class that is sent',
      (value) => value.machine.vcpus[0]!.tpr > 0 && value.machine.vcpus[0]!.tpr === sent(value) >>> 4,
      makeCase([{ vpIndex: 0, tpr: 1 }], sendAndRun(0x1f)),
      makeCase([{ vpIndex: 0, tpr: 15 }], sendAndRun(0xfe)),
    ],
    [
      'a vector in service of the class that is sent',
      (value) => value.machine.vcpus[0]!.isr.some((vector) => vector >>> 4 === sent(value) >>> 4),
      makeCase([{ vpIndex: 0, isr: [0x11] }], sendAndRun(0x1f)),
      makeCase([{ vpIndex: 0, isr: [0xfe] }], sendAndRun(0xfe)),
    ],
    [
      'an auto-EOI vector that is sent',
      (value) => value.machine.vcpus[0]!.autoEoi.includes(sent(value)),
      makeCase([{ vpIndex: 0, autoEoi: [0x31] }], sendAndRun(0x31)),
      makeCase([{ vpIndex: 0, autoEoi: [0xfe] }], sendAndRun(0xfe)),
    ],
    [
      'two vectors that are pending at once',
      (value) => new Set([...received(value), ...value.machine.vcpus[0]!.irr]).size > 1,
      makeCase([{ vpIndex: 0 }], [...sendAndRun(0x31).slice(0, 1), ...sendAndRun(0xfe)]),
      makeCase([{ vpIndex: 0, irr: [0xfd] }], sendAndRun(0xfe)),
    ],
    [
      'two vectors of which the pending one is lower',
      (value) => pending(value) > 0 && pending(value) < sent(value),
      makeCase([{ vpIndex: 0, irr: [0x10] }], sendAndRun(0xfe)),
      makeCase([{ vpIndex: 0, irr: [0xfd] }], sendAndRun(0xfe)),
    ],
  ])('should bring %s to the plain vector', async (_, holds, start, minimum) => {
    const fails = (value: Case) => Promise.resolve(holds(value) && value.steps.some(({ do: kind }) => kind === 'run'));
    expect(await fails(start)).toBe(true);
    const { value } = await reduce(start, fails, plenty);
    expect(formatCase(value)).toBe(formatCase(minimum));
  });

  it.each<[name: string, holds: (value: Case) => boolean, start: Case, minimum: Case]>([
    [
      'a refused environment',
      anyCall(({ mode, cpl }) => mode === 'real' || cpl > 0),
      oneCall({ mode: 'real' }),
      oneCall({ cpl: 1 }),
    ],
    [
      'a caller that KVM has no Hyper-V for',
      ({ machine }) => machine.guestOsId === 0n || machine.vcpus[0]!.lacks.includes('hyperv'),
      oneCall({}, { lacks: ['hyperv'] }),
      oneCall({}, {}, { guestOsId: 0n }),
    ],
    [
      'a page',
      ({ steps }) => steps.some((step) => step.do === 'write-msr' && (step.value & 1n) === 1n && step.value > 0xe0000n),
      withPage(0xe0005n),
      withPage(0xe0001n),
    ],
  ])('should say %s in the plainer way', async (_, holds, start, minimum) => {
    const fails = (value: Case) => Promise.resolve(holds(value) && value.steps.some(isCall));
    expect(await fails(start)).toBe(true);
    const { value } = await reduce(start, fails, plenty);
    expect(formatCase(value)).toBe(formatCase(minimum));
  });

  it('should have from the start a VP index that is written with more than 32 bits', async () => {
    const write = makeStep({ do: 'write-msr', msr: 'vp-index', value: 0x1_0000_0003n });
    const start = makeCase([{ vpIndex: 0 }], [write, makeStep({ do: 'send-ipi' })]);
    const isThree = ({ machine, steps }: Case): boolean =>
      machine.vcpus[0]!.vpIndex === 3 || steps.some((step) => step.do === 'write-msr' && (step.value & 0xfffn) === 3n);
    const { value } = await reduce(start, (one) => Promise.resolve(isThree(one) && one.steps.some(isCall)), plenty);
    expect(formatCase(value)).toBe(formatCase(oneCall({}, { vpIndex: 3 })));
  });

  it('should say by RAX what a hypercall page says where Xen is intercepted', async () => {
    const isXenCall = ({ page, rax }: CallStep, steps: readonly Step[]): boolean =>
      page === null
        ? (rax & 0x8000_0000n) !== 0n
        : steps.some((step) => step.do === 'write-msr' && step.value === (page | 1n));
    const page = makeStep({ do: 'write-msr', msr: 'hypercall', value: 0xf1001n });
    const start = makeCase([{ vpIndex: 0 }], [page, makeStep({ do: 'send-ipi', page: 0xf1000n })], { xen: true });
    const fails = ({ machine, steps }: Case) =>
      Promise.resolve(machine.xen && steps.filter(isCall).some((step) => isXenCall(step, steps)));
    const { value } = await reduce(start, fails, plenty);
    expect(formatCase(value)).toBe(formatCase(oneCall({ rax: 0x8000_0000n }, {}, { xen: true })));
  });
});

function anyCall(is: (step: CallStep) => boolean): (value: Case) => boolean {
  return ({ steps }) => steps.filter(isCall).some(is);
}

function oneCall(
  call: Partial<SendIpiStep> = {},
  vcpu: Partial<VcpuSetup> = {},
  machine: Partial<Omit<Case['machine'], 'vcpus'>> = {},
): Case {
  return makeCase([{ vpIndex: 0, ...vcpu }], [makeStep({ do: 'send-ipi', ...call })], machine);
}

/** A page, and a call that does not need it. */
function withPage(value: bigint): Case {
  return makeCase(
    [{ vpIndex: 0 }],
    [makeStep({ do: 'write-msr', msr: 'hypercall', value }), makeStep({ do: 'send-ipi' })],
  );
}

/** A call between two changes. */
function withChange(change: Step): Case {
  return makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], [change, makeStep({ do: 'send-ipi' }), change]);
}
