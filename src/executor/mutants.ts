/**
 * Planted mutants: each is a KVM that is wrong in one way. They show that the whole pipeline still finds what it is
 * for, and what it shrinks it to.
 */
import { APIC_IRR, vectorBit } from '../abi/lapic.ts';
import { type Case, makeCase, makeStep } from '../case/case.ts';
import { arenaStart } from '../case/memory.ts';
import type { Observation, StepObservation } from '../case/observation.ts';
import { registerOffset } from '../case/program.ts';
import { acceptVector } from '../../oracle/machine.ts';
import type { Outcome } from '../../oracle/outcome.ts';
import * as parts from './mutant-parts.ts';

export interface Mutant {
  /** As in `--target model:NAME`. */
  readonly name: string;
  /** What this KVM does wrong. */
  readonly description: string;
  /** The case that a person would have written to show it. */
  readonly minimal: Case;
  /** The model's parts that are wrong; called once for each program, because a wrong part may remember. */
  createParts?(): parts.Parts;
  /** What the wrong KVM shows besides what the outcome says. */
  observe?(observation: Observation, outcome: Outcome): Observation;
}

const xmmLimit = 11;
const banks = (count: number): number[] => Array.from({ length: count }, (_, bank) => bank);
/** One vCPU of this VP index that does these steps. */
const alone = (vpIndex: number, ...steps: Case['steps']): Case => makeCase([{ vpIndex }], steps);
const sendIpi = (step: Partial<ReturnType<typeof makeStep<'send-ipi'>>> = {}) => makeStep({ do: 'send-ipi', ...step });
const sendIpiEx = (step: Partial<ReturnType<typeof makeStep<'send-ipi-ex'>>> = {}) =>
  makeStep({ do: 'send-ipi-ex', ...step });
const run = makeStep({ do: 'run' });

export const mutants: readonly Mutant[] = [
  {
    name: 'vector-low-bound',
    description: 'accepts vector 0x0f',
    minimal: alone(0, sendIpi({ vector: 0x0f })),
    createParts: () => parts.withRule('bad-vector', { applies: ({ vector }) => vector < 0x0f || vector > 0xff }),
  },
  {
    name: 'vector-low-bound-strict',
    description: 'refuses vector 0x10',
    minimal: alone(0, sendIpi({ vector: 0x10 })),
    createParts: () => parts.withRule('bad-vector', { applies: ({ vector }) => vector <= 0x10 || vector > 0xff }),
  },
  {
    name: 'vector-high-bound',
    description: 'accepts vector 0x100 and delivers its low byte',
    minimal: alone(0, sendIpi({ vector: 0x100 })),
    createParts: () => ({
      ...parts.withRule('bad-vector', { applies: ({ vector }) => vector < 0x10 || vector > 0x100 }),
      accept: (lapic, vector) => acceptVector(lapic, vector & 0xff),
    }),
  },
  {
    name: 'ignores-variable-header',
    description: 'takes the number of banks from the valid bank mask alone',
    minimal: alone(0, sendIpiEx({ variableHeader: 1 })),
    createParts: () =>
      parts.withRegisters((registers, call) => {
        if (!parts.isEx(call)) return;
        const low = registers.readUInt32LE(registerOffset.rcx) & ~(0x3ff << 17);
        registers.writeUInt32LE((low | (call.maskCount << 17)) >>> 0, registerOffset.rcx);
      }),
  },
  {
    name: 'variable-header-on-fixed-call',
    description: 'does not refuse a variable header of 0x000b',
    minimal: alone(0, sendIpi({ variableHeader: 1 })),
    createParts: () => parts.withoutRule('variable-header-on-fixed-call'),
  },
  {
    name: 'ignores-rep-count',
    description: 'looks at the rep start index, not at the rep count',
    minimal: alone(0, sendIpi({ repCount: 1 })),
    createParts: () => parts.withRule('rep-on-simple-call', { applies: ({ repStart }) => repStart !== 0 }),
  },
  {
    name: 'ignores-rep-start',
    description: 'looks at the rep count, not at the rep start index',
    minimal: alone(0, sendIpi({ repStart: 1 })),
    createParts: () => parts.withRule('rep-on-simple-call', { applies: ({ repCount }) => repCount !== 0 }),
  },
  {
    name: 'ignores-reserved-bit-63',
    description: 'does not count bit 63 of the control word among the reserved ones',
    minimal: alone(0, sendIpi({ controlBits: [63] })),
    createParts: () =>
      parts.withDecoded(({ reserved }) => ({ reserved: { ...reserved, high: reserved.high & 0x7fff_ffff } })),
  },
  {
    name: 'faults-on-reserved-bits',
    description: 'raises #UD where status 3 is due',
    minimal: alone(0, sendIpi({ controlBits: [63] })),
    observe: changeSteps((step, rule) =>
      rule === 'reserved-control-bits' ? { ...step, result: null, exception: { vector: 6, ripOffset: 0 } } : step,
    ),
  },
  {
    name: 'bank-slot-off-by-one',
    description: 'reads the slot after the one of the bank',
    minimal: alone(0, sendIpiEx({ targets: [0] })),
    createParts: () => parts.withSlots((call, bank) => parts.slotOf(call, bank) + 1),
  },
  {
    name: 'bank-slot-ignores-gaps',
    description: 'takes the bank number for the slot',
    minimal: alone(64, sendIpiEx({ targets: [64] })),
    createParts: () => parts.withSlots((_, bank) => bank),
  },
  {
    name: 'drops-bank-1',
    description: 'delivers to no VP from 64 to 127',
    minimal: alone(64, sendIpiEx({ targets: [64] })),
    createParts: () => parts.withTargets((at, vps) => at.filter((position) => vps[position]! >>> 6 !== 1)),
  },
  {
    name: 'mask-32-bits',
    description: 'looks at 32 bits of the valid bank mask when it selects',
    minimal: alone(2048, sendIpiEx({ targets: [2048] })),
    createParts: () => parts.withSlots((call, bank) => (bank < 32 ? parts.slotOf(call, bank) : Infinity)),
  },
  {
    name: 'misses-last-vp',
    description: 'leaves out bit 63 of every bank',
    minimal: alone(63, sendIpi({ targets: [63] })),
    createParts: () => parts.withTargets((at, vps) => at.filter((position) => (vps[position]! & 63) !== 63)),
  },
  {
    name: 'xmm-half-swapped',
    description: 'reads the high half of an XMM register before the low one',
    minimal: alone(1, sendIpiEx({ fast: true, targets: [1] })),
    createParts: () => parts.withRegisters((registers) => parts.swapXmmHalves(registers)),
  },
  {
    name: 'xmm-limit-10',
    description: 'refuses the eleventh bank of a fast call (as before 7321f47eada5, at another limit)',
    minimal: alone(0, sendIpiEx({ fast: true, emptyBanks: banks(xmmLimit) })),
    createParts: () =>
      parts.withRule('too-many-fast-banks', {
        applies: (call) => parts.isEx(call) && !parts.isAll(call) && call.isFast && call.variableHeader > xmmLimit - 1,
      }),
  },
  {
    name: 'reads-banks-of-all',
    description: 'limits the banks of a fast call to all VPs although they mean nothing',
    minimal: alone(0, sendIpiEx({ fast: true, format: 1n, emptyBanks: banks(xmmLimit + 1) })),
    createParts: () =>
      parts.withRule('too-many-fast-banks', {
        applies: (call) => parts.isEx(call) && call.isFast && call.variableHeader > xmmLimit,
      }),
  },
  {
    name: 'all-needs-banks',
    description: 'delivers to nobody when a call to all VPs gives no bank (as before 3244867af8c0)',
    minimal: alone(0, sendIpiEx({ format: 1n })),
    createParts: () =>
      parts.withRule('empty-sparse-set', { applies: (call) => parts.isEx(call) && call.variableHeader === 0 }),
  },
  {
    name: 'unknown-format-is-all',
    description: 'takes every format but 0 for all VPs',
    minimal: alone(0, sendIpiEx({ format: 2n })),
    createParts: () =>
      parts.withDecoded(({ format }) => ({ format: { low: format.low !== 0 || format.high !== 0 ? 1 : 0, high: 0 } })),
  },
  {
    name: 'empty-set-checks-vector',
    description: 'looks at the vector before it finds that the set is empty',
    minimal: alone(0, sendIpiEx({ vector: 0x0f })),
    createParts: () => parts.withoutRule('empty-sparse-set'),
  },
  {
    name: 'refuses-padding',
    description: 'refuses a slow call whose padding or VTL is not 0',
    minimal: alone(0, sendIpi({ padding: 1 })),
    createParts: () => parts.withRule('fast-reserved-bits', { applies: ({ afterVector }) => afterVector !== 0 }),
  },
  {
    name: 'aligns-input-address',
    description: 'ignores bits 2:0 of the input address',
    minimal: alone(0, sendIpi({ gpa: arenaStart + 1n })),
    createParts: () =>
      parts.withRegisters((registers, { isFast }) => {
        if (!isFast) registers[registerOffset.rdx]! &= ~7;
      }),
  },
  {
    name: 'vp-index-is-vcpu-index',
    description: 'selects by the position of the vCPU',
    minimal: alone(1, sendIpi({ targets: [1] })),
    createParts: () => parts.withVpIndexes((_, position) => position),
  },
  {
    name: 'vp-index-unlimited',
    description: 'lets the host write any VP index',
    minimal: alone(4096, sendIpi()),
    createParts: () => ({ vpIndexes: (vcpus) => vcpus.map(({ vpIndex }) => vpIndex) }),
  },
  {
    name: 'first-match-only',
    description: 'stops at the first vCPU of a VP index that two have',
    minimal: makeCase([{ vpIndex: 0 }, { vpIndex: 0 }], [sendIpi({ targets: [0] })]),
    createParts: () =>
      parts.withTargets((at, vps) => at.filter((position) => vps.indexOf(vps[position]!) === position)),
  },
  {
    name: 'skips-self',
    description: 'does not deliver to the sender',
    minimal: alone(0, sendIpi({ targets: [0] })),
    createParts: () => parts.withTargets((at, _, sender) => at.filter((position) => position !== sender)),
  },
  {
    name: 'delivers-to-disabled-apic',
    description: 'delivers although the APIC is disabled',
    minimal: makeCase([{ vpIndex: 0, apic: 'software-disabled' }], [sendIpi({ targets: [0] })]),
    createParts: () => ({ accepts: () => true }),
  },
  {
    name: 'stale-banks',
    description: 'still sees the banks of a longer set of the same sender behind a shorter one',
    minimal: alone(0, sendIpiEx({ targets: [0, 64] }), sendIpiEx({ vector: 0xfd, targets: [64] })),
    createParts: () => parts.rememberBanks(),
  },
  {
    name: 'reports-a-rep',
    description: 'says in the result that one repetition was completed',
    minimal: alone(0, sendIpi()),
    createParts: () => ({ result: (status) => (1n << 32n) | BigInt(status) }),
  },
  {
    name: 'clobbers-rbx',
    description: 'changes RBX',
    minimal: alone(0, sendIpi()),
    observe: changeSteps((step) =>
      step.result === null ? step : { ...step, registers: [{ register: 'rbx', before: 0x1111n, after: 0n }] },
    ),
  },
  {
    name: 'writes-guest-memory',
    description: 'writes to guest memory when it delivers',
    minimal: alone(0, sendIpi()),
    observe: (observation, { steps }) => {
      if (!steps.some(({ rule }) => rule === 'deliver')) return observation;
      return { ...observation, memory: [{ gpa: arenaStart, before: Buffer.of(0), after: Buffer.of(1) }] };
    },
  },
  {
    name: 'tmr-not-cleared',
    description: 'leaves the TMR bit of an edge interrupt as it was',
    minimal: alone(0, sendIpi({ targets: [0] })),
    createParts: () => ({
      accept: (lapic, vector) => {
        const { offset, mask } = vectorBit(APIC_IRR, vector);
        return new Map(lapic).set(offset, ((lapic.get(offset) ?? 0) | mask) >>> 0);
      },
    }),
  },
  {
    name: 'double-delivery',
    description: 'runs the handler twice for one interrupt',
    minimal: alone(0, sendIpi({ targets: [0] }), run),
    createParts: () => ({ handlersFor: (vectors) => vectors.flatMap((vector) => [vector, vector]) }),
  },
  {
    name: 'lowest-first',
    description: 'takes the lowest pending vector first',
    minimal: alone(0, sendIpi({ targets: [0] }), sendIpi({ vector: 0xfd, targets: [0] }), run),
    createParts: () => ({ handlersFor: (vectors) => [...vectors].reverse() }),
  },
];

/** The mutant of that name. */
export function findMutant(name: string): Mutant | undefined {
  return mutants.find((mutant) => mutant.name === name);
}

/** An `observe` that changes each step; `rule` is the one that decided it. */
function changeSteps(change: (step: StepObservation, rule: string) => StepObservation): Mutant['observe'] & {} {
  return (observation, outcome) => ({
    ...observation,
    steps: observation.steps.map((step, index) => change(step, outcome.steps[index]!.rule)),
  });
}
