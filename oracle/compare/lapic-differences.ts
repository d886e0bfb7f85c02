/** What two states of a LAPIC page differ in, as vectors where a register is a set of vectors. */
import { APIC_IRR, APIC_ISR, APIC_TMR, lapicRegisterName } from '../../src/abi/lapic.ts';
import type { LapicChanges } from '../../src/program/observation.ts';
import { tmrAtSetup, vectorsOf } from '../state/machine.ts';
import { formatHex, formatVectors } from '../names.ts';

/** A pair of states of one vCPU at one moment. */
export interface LapicPair {
  readonly expected: LapicChanges;
  readonly observed: LapicChanges;
}

/** One register that differs; vectors only for the 256-bit registers. */
export interface LapicDifference {
  readonly what: string;
  readonly expected: string;
  readonly observed: string;
  /** Vectors whose bit is set in the expected and clear in the observed register, and the reverse. */
  readonly onlyExpected: readonly number[];
  readonly onlyObserved: readonly number[];
}

/** A 256-bit register: where it is, what its words are at set-up, how its state reads. */
interface VectorRegister {
  readonly name: string;
  readonly base: number;
  readonly atSetup: number;
  describe(lapic: LapicChanges): string;
}

const vectorRegisters: readonly VectorRegister[] = [
  {
    name: 'IRR',
    base: APIC_IRR,
    atSetup: 0,
    describe: (lapic) => `${formatVectors(vectorsOf(lapic, APIC_IRR))} pending`,
  },
  {
    name: 'TMR',
    base: APIC_TMR,
    atSetup: tmrAtSetup,
    describe: (lapic) => `${formatVectors(clearedInTmr(lapic))} cleared`,
  },
  {
    name: 'ISR',
    base: APIC_ISR,
    atSetup: 0,
    describe: (lapic) => `${formatVectors(vectorsOf(lapic, APIC_ISR))} in service`,
  },
];

/** What differs in `now` and did not already differ in `before`, so that a lost interrupt is reported once. */
export function lapicDifferences(now: LapicPair, before: LapicPair): LapicDifference[] {
  return [
    ...vectorRegisters.flatMap((register) => vectorDifference(register, now, before) ?? []),
    ...otherDifferences(now, before),
  ];
}

function vectorDifference(register: VectorRegister, now: LapicPair, before: LapicPair): LapicDifference | null {
  const onlyExpected = new Map<number, number>();
  const onlyObserved = new Map<number, number>();
  const { base, atSetup, name } = register;
  for (let offset = base; offset < base + 0x80; offset += 0x10) {
    const word = ({ expected, observed }: LapicPair): [number, number] => [
      expected.get(offset) ?? atSetup,
      observed.get(offset) ?? atSetup,
    ];
    const [expected, observed] = word(now);
    const [expectedBefore, observedBefore] = word(before);
    const fresh = (expected ^ observed) & ~(expectedBefore ^ observedBefore);
    onlyExpected.set(offset, (fresh & expected) >>> 0);
    onlyObserved.set(offset, (fresh & observed) >>> 0);
  }
  const difference = {
    what: name,
    expected: register.describe(now.expected),
    observed: register.describe(now.observed),
    onlyExpected: vectorsOf(onlyExpected, base),
    onlyObserved: vectorsOf(onlyObserved, base),
  };
  return difference.onlyExpected.length + difference.onlyObserved.length === 0 ? null : difference;
}

/** Registers that are no sets of vectors. */
function otherDifferences(now: LapicPair, before: LapicPair): LapicDifference[] {
  const offsets = new Set([...now.expected.keys(), ...now.observed.keys(), ...before.observed.keys()]);
  const describe = (value: number | undefined): string => (value === undefined ? 'as set up' : formatHex(value, 8));
  return [...offsets]
    .filter((offset) => !vectorRegisters.some(({ base }) => offset >= base && offset < base + 0x80))
    .filter((offset) => now.expected.get(offset) !== now.observed.get(offset))
    .filter(
      (offset) =>
        now.observed.get(offset) !== before.observed.get(offset) ||
        now.expected.get(offset) !== before.expected.get(offset),
    )
    .sort((a, b) => a - b)
    .map((offset) => ({
      what: `LAPIC ${lapicRegisterName(offset)}`,
      expected: describe(now.expected.get(offset)),
      observed: describe(now.observed.get(offset)),
      onlyExpected: [],
      onlyObserved: [],
    }));
}

/** Vectors whose TMR bit was cleared, by accepting them. */
export function clearedInTmr(lapic: LapicChanges): number[] {
  const inverse = new Map<number, number>();
  for (let offset = APIC_TMR; offset < APIC_TMR + 0x80; offset += 0x10) {
    inverse.set(offset, ~(lapic.get(offset) ?? tmrAtSetup) >>> 0);
  }
  return vectorsOf(inverse, APIC_TMR);
}
