/**
 * Shrinking, judged by its results: for each imagined bug, drawn cases and saved ones must all come down to the case
 * that a kernel developer would write.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchArbitrary, drawBatch } from '../../generators/batch.ts';
import { caseArbitrary } from '../../generators/case.ts';
import { usualSwarm } from './usual-swarm.ts';
import { type CallStep, type Case, formatCase, makeCase, makeStep, parseCase, type Step } from '../../src/case/case.ts';
import { banksOf, maskOf } from './broken-rules.ts';
import { isCall } from '../../src/case/steps/kinds.ts';

type Bug = (value: Case) => boolean;

const calls = (value: Case) => value.steps.filter(isCall);
const anyCall =
  (is: (step: CallStep, value: Case) => boolean): Bug =>
  (value) =>
    calls(value).some((step) => is(step, value));
const names = (step: CallStep, value: Case, least: number) =>
  value.machine.vcpus.some(({ vpIndex }) => vpIndex >= least && step.targets.includes(vpIndex));

/** A step like that behind a call: no case is simpler for having no call at all. */
const behindCall =
  (is: (step: Step) => boolean): Bug =>
  ({ steps }) =>
    steps.some((step, place) => is(step) && steps.slice(0, place).some(isCall));

const oneVcpu = [{ vpIndex: 0 }];
const plain = makeStep({ do: 'send-ipi', vector: 0xfe });
const plainEx = makeStep({ do: 'send-ipi-ex', vector: 0xfe });

const bugs: [name: string, bug: Bug, minimum: Case][] = [
  ['every case fails', () => true, makeCase(oneVcpu, [plain])],
  ['every ex call', anyCall((step) => step.do === 'send-ipi-ex'), makeCase(oneVcpu, [plainEx])],
  ['every fast call', anyCall((step) => step.fast), makeCase(oneVcpu, [{ ...plain, fast: true }])],
  ['a run step', behindCall((step) => step.do === 'run'), makeCase(oneVcpu, [plain, makeStep({ do: 'run' })])],
  [
    'a target of the machine in a bank above the first',
    anyCall((step, value) => names(step, value, 64)),
    makeCase([{ vpIndex: 64 }], [{ ...plainEx, targets: [64] }]),
  ],
  [
    'a call to another vCPU',
    anyCall((step, value) =>
      value.machine.vcpus.some(({ vpIndex }, position) => position !== step.sender && step.targets.includes(vpIndex)),
    ),
    makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], [{ ...plain, targets: [1] }]),
  ],
  [
    'two vCPUs of different VP indexes in one call',
    anyCall(
      (step, value) =>
        new Set(value.machine.vcpus.map((v) => v.vpIndex).filter((i) => step.targets.includes(i))).size > 1,
    ),
    makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], [{ ...plain, targets: [0, 1] }]),
  ],
  [
    'a legal vector below 0xfe',
    anyCall((step) => step.vector >= 0x42 && step.vector < 0xfe),
    makeCase(oneVcpu, [{ ...plain, vector: 0xfd }]),
  ],
  [
    'a vector with more than 8 bits',
    anyCall((step) => step.vector > 0xff),
    makeCase(oneVcpu, [{ ...plain, vector: 0x100 }]),
  ],
  [
    'reserved bit 45',
    anyCall((step) => step.controlBits.includes(45)),
    makeCase(oneVcpu, [{ ...plain, controlBits: [45] }]),
  ],
  [
    '12 banks in registers',
    anyCall((step) => step.fast && banksOf(step).size > 11),
    makeCase(oneVcpu, [{ ...plainEx, fast: true, emptyBanks: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] }]),
  ],
  [
    'a mask that disagrees',
    anyCall((step) => maskOf(step).size !== banksOf(step).size),
    makeCase(oneVcpu, [{ ...plainEx, maskFlips: [0] }]),
  ],
  [
    'an address outside of RAM',
    anyCall((step) => step.gpa !== null && step.gpa >= 0x100000n),
    makeCase(oneVcpu, [{ ...plain, gpa: 0x100000n }]),
  ],
  [
    'format all',
    anyCall((step) => step.do === 'send-ipi-ex' && step.format === 1n),
    makeCase(oneVcpu, [{ ...plainEx, format: 1n }]),
  ],
  [
    'any format but sparse and all',
    anyCall((step) => step.do === 'send-ipi-ex' && step.format > 1n),
    makeCase(oneVcpu, [{ ...plainEx, format: 2n }]),
  ],
  [
    'a long set before a short one',
    (value) =>
      calls(value).some(
        (step, place) =>
          new Set(step.targets.map((vp) => vp >> 6)).size >= 4 &&
          calls(value)
            .slice(place + 1)
            .some((later) => banksOf(later).size === 1),
      ),
    makeCase(oneVcpu, [
      { ...plainEx, targets: [0, 64, 128, 192] },
      { ...plain, targets: [0] },
    ]),
  ],
  [
    'a disabled APIC',
    (value) => value.machine.vcpus.some((vcpu) => vcpu.apic === 'hardware-disabled'),
    makeCase([{ vpIndex: 0, apic: 'hardware-disabled' }], [plain]),
  ],
  [
    'a call in 32-bit mode',
    anyCall(({ mode }) => mode === 'protected32'),
    makeCase(oneVcpu, [{ ...plain, mode: 'protected32' }]),
  ],
  ['a call above CPL 0', anyCall(({ cpl }) => cpl > 0), makeCase(oneVcpu, [{ ...plain, cpl: 1 }])],
  [
    'the other opcode in a call of the newer form',
    anyCall((step) => step.opcode === 'other' && step.do === 'send-ipi-ex'),
    makeCase(oneVcpu, [{ ...plainEx, opcode: 'other' }]),
  ],
  [
    'another irqchip than the kernel’s',
    ({ machine }) => machine.irqchip !== 'kernel',
    makeCase(oneVcpu, [plain], { irqchip: 'split' }),
  ],
  [
    'a vCPU whose CPUID is enforced',
    ({ machine }) => machine.vcpus.some(({ enforced }) => enforced),
    makeCase([{ vpIndex: 0, enforced: true }], [plain]),
  ],
  [
    'a vector in service that is above what is pending',
    ({ machine, steps }) =>
      steps.some(isCall) &&
      machine.vcpus.some(({ irr, isr }) => irr.length > 0 && isr.some((vector) => vector > irr[0]!)),
    makeCase([{ vpIndex: 0, irr: [253], isr: [254] }], [plain]),
  ],
  [
    'a VP index that is written',
    behindCall((step) => step.do === 'write-msr' && step.msr === 'vp-index'),
    makeCase(oneVcpu, [plain, makeStep({ do: 'write-msr', msr: 'vp-index', value: 0n })]),
  ],
  [
    'a call after an APIC was hardware-disabled',
    ({ steps }) => {
      const place = steps.findIndex((step) => step.do === 'set-apic' && step.apic === 'hardware-disabled');
      return place !== -1 && steps.slice(place).some(isCall);
    },
    makeCase(oneVcpu, [makeStep({ do: 'set-apic', apic: 'hardware-disabled' }), plain]),
  ],
  [
    'a priority that is raised by CR8',
    behindCall((step) => step.do === 'act' && step.act === 'set-tpr' && step.by === 'cr8'),
    makeCase(oneVcpu, [plain, makeStep({ do: 'act', act: 'set-tpr', by: 'cr8', open: true })]),
  ],
  ['INIT', behindCall((step) => step.do === 'init'), makeCase(oneVcpu, [plain, makeStep({ do: 'init' })])],
];

/** The smallest case that the campaign would report, and how many cases it ran. */
function shrink(
  arbitrary: fc.Arbitrary<Case>,
  bug: Bug,
  parameters: fc.Parameters<[Case]>,
): { text: string; runs: number } {
  let runs = 0;
  const property = fc.property(arbitrary, (value) => {
    runs++;
    return !bug(value);
  });
  const details = fc.check(property, parameters);
  expect(details.failed).toBe(true);
  return { text: formatCase(details.counterexample![0]), runs };
}

describe.each(bugs)('shrinking: %s', (_, bug, minimum) => {
  const found = Array.from({ length: 40 }, (__, batch) => drawBatch('shrink', batch, 40).cases).map((cases, batch) => ({
    batch,
    index: cases.findIndex(bug),
    value: cases.find(bug),
  }));
  const failing = found.filter(({ value }) => value !== undefined).slice(0, 4);

  it('should bring a drawn case to the minimum, from its seed and path', () => {
    expect(failing.length).toBeGreaterThan(2);
    for (const { batch, index } of failing) {
      const { arbitrary, seed } = batchArbitrary('shrink', batch);
      const { text, runs } = shrink(arbitrary, bug, { seed, path: String(index) });
      expect(text).toBe(formatCase(minimum));
      expect(runs).toBeLessThan(800);
    }
  });

  it('should bring a saved case to the same minimum, passed as an example', () => {
    for (const { value } of failing) {
      const saved = parseCase(formatCase(value!));
      const { text } = shrink(caseArbitrary(usualSwarm), bug, { examples: [[saved]], numRuns: 1 });
      expect(text).toBe(formatCase(minimum));
    }
  });
});
