/** Mutants that deliver or report wrongly: VP set, VP index, APIC, handlers, result, registers, memory. */
import { withBit } from '../../oracle/state/machine.ts';
import { APIC_IRR } from '../abi/lapic.ts';
import { makeCase } from '../case/case.ts';
import { arenaStart } from '../case/memory.ts';
import * as parts from './mutant-parts.ts';

export const deliveryMutants: readonly parts.Mutant[] = [
  {
    name: 'bank-slot-off-by-one',
    description: 'reads the slot after the one of the bank',
    minimal: parts.alone(0, parts.sendIpiEx({ targets: [0] })),
    createParts: () => parts.withSlots((call, bank) => parts.slotOf(call, bank) + 1),
  },
  {
    name: 'bank-slot-ignores-gaps',
    description: 'takes the bank number for the slot',
    minimal: parts.alone(64, parts.sendIpiEx({ targets: [64] })),
    createParts: () => parts.withSlots((_, bank) => bank),
  },
  {
    name: 'drops-bank-1',
    description: 'delivers to no VP from 64 to 127',
    minimal: parts.alone(64, parts.sendIpiEx({ targets: [64] })),
    createParts: () => parts.withTargets((at, vps) => at.filter((position) => vps[position]! >>> 6 !== 1)),
  },
  {
    name: 'mask-32-bits',
    description: 'looks at 32 bits of the valid bank mask when it selects',
    minimal: parts.alone(2048, parts.sendIpiEx({ targets: [2048] })),
    createParts: () => parts.withSlots((call, bank) => (bank < 32 ? parts.slotOf(call, bank) : Infinity)),
  },
  {
    name: 'misses-last-vp',
    description: 'leaves out bit 63 of every bank',
    minimal: parts.alone(63, parts.sendIpi({ targets: [63] })),
    createParts: () => parts.withTargets((at, vps) => at.filter((position) => (vps[position]! & 63) !== 63)),
  },
  {
    name: 'vp-index-is-vcpu-index',
    description: 'selects by the position of the vCPU',
    minimal: parts.alone(1, parts.sendIpi({ targets: [1] })),
    createParts: () => parts.withVpIndexes((_, position) => position),
  },
  {
    name: 'vp-index-unlimited',
    description: 'lets the host write any VP index',
    minimal: parts.alone(4096, parts.sendIpi()),
    createParts: () => ({ vpIndexes: (vcpus) => vcpus.map(({ vpIndex }) => vpIndex) }),
  },
  {
    name: 'first-match-only',
    description: 'stops at the first vCPU of a VP index that two have',
    minimal: makeCase([{ vpIndex: 0 }, { vpIndex: 0 }], [parts.sendIpi({ targets: [0] })]),
    createParts: () =>
      parts.withTargets((at, vps) => at.filter((position) => vps.indexOf(vps[position]!) === position)),
  },
  {
    name: 'skips-self',
    description: 'does not deliver to the sender',
    minimal: parts.alone(0, parts.sendIpi({ targets: [0] })),
    createParts: () => parts.withTargets((at, _, sender) => at.filter((position) => position !== sender)),
  },
  {
    name: 'delivers-to-disabled-apic',
    description: 'delivers although the APIC is disabled',
    minimal: makeCase([{ vpIndex: 0, apic: 'software-disabled' }], [parts.sendIpi({ targets: [0] })]),
    createParts: () => ({ accepts: () => true }),
  },
  {
    name: 'stale-banks',
    description: 'still sees the banks of a longer set of the same sender behind a shorter one',
    minimal: parts.alone(0, parts.sendIpiEx({ targets: [0, 64] }), parts.sendIpiEx({ vector: 0xfd, targets: [64] })),
    createParts: () => parts.rememberBanks(),
  },
  {
    name: 'reports-a-rep',
    description: 'says in the result that one repetition was completed',
    minimal: parts.alone(0, parts.sendIpi()),
    createParts: () => ({ result: (status) => (1n << 32n) | BigInt(status) }),
  },
  {
    name: 'clobbers-rbx',
    description: 'changes RBX',
    minimal: parts.alone(0, parts.sendIpi()),
    observe: parts.changeSteps((step) =>
      step.result === null ? step : { ...step, registers: [{ register: 'rbx', before: 0x1111n, after: 0n }] },
    ),
  },
  {
    name: 'writes-guest-memory',
    description: 'writes to guest memory when it delivers',
    minimal: parts.alone(0, parts.sendIpi()),
    observe: (observation, { steps }) => {
      if (!steps.some(({ rule }) => rule === 'deliver')) return observation;
      return { ...observation, memory: [{ gpa: arenaStart, before: Buffer.of(0), after: Buffer.of(1) }] };
    },
  },
  {
    name: 'tmr-not-cleared',
    description: 'leaves the TMR bit of an edge interrupt as it was',
    minimal: parts.alone(0, parts.sendIpi({ targets: [0] })),
    createParts: () => ({
      accept: (lapic, vector) => withBit(lapic, APIC_IRR, vector, true),
    }),
  },
  {
    name: 'double-delivery',
    description: 'runs the handler twice for one interrupt',
    minimal: parts.alone(0, parts.sendIpi({ targets: [0] }), parts.run),
    createParts: () => ({ handlersFor: (vectors) => vectors.flatMap((vector) => [vector, vector]) }),
  },
  {
    name: 'lowest-first',
    description: 'takes the lowest pending vector first',
    minimal: makeCase([{ vpIndex: 0, irr: [0xfd] }], [parts.sendIpi({ targets: [0] }), parts.run]),
    createParts: () => ({ handlersFor: (vectors) => [...vectors].reverse() }),
  },
];
