/**
 * How a case shrinks: the one description that every case fits, drawn or saved. Steps go first, then vCPUs, then each
 * field falls back to its default. Senders and targets name vCPUs and not numbers, so that they follow when a vCPU
 * goes away or gets a simpler VP index. Remarks are dropped.
 */
import fc from 'fast-check';
import { bankCountMax, controlWord, HV_IPI_HIGH_VECTOR, HV_IPI_LOW_VECTOR, vpsPerBank } from '../src/abi/hypercall.ts';
import { fieldOf, maxOf } from '../src/abi/layout.ts';
import {
  type CallStep,
  type Case,
  caseSchemaName,
  isAllowedGpa,
  makeStep,
  type Step,
  type VcpuSetup,
} from '../src/case/case.ts';
import { apicStates, caseLimits, eoiKinds, idleKinds, strayCodeBits } from '../src/case/limits.ts';
import { ramEnd } from '../src/case/memory.ts';
import { anyWord, ascending, simplestVector } from './integers.ts';
import { effectiveVpIndexes } from './machine.ts';
import { listOf } from './list.ts';
import { simplestFirst } from './simplest.ts';

/** A vCPU, with the position it had at first as its name; index null is the position it has now. */
type VcpuShape = Omit<VcpuSetup, 'vpIndex'> & { readonly name: number; readonly index: number | null };

/** A target: the VP of the vCPU of that name, or, when there is none (-1, or it has gone), a bit of a bank. */
interface TargetShape {
  readonly vcpu: number;
  readonly bank: number;
  readonly bit: number;
}

type CallShape = Omit<CallStep, 'do' | 'targets' | 'note'> & {
  readonly isEx: boolean;
  readonly targets: readonly TargetShape[];
  readonly format: bigint;
  readonly emptyBanks: readonly number[];
  readonly maskFlips: readonly number[];
};

export interface CaseShape {
  readonly steps: readonly (CallShape | 'run')[];
  readonly vcpus: readonly VcpuShape[];
}

const noNullPrototype = true;
const vcpuName = fc.nat(caseLimits.vcpus - 1);
const bits = listOf(fc.nat(bankCountMax - 1), bankCountMax);
/** Bits that `parseCase` accepts: none that turns the call into another that KVM knows. */
const anyControlBits = listOf(
  fc.integer({ min: strayCodeBits[0], max: controlWord.bits - 1 }).filter((bit) => bit !== 15 && bit !== 16),
  controlWord.bits,
).filter((numbers) => numbers.filter((bit) => bit < 16).length <= 1);
const anyTarget: fc.Arbitrary<TargetShape> = fc.record(
  {
    vcpu: fc.integer({ min: -1, max: caseLimits.vcpus - 1 }),
    bit: fc.nat(vpsPerBank - 1),
    bank: fc.nat(bankCountMax - 1),
  },
  { noNullPrototype },
);
const legal = fc.integer({ min: HV_IPI_LOW_VECTOR, max: HV_IPI_HIGH_VECTOR });

const anyCall: fc.Arbitrary<CallShape> = fc.record(
  {
    isEx: fc.boolean(),
    fast: fc.boolean(),
    targets: listOf(anyTarget, caseLimits.vpNumber),
    emptyBanks: bits,
    maskFlips: bits,
    format: simplestFirst([0n, 1n, 2n], anyWord),
    variableHeader: simplestFirst<number | null>([null, 0, 1], fieldNumber('variableHeaderSize')),
    repCount: fieldNumber('repCount'),
    repStart: fieldNumber('repStartIndex'),
    controlBits: anyControlBits,
    gpa: simplestFirst<bigint | null>([null, ramEnd], anyWord),
    outputGpa: anyWord,
    tail: simplestFirst([maxOf(64), 0n], anyWord),
    targetVtl: fc.nat(Number(maxOf(8))),
    padding: fc.nat(Number(maxOf(24))),
    sender: vcpuName,
    vector: simplestFirst([simplestVector], fc.oneof(legal, fc.nat(Number(maxOf(31))), fc.nat(Number(maxOf(32))))),
  },
  { noNullPrototype },
);

const anyVcpu: fc.Arbitrary<VcpuShape> = fc.record(
  {
    name: fc.noShrink(vcpuName),
    index: simplestFirst<number | null>([null], fc.nat(caseLimits.vpIndex)),
    apic: fc.constantFrom(...apicStates),
    eoi: fc.constantFrom(...eoiKinds),
    idle: fc.constantFrom(...idleKinds),
  },
  { noNullPrototype },
);

const simplestVcpu: VcpuShape = { name: 0, index: null, apic: 'x2apic', eoi: 'hv-msr', idle: 'parked' };
const simplestCall = callToShape(makeStep({ do: 'send-ipi', vector: simplestVector }), []);

/** All cases, simplest forms first: one vCPU whose VP index is its position, slow calls, vector 0xfe, no targets. */
export const caseShape: fc.Arbitrary<CaseShape> = fc.record(
  {
    steps: listOf(fc.oneof(fc.constant('run' as const), anyCall), caseLimits.steps),
    vcpus: listOf(anyVcpu, caseLimits.vcpus),
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
  const vcpus = machine.vcpus.map(({ vpIndex, ...rest }, position) => ({
    ...rest,
    name: position,
    index: vpIndex === position ? null : vpIndex,
  }));
  const shapeSteps = (known: readonly number[]) =>
    steps.map((step) => (step.do === 'run' ? 'run' : callToShape(step, known)));
  return [
    { steps: shapeSteps(effectiveVpIndexes(machine)), vcpus },
    { steps: shapeSteps([]), vcpus },
  ];
}

/** The same with all VP indexes in order, and with the first sender in front: changes of several vCPUs at once. */
export function leapsFrom({ steps, vcpus }: CaseShape): CaseShape[] {
  const call = steps.find((step) => step !== 'run');
  const isFirst = ({ name }: VcpuShape) => name === call?.sender;
  return [
    { steps, vcpus: vcpus.map((vcpu) => ({ ...vcpu, index: null })) },
    { steps, vcpus: [...vcpus.filter(isFirst), ...vcpus.filter((other) => !isFirst(other))] },
  ];
}

function fieldNumber(name: 'variableHeaderSize' | 'repCount' | 'repStartIndex'): fc.Arbitrary<number> {
  return fc.nat(Number(maxOf(fieldOf(controlWord, name).bits)));
}

/** A machine without vCPUs stands for the simplest vCPU, and no steps for the simplest call. */
export function shapeToCase(shape: CaseShape): Case {
  const vcpus = shape.vcpus.length === 0 ? [simplestVcpu] : shape.vcpus;
  const steps = shape.steps.length === 0 ? [simplestCall] : shape.steps;
  const machine = {
    vcpus: vcpus.map(({ index, apic, eoi, idle }, position) => ({ vpIndex: index ?? position, apic, eoi, idle })),
  };
  const names = vcpus.map(({ name }) => name);
  const vpIndexes = effectiveVpIndexes(machine);
  const toStep = (step: CallShape | 'run'): Step =>
    step === 'run' ? { do: 'run', note: '' } : shapeToCall(step, names, vpIndexes);
  return { schema: caseSchemaName, why: '', origin: null, machine, steps: steps.map(toStep) };
}

function shapeToCall(shape: CallShape, names: readonly number[], vpIndexes: readonly number[]): CallStep {
  const { isEx, targets, format, emptyBanks, maskFlips, sender, gpa, controlBits, ...rest } = shape;
  const numbers = ascending(
    targets.map(({ vcpu: name, bank, bit }) => vpIndexes[names.indexOf(name)] ?? bank * vpsPerBank + bit),
  );
  const senderPosition = names.indexOf(sender);
  const common = {
    ...rest,
    sender: senderPosition === -1 ? sender % names.length : senderPosition,
    gpa: gpa !== null && isAllowedGpa(gpa) ? gpa : null,
    controlBits: ascending(controlBits),
    note: '',
  };
  if (!isEx) return { do: 'send-ipi', ...common, targets: numbers.filter((vp) => vp < vpsPerBank) };
  const set = { format, targets: numbers, emptyBanks: ascending(emptyBanks), maskFlips: ascending(maskFlips) };
  return { do: 'send-ipi-ex', ...common, ...set };
}

function callToShape(step: CallStep, vpIndexes: readonly number[]): CallShape {
  const { do: _, note: __, targets, ...rest } = step;
  const set = step.do === 'send-ipi-ex' ? {} : { format: 0n, emptyBanks: [], maskFlips: [] };
  return {
    ...(rest as Omit<CallShape, 'isEx' | 'targets'>),
    ...set,
    isEx: step.do === 'send-ipi-ex',
    targets: targets.map((vp) => ({ vcpu: vpIndexes.indexOf(vp), bank: vp >> 6, bit: vp & 63 })),
  };
}
