import { describe, expect, it } from 'vitest';
import { APIC_TMR } from '../../../src/abi/lapic.ts';
import { type Case, makeCase, makeStep, type Step, type VcpuSetup } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { arenaStart, ramEnd } from '../../../src/case/memory.ts';
import type { TargetFacts } from '../../../src/executor/facts.ts';
import type { Outcome } from '../../../oracle/outcome.ts';
import { predict } from '../../../oracle/model.ts';
import { facts, oldFacts } from '../programs.ts';

const ipi = (vector: number, targets: number[], sender = 0) => makeStep({ do: 'send-ipi', vector, targets, sender });
const ipiEx = (targets: number[], vector = 0xfe) => makeStep({ do: 'send-ipi-ex', vector, targets });
const run = makeStep({ do: 'run' });
const osId = (value: bigint, vcpu = 0) => makeStep({ do: 'write-msr', msr: 'guest-os-id', value, vcpu });
const vpIndex = (vcpu: number, value: bigint) => makeStep({ do: 'write-msr', msr: 'vp-index', value, vcpu });
const setPage = (value: bigint) => makeStep({ do: 'write-msr', msr: 'hypercall', value });
const apic = (vcpu: number, to: 'enabled' | 'software-disabled' | 'hardware-disabled') =>
  makeStep({ do: 'set-apic', vcpu, apic: to });
const init = (vcpu: number) => makeStep({ do: 'init', vcpu });
const page = arenaStart + 0x4000n;
const through = (at: bigint, fields: Partial<Extract<Step, { do: 'send-ipi' }>> = {}) =>
  makeStep({ do: 'send-ipi', page: at, targets: [0], ...fields });

const [ppr, tpr, spiv, id] = [0xa0, 0x80, 0xf0, 0x20];

describe('predict, GUEST_OS_ID', () => {
  it('should be the one of the VM at the time of the call, for every sender', () => {
    const steps = [ipi(0xfe, [0]), ipi(0xfe, [0], 1), osId(0n, 1), ipi(0xfe, [0]), ipi(0xfe, [0], 1), osId(1n)];
    expect(rulesOf(outcomeOf(2, [...steps, ipi(0xfe, [0]), ipi(0xfe, [0], 1)]))).toEqual([
      'deliver',
      'deliver',
      'guest-os-id-written',
      'native-unknown',
      'native-unknown',
      'guest-os-id-written',
      'deliver',
      'deliver',
    ]);
  });

  it('should be the one of the machine at the start', () => {
    const { steps } = outcomeOf(1, [ipi(0xfe, [0]), osId(1n), ipi(0xfe, [0])], { guestOsId: 0n });
    expect(steps.map(({ rule, result, receivers }) => [rule, result, receivers])).toEqual([
      ['native-unknown', 0xffff_ffff_ffff_fc18n, []],
      ['guest-os-id-written', 1n, []],
      ['deliver', 0n, [0]],
    ]);
  });

  it('should call KVM_HC_SCHED_YIELD in 32-bit code, whose EAX is the call code', () => {
    const call = makeStep({ do: 'send-ipi', mode: 'compat', targets: [0] });
    expect(outcomeOf(1, [call], { guestOsId: 0n }).steps[0]).toMatchObject({ rule: 'native-sched-yield', result: 0n });
    const other = makeStep({ do: 'send-ipi-ex', mode: 'protected32', targets: [0] });
    expect(outcomeOf(1, [other], { guestOsId: 0n }).steps[0]).toMatchObject({
      rule: 'native-unknown',
      result: 0xffff_fc18n,
    });
  });
});

describe('predict, VP index', () => {
  it('should follow what the host writes', () => {
    const outcome = outcomeOf(2, [ipiEx([70]), vpIndex(1, 70n), ipiEx([70]), ipiEx([1])]);
    expect(outcome.vpIndexes).toEqual([0, 1]);
    expect(outcome.steps.map(({ result, receivers, vpIndexes }) => [result, receivers, vpIndexes])).toEqual([
      [0n, [], [0, 1]],
      [1n, [], [0, 70]],
      [0n, [1], [0, 70]],
      [0n, [], [0, 70]],
    ]);
  });

  it('should keep what it was where KVM refuses the value, and take 32 bits of it', () => {
    const { steps } = outcomeOf(2, [vpIndex(0, 4096n), vpIndex(1, 0xffff_0000_0000_0fffn)]);
    expect(steps.map(({ rule, result, vpIndexes }) => [rule, result, vpIndexes])).toEqual([
      ['vp-index-refused', 0n, [0, 1]],
      ['vp-index-written', 1n, [0, 4095]],
    ]);
  });

  it('should be limited by the KVM', () => {
    const outcome = predict(programOf([{}], [vpIndex(0, 1024n)]), oldFacts);
    expect(rulesOf(outcome)).toEqual(['vp-index-refused']);
  });
});

describe('predict, hypercall page', () => {
  const word = (hex: string) => Buffer.from(hex.padEnd(16, '0'), 'hex');
  const zero = word('');

  it.each<[string, Partial<TargetFacts>, boolean, string[]]>([
    ['AMD', {}, false, ['0f01d9c3']],
    ['Intel', { cpu: 'GenuineIntel' }, false, ['0f01c1c3']],
    ['AMD with Xen', {}, true, ['0d000000800f01d9', 'c3']],
    ['a KVM that knows no Xen', { xen: false }, true, ['0f01d9c3']],
  ])('should hold the code of %s', (_, change, xen, words) => {
    const outcome = predict(programOf([{}], [setPage(page | 1n)], { xen }), { ...facts, ...change });
    expect(outcome.steps[0]).toMatchObject({ rule: 'page-written', result: 1n, exit: null, registers: [], call: null });
    expect(outcome.steps[0]!.writes).toEqual([{ gpa: page, bytes: Buffer.from(words.join(''), 'hex') }]);
    expect(outcome.memory).toEqual(
      words.map((hex, index) => ({ gpa: page + BigInt(8 * index), before: zero, after: word(hex) })),
    );
  });

  it('should not change memory where KVM does not write it', () => {
    const outcome = outcomeOf(1, [setPage(page), osId(0n), setPage(page | 1n), osId(1n), setPage(ramEnd | 1n)]);
    expect(rulesOf(outcome).filter((rule) => rule.startsWith('page'))).toEqual([
      'page-disabled',
      'page-without-guest-os-id',
      'page-not-writable',
    ]);
    expect(outcome.steps.map(({ result }) => result)).toEqual([1n, 1n, 1n, 1n, 0n]);
    expect(outcome.memory).toEqual([]);
  });

  it('should be called where its code is, and stay when it is disabled', () => {
    const steps = [through(page), setPage(page | 1n), through(page), setPage(0n), through(page)];
    const outcome = outcomeOf(1, [...steps, through(page + 0x1000n)]);
    expect(rulesOf(outcome)).toEqual([
      'no-hypercall-in-page',
      'page-written',
      'deliver',
      'page-disabled',
      'deliver',
      'no-hypercall-in-page',
    ]);
    expect(outcome.steps[0]).toMatchObject({
      result: null,
      exception: null,
      exit: 'no-code',
      call: null,
      receivers: [],
    });
  });

  it('should be gone when an input block covers it, also the block of the call itself', () => {
    const block = makeStep({ do: 'send-ipi', gpa: page, targets: [0] });
    expect(rulesOf(outcomeOf(1, [setPage(page | 1n), block, through(page)])).slice(1)).toEqual([
      'deliver',
      'no-hypercall-in-page',
    ]);
    expect(rulesOf(outcomeOf(1, [setPage(page | 1n), through(page, { gpa: page })]))[1]).toBe('no-hypercall-in-page');
  });

  it('should tell KVM by its prefix that the call is not for Xen', () => {
    const { steps } = outcomeOf(1, [ipi(0xfe, [0]), setPage(page | 1n), through(page)], { xen: true });
    expect(steps[0]).toMatchObject({ rule: 'xen-hypercall', exit: 'xen', result: 0x5an, receivers: [], registers: [] });
    expect(steps[2]).toMatchObject({ rule: 'deliver', result: 0n, receivers: [0], exit: null });
    expect(steps[2]!.registers.map(({ register }) => register)).toEqual(['rflags']);
  });
});

describe('predict, set-apic', () => {
  it('should lose interrupts while the APIC is off, and show SPIV', () => {
    const off = apic(1, 'software-disabled');
    const { steps } = outcomeOf(2, [ipi(0xfe, [0, 1]), off, ipi(0x20, [0, 1]), apic(1, 'enabled'), ipi(0x20, [0, 1])]);
    expect(steps.map(({ receivers }) => receivers)).toEqual([[0, 1], [], [0], [], [0, 1]]);
    const pending = steps[0]!.lapics[1]!;
    expect(steps[1]).toMatchObject({ rule: 'set-apic', result: null, exit: null, receivers: [], arrivals: [[], []] });
    expect(steps[1]!.lapics[1]).toEqual(new Map([...pending, [spiv, 0xff]]));
    expect(steps[1]!.lapics[0]).toBe(steps[0]!.lapics[0]);
    expect(steps[3]!.lapics[1]).toEqual(pending);
  });

  it('should let a software-disabled APIC give what is pending, and a hardware-disabled one not', () => {
    const pending = [ipi(0x20, [0, 1])];
    const off = (to: 'software-disabled' | 'hardware-disabled') =>
      outcomeOf(2, [...pending, apic(1, to), run]).steps[2]!;
    expect(off('software-disabled').arrivals).toEqual([[0x20], [0x20]]);
    expect(off('hardware-disabled').arrivals).toEqual([[0x20], []]);
    const again = outcomeOf(2, [...pending, apic(1, 'hardware-disabled'), run, apic(1, 'enabled'), run]);
    expect(again.steps.map(({ arrivals }) => arrivals[1])).toEqual([[], [], [], [], [0x20]]);
  });

  it.each([
    [1, null, 'x2apic', [[id, 1]]],
    [1, 200, 'x2apic', [[id, 200]]],
    [0, null, 'x2apic', []],
    [1, 200, 'xapic', []],
  ] as [number, number | null, VcpuSetup['apic'], [number, number][]][])(
    'should show the ID of vCPU %i with id %s in %s mode as KVM_GET_LAPIC has it',
    (vcpu, vcpuId, mode, words) => {
      const vcpus = [{}, {}].map((setup, at) => (at === vcpu ? { vcpuId, apic: mode } : setup));
      const { steps } = predict(programOf(vcpus, [apic(vcpu, 'hardware-disabled')]), facts);
      expect(steps[0]!.lapics[vcpu]).toEqual(new Map(words));
      expect(steps[0]!.apics[vcpu]).toEqual({ isHardwareEnabled: false, isSoftwareEnabled: true });
    },
  );
});

describe('predict, init', () => {
  const tmrGone = Array.from({ length: 8 }, (_, word): [number, number] => [APIC_TMR + 0x10 * word, 0]);

  it('should reset the LAPIC, lose what comes afterwards and never run again', () => {
    const vcpus = [{}, { tpr: 1, irr: [0x30], isr: [0x20] }];
    const steps = [ipi(0xfe, [1]), init(1), ipi(0x20, [0, 1]), run, apic(1, 'enabled'), ipi(0x20, [1]), run];
    const outcome = predict(programOf(vcpus, steps), facts);
    expect(outcome.steps[1]).toMatchObject({ rule: 'init', result: null, exit: null, receivers: [] });
    expect(outcome.steps[1]!.lapics[1]).toEqual(new Map([...tmrGone, [spiv, 0xff]]));
    expect(outcome.steps[1]!.apics[1]).toEqual({ isHardwareEnabled: true, isSoftwareEnabled: false });
    expect(outcome.steps.map(({ receivers }) => receivers)).toEqual([[1], [], [0], [], [], [1], []]);
    expect(outcome.steps[6]!.arrivals).toEqual([[], []]);
    expect(outcome.steps[6]!.lapics[1]).toEqual(new Map([...tmrGone, [0x210, 1]]));
  });

  it('should not reach a hardware-disabled LAPIC, but the vCPU runs no more', () => {
    const off = { apic: 'hardware-disabled' as const, irr: [0x20] };
    const outcome = predict(programOf([{}, off], [init(1), apic(1, 'enabled'), run]), facts);
    expect(outcome.steps[0]!.lapics[1]).toEqual(new Map([[0x210, 1]]));
    expect(outcome.steps[0]!.apics[1]).toEqual({ isHardwareEnabled: false, isSoftwareEnabled: true });
    expect(outcome.steps[2]!.arrivals[1]).toEqual([]);
  });
});

describe('predict, what a vCPU starts with', () => {
  it('should be in the LAPICs before the first step', () => {
    const { lapics } = predict(programOf([{}, { tpr: 2, irr: [0x30] }], [run]), facts);
    expect(lapics).toEqual([
      new Map(),
      new Map([
        [tpr, 0x20],
        [ppr, 0x20],
        [0x210, 0x1_0000],
      ]),
    ]);
  });

  it('should decide what a run takes', () => {
    const vcpus: Partial<VcpuSetup>[] = [
      { irr: [0x20, 0x30, 0x31] },
      { irr: [0x20, 0x30, 0x31], tpr: 2 },
      { irr: [0x20, 0x30, 0x31], isr: [0x3f] },
      { irr: [0x20, 0x30], idle: 'uninitialized' },
      { irr: [0x20, 0x30], idle: 'init-received' },
      { irr: [0x20, 0x30], apic: 'software-disabled' },
      { irr: [0x20, 0x30], apic: 'hardware-disabled' },
    ];
    const { arrivals, lapics } = predict(programOf(vcpus, [run, run]), facts).steps[0]!;
    expect(arrivals).toEqual([[0x31, 0x30, 0x20], [0x31, 0x30], [], [], [], [0x30, 0x20], []]);
    expect(lapics[1]!.get(0x210)).toBe(1);
    expect(lapics[2]!.get(0x120 - 0x10)).toBe(0x8000_0000);
  });

  it.each(['uninitialized', 'init-received'] as const)('should let an %s vCPU accept and never take', (idle) => {
    const { steps } = predict(programOf([{}, { idle }], [ipi(0x20, [1]), run]), facts);
    expect(steps[0]!.receivers).toEqual([1]);
    expect(steps[1]!.arrivals).toEqual([[], []]);
    expect(steps[1]!.lapics[1]!.get(0x210)).toBe(1);
  });
});

describe('predict, irqchip', () => {
  it('should fail every call without LAPICs in the kernel, and deliver with a split one', () => {
    const rules = (irqchip: Case['machine']['irqchip']) =>
      rulesOf(outcomeOf(1, [ipi(0xfe, [0]), ipiEx([0])], { irqchip }));
    expect(rules('none')).toEqual(['no-lapic', 'no-lapic']);
    expect(rules('split')).toEqual(['deliver', 'deliver']);
  });
});

function programOf(
  vcpus: readonly Partial<VcpuSetup>[],
  steps: readonly Step[],
  machine: Partial<Omit<Case['machine'], 'vcpus'>> = {},
) {
  const indexed = vcpus.map((setup, position) => ({ vpIndex: position, ...setup }));
  return encodeCase(makeCase(indexed, steps, machine));
}

function outcomeOf(
  vcpus: number,
  steps: readonly Step[],
  machine: Partial<Omit<Case['machine'], 'vcpus'>> = {},
): Outcome {
  return predict(
    programOf(
      Array.from({ length: vcpus }, () => ({})),
      steps,
      machine,
    ),
    facts,
  );
}

function rulesOf({ steps }: Outcome): string[] {
  return steps.map(({ rule }) => rule);
}
