/** Mutants that treat running receivers wrongly: priorities, EOI, shadows, auto-EOI. */
import { APIC_IRR, APIC_ISR, APIC_TASKPRI } from '../abi/lapic.ts';
import { makeCase, makeStep } from '../case/case.ts';
import { takeableVectors, vectorsOf, withBit } from '../../oracle/state/machine.ts';
import { acknowledge } from '../../oracle/receivers/receiver.ts';
import * as parts from './mutant-parts.ts';

export const receiverMutants: readonly parts.Mutant[] = [
  {
    name: 'eoi-clears-lowest',
    description: 'an EOI is for the lowest vector in service',
    minimal: makeCase([{ isr: [0xef] }], [parts.sendIpi({ targets: [0] }), parts.run]),
    createParts: () => ({
      acknowledge: (lapic) => {
        const vectors = vectorsOf(lapic, APIC_ISR);
        // PPR follows the highest one, which stays where there are several.
        return vectors.length < 2 ? acknowledge(lapic) : withBit(lapic, APIC_ISR, vectors.at(-1)!, false);
      },
    }),
  },
  {
    name: 'takes-equal-class',
    description: 'a handler can be interrupted by a vector of its own class',
    minimal: makeCase([{ isr: [0xfe] }], [parts.sendIpi({ targets: [0] }), parts.run]),
    createParts: () => ({
      takeable: (lapic) => {
        const [inService = 0] = vectorsOf(lapic, APIC_ISR);
        const isEqual = (vector: number) => inService > 0 && vector >>> 4 === inService >>> 4;
        const equal = vectorsOf(lapic, APIC_IRR).filter(isEqual);
        return [...takeableVectors(lapic), ...equal];
      },
    }),
  },
  {
    name: 'tpr-ignored',
    description: 'TPR blocks nothing',
    minimal: makeCase([{ tpr: 15 }], [parts.sendIpi({ targets: [0] }), parts.run]),
    createParts: () => ({ takeable: (lapic) => takeableVectors(new Map(lapic).set(APIC_TASKPRI, 0)) }),
  },
  {
    name: 'auto-eoi-in-service',
    description: 'a vector of an auto-EOI SINT is in service while its handler runs',
    // The EOI of the handler is for the vector below: one that is in service is lighter than a handler without EOI.
    minimal: makeCase([{ autoEoi: [0xfe], isr: [0xef] }], [parts.sendIpi({ targets: [0] }), makeStep({ do: 'run' })]),
    createParts: () => ({ isAutoEoi: () => false }),
  },
];
