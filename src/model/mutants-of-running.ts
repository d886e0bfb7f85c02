/** Mutants of what happens to receivers that sleep or run while others send. */
import { APIC_IRR, vectorBit } from '../abi/lapic.ts';
import { makeCase } from '../case/case.ts';
import { caseLimits } from '../case/limits.ts';
import type { Leftover, StepObservation, VcpuState } from '../program/observation.ts';
import type { Program } from '../program/program.ts';
import * as parts from './mutant-parts.ts';

type Idle = Program['vcpus'][number]['idle'];

/** A call to a vCPU that does something, and a fence. */
const raceTo = (idle: Idle) =>
  makeCase([{ vpIndex: 0 }, { vpIndex: 1, idle }], [parts.sendIpi({ targets: [1] }), parts.run], { schedule: 0 });

export const runningMutants: readonly parts.Mutant[] = [
  {
    name: 'wake-up-dropped',
    description: 'a halted receiver of a concurrent case sleeps on',
    minimal: raceTo('halted'),
    observe: changeFences((step, { vcpus }) => ({ ...step, leftovers: leftoversOf('halted', 'asleep', step, vcpus) })),
  },
  {
    name: 'kick-dropped',
    description: 'a receiver in guest mode goes on until something else makes it exit',
    minimal: raceTo('spinning'),
    observe: changeFences((step, { vcpus }) => ({
      ...step,
      leftovers: leftoversOf('spinning', 'spinning', step, vcpus),
    })),
  },
  {
    name: 'delivers-again-and-again',
    description: 'a halted receiver runs its handlers more often than interrupts were sent',
    minimal: raceTo('halted'),
    observe: changeFences((step, { vcpus }) => ({
      ...step,
      arrivals: step.arrivals.map((vectors, vcpu) => (vcpus[vcpu]!.idle === 'halted' ? tooOften(vectors) : vectors)),
    })),
  },
];

/** Changes what the fences of concurrent programs show. */
function changeFences(
  change: (step: StepObservation, program: Program) => StepObservation,
): NonNullable<parts.Mutant['observe']> {
  return (observation, outcome, program) => ({
    ...observation,
    steps: observation.steps.map((step, index) =>
      outcome.steps[index]!.leeway === null ? step : change(step, program),
    ),
  });
}

/** More often than a case can send anything. */
function tooOften(vectors: readonly number[]): number[] {
  return vectors.flatMap((vector) => Array.from({ length: caseLimits.steps }, () => vector));
}

function leftoversOf(
  idle: Idle,
  wait: Leftover['wait'],
  { arrivals }: StepObservation,
  vcpus: Program['vcpus'],
): Leftover[] {
  return vcpus.flatMap((vcpu, position) => {
    const [vector] = arrivals[position]!;
    if (vcpu.idle !== idle || vector === undefined) return [];
    const { offset, mask } = vectorBit(APIC_IRR, vector);
    const states = vcpus.map((_, other): VcpuState => ({
      mpState: 0,
      registers: Array.from({ length: 18 }, () => 0n),
      lapic: new Map(other === position ? [[offset, mask]] : []),
    }));
    return [{ vcpu: position, wait, states }];
  });
}
