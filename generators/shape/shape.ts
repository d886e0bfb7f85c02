/**
 * How a case shrinks: the one description that every case fits, drawn or saved. Steps go first, then vCPUs, then each
 * field falls back to its default. Senders and targets name vCPUs and not numbers, so that they follow when a vCPU
 * goes away or gets a simpler VP index. Remarks are dropped.
 */
import fc from 'fast-check';
import { HV_IPI_HIGH_VECTOR, HV_IPI_LOW_VECTOR } from '../../src/abi/hypercall.ts';
import { type Case, type Machine, makeCase, type VcpuSetup } from '../../src/case/case.ts';
import {
  apicStates,
  caseLimits,
  cpuidFeatures,
  eoiKinds,
  idleKinds,
  irqchips,
  sintCount,
} from '../../src/case/limits.ts';
import { anyWord, ascending } from '../integers.ts';
import { effectiveVpIndexes } from '../machine/machine.ts';
import { listOf } from '../list.ts';
import { anyStep, legal, shapeToStep, simplestStep, type StepShape, stepToShape, vcpuName } from './shape-steps.ts';
import { simplestFirst } from './simplest.ts';
import { defaultGuestOsId } from '../../src/case/machine.ts';
import { caseSchemaName } from '../../src/case/schema.ts';

/** A vCPU, with the position it had at first as its name; index null is the position it has now. */
type VcpuShape = Omit<VcpuSetup, 'vpIndex'> & { readonly name: number; readonly index: number | null };

export interface CaseShape {
  readonly steps: readonly StepShape[];
  readonly vcpus: readonly VcpuShape[];
  readonly machine: Omit<Machine, 'vcpus'>;
}

const noNullPrototype = true;
const someVectors = listOf(legal, HV_IPI_HIGH_VECTOR - HV_IPI_LOW_VECTOR + 1);

const anyVcpu: fc.Arbitrary<VcpuShape> = fc.record(
  {
    name: fc.noShrink(vcpuName),
    index: simplestFirst<number | null>([null], fc.nat(caseLimits.vpIndex)),
    apic: fc.constantFrom(...apicStates),
    eoi: fc.constantFrom(...eoiKinds),
    idle: fc.constantFrom(...idleKinds),
    vcpuId: simplestFirst<number | null>([null], fc.nat(caseLimits.vcpuId)),
    lacks: fc.subarray([...cpuidFeatures]),
    enforced: fc.boolean(),
    tpr: fc.nat(15),
    irr: someVectors,
    isr: someVectors,
    autoEoi: listOf(legal, sintCount),
    logsPpr: fc.boolean(),
  },
  { noNullPrototype },
);

const simplestVcpu: VcpuShape = vcpuToShape(makeCase([{}], []).machine.vcpus[0]!, 0);

/** All cases, simplest forms first: one vCPU whose VP index is its position, slow calls, vector 0xfe, no targets. */
export const caseShape: fc.Arbitrary<CaseShape> = fc.record(
  {
    steps: listOf(anyStep, caseLimits.steps),
    vcpus: listOf(anyVcpu, caseLimits.vcpus),
    machine: fc.record(
      {
        // `constantFrom` shrinks to its first value alone.
        irqchip: simplestFirst<Machine['irqchip']>(irqchips.slice(0, -1), fc.constantFrom(irqchips.at(-1)!)),
        xen: fc.boolean(),
        guestOsId: simplestFirst([defaultGuestOsId, 0n], anyWord),
        schedule: simplestFirst<number | null>([null, 0, 1, 2, 3], fc.nat(2 ** 32 - 1)),
      },
      { noNullPrototype },
    ),
  },
  { noNullPrototype },
);

/**
 * The shapes of a case: with targets that follow their vCPUs, and with targets that stay where they are.
 *
 * @throws TypeError when the value is no case.
 */
export function shapesOf(value: unknown): CaseShape[] {
  const { machine, steps } = value as Case;
  const { vcpus: setups, ...rest } = machine;
  const vcpus = setups.map(vcpuToShape);
  const shapeSteps = (known: readonly number[]) => steps.map((step) => stepToShape(step, known));
  return [
    { steps: shapeSteps(effectiveVpIndexes(machine)), vcpus, machine: rest },
    { steps: shapeSteps([]), vcpus, machine: rest },
  ];
}

function vcpuToShape({ vpIndex, ...rest }: VcpuSetup, position: number): VcpuShape {
  return { ...rest, name: position, index: vpIndex === position ? null : vpIndex };
}

/**
 * The same step by step instead of concurrent, with all VP indexes in order, with no vCPU ids of their own (two that changed
 * places cannot go one by one), and with the first sender in front: changes of several vCPUs at once.
 */
export function leapsFrom({ steps, vcpus, machine }: CaseShape): CaseShape[] {
  const call = steps.find((step) => 'isEx' in step);
  const isFirst = ({ name }: VcpuShape) => name === call?.sender;
  const ordered = vcpus.map((vcpu) => (vcpu.idle === 'spinning' ? { ...vcpu, idle: 'parked' as const } : vcpu));
  return [
    ...(machine.schedule === null ? [] : [{ steps, machine: { ...machine, schedule: null }, vcpus: ordered }]),
    { steps, machine, vcpus: vcpus.map((vcpu) => ({ ...vcpu, index: null })) },
    { steps, machine, vcpus: vcpus.map((vcpu) => ({ ...vcpu, vcpuId: null })) },
    { steps, machine, vcpus: [...vcpus.filter(isFirst), ...vcpus.filter((other) => !isFirst(other))] },
  ];
}

/** A machine without vCPUs stands for the simplest vCPU, and no steps for the simplest call. */
export function shapeToCase(shape: CaseShape): Case {
  const vcpus = shape.vcpus.length === 0 ? [simplestVcpu] : shape.vcpus;
  const steps = shape.steps.length === 0 ? [simplestStep] : shape.steps;
  const machine: Machine = { ...shape.machine, vcpus: vcpus.map(shapeToVcpu) };
  const names = vcpus.map(({ name }) => name);
  const vpIndexes = effectiveVpIndexes(machine);
  const toStep = (step: StepShape) => shapeToStep(step, names, vpIndexes);
  return { schema: caseSchemaName, why: '', origin: null, machine, steps: steps.map(toStep) };
}

function shapeToVcpu({ index, name: _name, irr, isr, autoEoi, ...rest }: VcpuShape, position: number): VcpuSetup {
  const lists = { irr: ascending(irr), isr: ascending(isr), autoEoi: ascending(autoEoi) };
  return { vpIndex: index ?? position, ...rest, ...lists };
}
