/**
 * How a case shrinks: the one description that every case fits, drawn or saved. Steps go first, then vCPUs, then each
 * field falls back to its default. Senders and targets name vCPUs and not numbers, so that they follow when a vCPU
 * goes away or gets a simpler VP index. Remarks are dropped.
 */
import fc from 'fast-check';
import { bankCountMax, controlWord, HV_IPI_HIGH_VECTOR, HV_IPI_LOW_VECTOR, vpsPerBank } from '../src/abi/hypercall.ts';
import { fieldOf, maxOf } from '../src/abi/layout.ts';
import {
  type ActStep,
  type CallStep,
  type Case,
  type Machine,
  makeCase,
  makeStep,
  type Step,
  type VcpuSetup,
} from '../src/case/case.ts';
import { isAllowedGpa, isCall } from '../src/case/checks.ts';
import {
  actKinds,
  apicChanges,
  apicStates,
  callModes,
  caseLimits,
  caseMsrs,
  cpuidFeatures,
  eoiKinds,
  idleKinds,
  irqchips,
  opcodes,
  registerWays,
  sintCount,
  waitPoints,
} from '../src/case/limits.ts';
import { ramEnd } from '../src/case/memory.ts';
import { caseSchemaName, defaultGuestOsId, defaultRax } from '../src/case/schema.ts';
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

/** A step that is no call; of the fields of its kind it has those that it needs, and `vcpu` is a name. */
interface ChangeShape {
  readonly change: Exclude<Step['do'], CallStep['do']>;
  readonly vcpu: number;
  readonly msr: (typeof caseMsrs)[number];
  readonly value: bigint;
  readonly apic: (typeof apicChanges)[number];
  readonly act: Omit<ActStep, 'do' | 'vcpu' | 'note'>;
}

export interface CaseShape {
  readonly steps: readonly (CallShape | ChangeShape)[];
  readonly vcpus: readonly VcpuShape[];
  readonly machine: Omit<Machine, 'vcpus'>;
}

const noNullPrototype = true;
const vcpuName = fc.nat(caseLimits.vcpus - 1);
const bits = listOf(fc.nat(bankCountMax - 1), bankCountMax);
/** Bits that `parseCase` may refuse together with a call code; such a shape is not valid and not proposed. */
const anyControlBits = listOf(fc.nat(controlWord.bits - 1), controlWord.bits);
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
    mode: fc.constantFrom(...callModes),
    cpl: fc.nat(3),
    page: simplestFirst<bigint | null>([null], anyWord),
    opcode: fc.constantFrom(...opcodes),
    rax: simplestFirst([defaultRax], anyWord),
    sender: vcpuName,
    vector: simplestFirst([simplestVector], fc.oneof(legal, fc.nat(Number(maxOf(31))), fc.nat(Number(maxOf(32))))),
  },
  { noNullPrototype },
);

const someVectors = listOf(legal, HV_IPI_HIGH_VECTOR - HV_IPI_LOW_VECTOR + 1);

const anyAct: fc.Arbitrary<ChangeShape['act']> = fc.record(
  {
    act: fc.constantFrom(...actKinds),
    by: fc.constantFrom(...registerWays),
    tpr: fc.nat(15),
    open: fc.boolean(),
    at: fc.constantFrom(...waitPoints),
  },
  { noNullPrototype },
);

const anyChange: fc.Arbitrary<ChangeShape> = fc.record(
  {
    change: fc.constantFrom<ChangeShape['change'][]>('run', 'act', 'set-apic', 'write-msr', 'init'),
    vcpu: vcpuName,
    msr: fc.constantFrom(...caseMsrs),
    value: anyWord,
    apic: fc.constantFrom(...apicChanges),
    act: anyAct,
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
const simplestCall = callToShape(makeStep({ do: 'send-ipi', vector: simplestVector }), []);

/** All cases, simplest forms first: one vCPU whose VP index is its position, slow calls, vector 0xfe, no targets. */
export const caseShape: fc.Arbitrary<CaseShape> = fc.record(
  {
    steps: listOf<CallShape | ChangeShape>(fc.oneof(anyChange, anyCall), caseLimits.steps),
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
  const shapeSteps = (known: readonly number[]) =>
    steps.map((step) => (isCall(step) ? callToShape(step, known) : changeToShape(step)));
  return [
    { steps: shapeSteps(effectiveVpIndexes(machine)), vcpus, machine: rest },
    { steps: shapeSteps([]), vcpus, machine: rest },
  ];
}

function vcpuToShape({ vpIndex, ...rest }: VcpuSetup, position: number): VcpuShape {
  return { ...rest, name: position, index: vpIndex === position ? null : vpIndex };
}

/**
 * The same step by step instead of concurrent, with all VP indexes in order, and with the first sender in front: changes of
 * several vCPUs at once.
 */
export function leapsFrom({ steps, vcpus, machine }: CaseShape): CaseShape[] {
  const call = steps.find((step): step is CallShape => 'isEx' in step);
  const isFirst = ({ name }: VcpuShape) => name === call?.sender;
  const ordered = vcpus.map((vcpu) => (vcpu.idle === 'spinning' ? { ...vcpu, idle: 'parked' as const } : vcpu));
  return [
    ...(machine.schedule === null ? [] : [{ steps, machine: { ...machine, schedule: null }, vcpus: ordered }]),
    { steps, machine, vcpus: vcpus.map((vcpu) => ({ ...vcpu, index: null })) },
    { steps, machine, vcpus: [...vcpus.filter(isFirst), ...vcpus.filter((other) => !isFirst(other))] },
  ];
}

function fieldNumber(name: 'variableHeaderSize' | 'repCount' | 'repStartIndex'): fc.Arbitrary<number> {
  return fc.nat(Number(maxOf(fieldOf(controlWord, name).bits)));
}

/** A machine without vCPUs stands for the simplest vCPU, and no steps for the simplest call. */
export function shapeToCase(shape: CaseShape): Case {
  const vcpus = shape.vcpus.length === 0 ? [simplestVcpu] : shape.vcpus;
  const steps = shape.steps.length === 0 ? [simplestCall] : shape.steps;
  const machine: Machine = { ...shape.machine, vcpus: vcpus.map(shapeToVcpu) };
  const names = vcpus.map(({ name }) => name);
  const vpIndexes = effectiveVpIndexes(machine);
  const toStep = (step: CallShape | ChangeShape): Step =>
    'isEx' in step ? shapeToCall(step, names, vpIndexes) : shapeToChange(step, names);
  return { schema: caseSchemaName, why: '', origin: null, machine, steps: steps.map(toStep) };
}

function shapeToVcpu({ index, name: _name, irr, isr, autoEoi, ...rest }: VcpuShape, position: number): VcpuSetup {
  const lists = { irr: ascending(irr), isr: ascending(isr), autoEoi: ascending(autoEoi) };
  return { vpIndex: index ?? position, ...rest, ...lists };
}

/** Position of a vCPU by its name; when it has gone, another one. */
function positionOf(name: number, names: readonly number[]): number {
  const position = names.indexOf(name);
  return position === -1 ? name % names.length : position;
}

function shapeToChange({ change, vcpu: name, msr, value, apic, act }: ChangeShape, names: readonly number[]): Step {
  const vcpu = positionOf(name, names);
  const note = '';
  switch (change) {
    case 'run':
      return { do: change, note };
    case 'act':
      return { do: change, vcpu, ...act, note };
    case 'write-msr':
      return { do: change, vcpu, msr, value, note };
    case 'set-apic':
      return { do: change, vcpu, apic, note };
    case 'init':
      return { do: change, vcpu, note };
  }
}

const plainAct: ChangeShape['act'] = { act: 'take', by: 'hv-msr', tpr: 0, open: false, at: 'open' };

function changeToShape(step: Exclude<Step, CallStep>): ChangeShape {
  const plain = { vcpu: 0, msr: 'guest-os-id', value: 0n, apic: 'enabled', act: plainAct } as const;
  if (step.do === 'act') {
    const { note: _, do: change, vcpu, ...act } = step;
    return { ...plain, change, vcpu, act };
  }
  const { note: _, do: change, ...fields } = step;
  return { ...plain, change, ...fields };
}

function shapeToCall(shape: CallShape, names: readonly number[], vpIndexes: readonly number[]): CallStep {
  const { isEx, targets, format, emptyBanks, maskFlips, sender, gpa, controlBits, ...rest } = shape;
  const numbers = ascending(
    targets.map(({ vcpu: name, bank, bit }) => vpIndexes[names.indexOf(name)] ?? bank * vpsPerBank + bit),
  );
  const common = {
    ...rest,
    sender: positionOf(sender, names),
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
