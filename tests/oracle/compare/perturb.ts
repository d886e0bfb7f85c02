/** Every way in which an observation can differ from another, one at a time. */
import { APIC_IRR, APIC_ISR, APIC_PROCPRI, APIC_SPIV, APIC_TMR } from '../../../src/abi/lapic.ts';
import { arenaStart } from '../../../src/case/memory.ts';
import type { LapicChanges, MemoryChange, Observation, StepObservation } from '../../../src/program/observation.ts';

/** Numbers that choose where in the observation the difference is. */
export interface Place {
  readonly step: number;
  readonly vcpu: number;
  readonly bit: number;
}

/** Changes an observation at a place, or returns null where that place has nothing of the kind. */
export type Perturbation = (observation: Observation, place: Place) => Observation | null;

const flip = (lapic: LapicChanges, offset: number, bit: number, atSetup = 0): LapicChanges =>
  new Map(lapic).set(offset, ((lapic.get(offset) ?? atSetup) ^ (1 << bit)) >>> 0);

const inWord = (base: number, atSetup: number) => (lapic: LapicChanges, bit: number) =>
  flip(lapic, base + 0x10 * (bit >>> 5), bit & 31, atSetup);

const lapicFlips: Record<string, (lapic: LapicChanges, bit: number) => LapicChanges> = {
  irr: inWord(APIC_IRR, 0),
  tmr: inWord(APIC_TMR, 0xffff_ffff),
  isr: inWord(APIC_ISR, 0),
  ppr: (lapic, bit) => flip(lapic, APIC_PROCPRI, bit & 31),
  spiv: (lapic, bit) => flip(lapic, APIC_SPIV, bit & 31, 0x1ff),
};

export const perturbations: Record<string, Perturbation> = {
  vpIndex: (observation, { vcpu }) => ({
    ...observation,
    vpIndexes: replace(observation.vpIndexes, vcpu, (index) => index + 1),
  }),
  vpIndexMissing: (observation) => ({ ...observation, vpIndexes: observation.vpIndexes.slice(1) }),
  result: inStep((step, { bit }) =>
    step.result === null ? null : { ...step, result: step.result ^ (1n << BigInt(bit)) },
  ),
  noResult: inStep((step) => (step.result === null ? null : { ...step, result: null })),
  resultOfRun: inStep((step) => (step.result === null ? { ...step, result: 0n } : null)),
  exception: inStep((step) => (step.exception === null ? { ...step, exception: { vector: 6, ripOffset: 0 } } : null)),
  register: inStep((step) => ({ ...step, registers: [{ register: 'xmm3.lo', before: 1n, after: 2n }] })),
  lostRegister: inStep((step) => (step.registers.length === 0 ? null : { ...step, registers: [] })),
  registerValue: inStep((step, { bit }) => {
    const [first, ...rest] = step.registers;
    if (first === undefined) return null;
    return { ...step, registers: [{ ...first, after: first.after ^ (1n << BigInt(bit)) }, ...rest] };
  }),
  registerName: inStep((step) => {
    const [first, ...rest] = step.registers;
    return first === undefined ? null : { ...step, registers: [{ ...first, register: 'r15' }, ...rest] };
  }),
  exit: inStep((step) => ({ ...step, exit: step.exit === null ? 'xen' : null })),
  otherExit: inStep((step) => (step.exit === null ? null : { ...step, exit: step.exit === 'xen' ? 'hyperv' : 'xen' })),
  noException: inStep((step) => (step.exception === null ? null : { ...step, exception: null })),
  otherException: inStep((step) =>
    step.exception === null ? null : { ...step, exception: { vector: step.exception.vector ^ 11, ripOffset: 0 } },
  ),
  exceptionElsewhere: inStep((step) =>
    step.exception === null ? null : { ...step, exception: { ...step.exception, ripOffset: 3 } },
  ),
  extraArrival: inStep((step, { vcpu, bit }) => ({
    ...step,
    arrivals: replace(step.arrivals, vcpu, (vectors) => [...vectors, bit + 0x20]),
  })),
  doubleArrival: inArrivals((vectors) => (vectors.length === 0 ? null : [vectors[0]!, ...vectors])),
  lostArrival: inArrivals((vectors) => (vectors.length === 0 ? null : vectors.slice(1))),
  reorderedArrivals: inArrivals((vectors) => (vectors.length < 2 ? null : vectors.toReversed())),
  arrivalsOfFewer: inStep((step) => ({ ...step, arrivals: step.arrivals.slice(1) })),
  lapicsOfFewer: (observation) => ({ ...observation, lapics: observation.lapics.slice(1) }),
  lapicsOfEarlierStep: (observation) => {
    const earlier = observation.steps[1]?.lapics ?? null;
    if (earlier === null || earlier.every((lapic, vcpu) => isSame(lapic, observation.lapics[vcpu]!))) return null;
    return { ...observation, lapics: earlier };
  },
  stepLapicsOfFewer: inStep((step) => (step.lapics === null ? null : { ...step, lapics: step.lapics.slice(1) })),
  memory: (observation) => ({
    ...observation,
    memory: [{ gpa: arenaStart, before: Buffer.of(0), after: Buffer.of(1) }],
  }),
  lostMemory: (observation) => (observation.memory.length === 0 ? null : { ...observation, memory: [] }),
  memoryValue: inMemory(({ after, ...change }) => ({ ...change, after: Buffer.from(after.map((byte) => byte ^ 1)) })),
  memoryPlace: inMemory(({ gpa, ...change }) => ({ ...change, gpa: gpa + 8n })),
  stopped: (observation) => ({ ...observation, stopped: 'KVM_EXIT_SHUTDOWN' }),
  stoppedEarly: (observation, { step }) => ({
    ...observation,
    steps: observation.steps.slice(0, step % observation.steps.length),
    lapics: [],
    stopped: 'KVM_EXIT_SHUTDOWN',
  }),
  fewerSteps: (observation) => ({ ...observation, steps: observation.steps.slice(1) }),
  moreSteps: (observation) => ({ ...observation, steps: [...observation.steps, observation.steps[0]!] }),
  ...Object.fromEntries(
    Object.entries(lapicFlips).flatMap(([name, change]): [string, Perturbation][] => [
      [
        `${name}AtEnd`,
        (observation, { vcpu, bit }) => ({
          ...observation,
          lapics: replace(observation.lapics, vcpu, (lapic) => change(lapic, bit * 4)),
        }),
      ],
      [
        `${name}AfterStep`,
        inStep((step, { vcpu, bit }) =>
          step.lapics === null
            ? null
            : { ...step, lapics: replace(step.lapics, vcpu, (lapic) => change(lapic, bit * 4)) },
        ),
      ],
    ]),
  ),
};

function inStep(change: (step: StepObservation, place: Place) => StepObservation | null): Perturbation {
  return (observation, place) => {
    const at = place.step % observation.steps.length;
    const changed = change(observation.steps[at]!, place);
    return changed === null ? null : { ...observation, steps: observation.steps.with(at, changed) };
  };
}

function isSame(one: LapicChanges, other: LapicChanges): boolean {
  return one.size === other.size && [...one].every(([offset, value]) => other.get(offset) === value);
}

function inMemory(change: (word: MemoryChange) => MemoryChange): Perturbation {
  return (observation, { bit }) => {
    if (observation.memory.length === 0) return null;
    return { ...observation, memory: replace(observation.memory, bit, change) };
  };
}

function inArrivals(change: (vectors: readonly number[]) => readonly number[] | null): Perturbation {
  return inStep((step, { vcpu }) => {
    const at = vcpu % step.arrivals.length;
    const changed = change(step.arrivals[at]!);
    return changed === null ? null : { ...step, arrivals: step.arrivals.with(at, changed) };
  });
}

function replace<T>(list: readonly T[], at: number, change: (member: T) => T): T[] {
  const index = at % list.length;
  return list.with(index, change(list[index]!));
}
