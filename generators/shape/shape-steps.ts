/**
 * How a step shrinks: the one description that every step fits. vCPUs have names, the positions that they had at first,
 * so that senders and targets follow when a vCPU goes away or gets a simpler VP index.
 */
import fc from 'fast-check';
import {
  bankCountMax,
  controlWord,
  HV_IPI_HIGH_VECTOR,
  HV_IPI_LOW_VECTOR,
  vpsPerBank,
} from '../../src/abi/hypercall.ts';
import { fieldOf, maxOf } from '../../src/abi/layout.ts';
import { type ActStep, type CallStep, makeStep, type Step } from '../../src/case/case.ts';
import {
  actKinds,
  apicChanges,
  callModes,
  caseLimits,
  caseMsrs,
  opcodes,
  registerWays,
  waitPoints,
} from '../../src/case/limits.ts';
import { anyWord, ascending, simplestVector } from '../integers.ts';
import { listOf } from '../list.ts';
import { settled } from '../machine/settled.ts';
import { simplestFirst } from './simplest.ts';
import { isAllowedGpa, ramEnd } from '../../src/case/memory.ts';
import { defaultRax } from '../../src/case/steps/call.ts';
import { isCall } from '../../src/case/steps/kinds.ts';

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

export type StepShape = CallShape | ChangeShape;

const noNullPrototype = true;
/** Position that a vCPU had at first. */
export const vcpuName = fc.nat(caseLimits.vcpus - 1);
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
export const legal = fc.integer({ min: HV_IPI_LOW_VECTOR, max: HV_IPI_HIGH_VECTOR });

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

const plainAct: ChangeShape['act'] = { act: 'take', by: 'hv-msr', tpr: 0, open: false, at: 'open' };
const plainFields = { vcpu: 0, msr: 'guest-os-id', value: 0n, apic: 'enabled', act: plainAct } as const;

/** The fields that each kind of change reads. */
const fieldsRead: Readonly<Record<ChangeShape['change'], readonly (keyof typeof plainFields)[]>> = {
  run: [],
  act: ['vcpu', 'act'],
  'write-msr': ['vcpu', 'msr', 'value'],
  'set-apic': ['vcpu', 'apic'],
  init: ['vcpu'],
};

/** All steps. */
export const anyStep: fc.Arbitrary<StepShape> = fc.oneof(
  settled(anyChange, withoutUnread),
  settled(anyCall, withoutUnsaid),
);

/** A change whose kind became another one does not keep the fields of the former. */
function withoutUnread(shape: ChangeShape): ChangeShape {
  const read = fieldsRead[shape.change];
  const stale = Object.entries(plainFields).filter(([name, plain]) => {
    const field = name as keyof typeof plainFields;
    return !read.includes(field) && shape[field] !== plain;
  });
  return stale.length === 0 ? shape : { ...shape, ...Object.fromEntries(stale) };
}

/** A call that became one of the older form does not keep what only the newer one can say. */
function withoutUnsaid(shape: CallShape): CallShape {
  if (shape.isEx) return shape;
  const { format, emptyBanks, maskFlips } = shape;
  const targets = shape.targets.filter(({ vcpu, bank }) => vcpu !== -1 || bank === 0);
  const isSaid = targets.length === shape.targets.length && emptyBanks.length + maskFlips.length === 0;
  return isSaid && format === 0n ? shape : { ...shape, targets, format: 0n, emptyBanks: [], maskFlips: [] };
}

/** The simplest step there is: a call. */
export const simplestStep: StepShape = callToShape(makeStep({ do: 'send-ipi', vector: simplestVector }), []);

/** The shape of a step; targets that are VP indexes of `known` follow the vCPUs at these positions. */
export function stepToShape(step: Step, known: readonly number[]): StepShape {
  return isCall(step) ? callToShape(step, known) : changeToShape(step);
}

/** The step of a shape, in a machine whose vCPUs have these names and these VP indexes. */
export function shapeToStep(shape: StepShape, names: readonly number[], vpIndexes: readonly number[]): Step {
  return 'isEx' in shape ? shapeToCall(shape, names, vpIndexes) : shapeToChange(shape, names);
}

function fieldNumber(name: 'variableHeaderSize' | 'repCount' | 'repStartIndex'): fc.Arbitrary<number> {
  return fc.nat(Number(maxOf(fieldOf(controlWord, name).bits)));
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

function changeToShape(step: Exclude<Step, CallStep>): ChangeShape {
  if (step.do === 'act') {
    const { note: _, do: change, vcpu, ...act } = step;
    return { ...plainFields, change, vcpu, act };
  }
  const { note: _, do: change, ...fields } = step;
  return { ...plainFields, change, ...fields };
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
