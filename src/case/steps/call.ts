/** What both hypercalls have as steps: their fields, what is wrong with them, how they read. */
import { z } from 'zod';
import { extendedCallBit, HVCALL_SEND_IPI, HVCALL_SEND_IPI_EX } from '../../abi/hypercall.ts';
import { maxOf } from '../../abi/layout.ts';
import { formatList } from '../cpulist.ts';
import { fieldNumber, hexNumber, list, note, u64, vcpuPosition, vectorNumber } from '../fields.ts';
import type { CaseIssue } from '../issue.ts';
import { fieldsToJson, type DefaultField } from '../json.ts';
import { foreignCallCodes } from '../limits.ts';
import { canRun } from '../machine.ts';
import { arenaStart, isAllowedGpa } from '../memory.ts';
import { checkEnvironment, environmentFields, isPlainEnvironment } from './environment.ts';
import { hostStep, type StepContext } from './step-kind.ts';

/** RAX of a 64-bit caller, and the upper half of EAX's register in compatibility mode, when nothing else is asked for. */
export const defaultRax = 0xa5c3_e100_5a3c_1e00n;

export const callFields = {
  /** Position of the sending vCPU in `machine.vcpus`. */
  sender: vcpuPosition.default(0),
  ...environmentFields,
  /** Control word bit 16: parameters in registers. */
  fast: z.boolean().default(false),
  vector: vectorNumber,
  targetVtl: hexNumber(8).default(0),
  /** Bytes 5 to 7 of the input. */
  padding: hexNumber(24).default(0),
  /** Variable header size in 8-byte units; null agrees with the banks that are given. */
  variableHeader: fieldNumber('variableHeaderSize').nullable().default(null),
  repCount: fieldNumber('repCount').default(0),
  repStart: fieldNumber('repStartIndex').default(0),
  /** Numbers of control word bits that are set in addition to everything else. */
  controlBits: list(64).default([]),
  /** Guest physical address of the input block of a slow call; null is a slot of the step's own. */
  gpa: u64.nullable().default(null),
  /** Output address of a slow call: R8. */
  outputGpa: u64.default(0n),
  /** What follows the input, in memory and in XMM registers: this value, over and over. */
  tail: u64.default(maxOf(64)),
  /** RAX of a 64-bit caller, in which neither call has a parameter. */
  rax: u64.default(defaultRax),
  note,
};

type CallName = 'send-ipi' | 'send-ipi-ex';
type CallFields = z.output<z.ZodObject<typeof callFields>> & {
  readonly do: CallName;
  readonly targets: readonly number[];
};

/** What holds for a step of either call. */
export const callKind = {
  ...hostStep,
  actor: 'sender',
  enters: () => true,
  check: checkCall,
  concurrent: { needsOrder: false, check: checkConcurrentCall },
} as const;

/**
 * Whether RAX of a 64-bit caller is no number of a hypercall of KVM's own or of Xen that does something; 11,
 * KVM_HC_SCHED_YIELD, does nothing.
 */
export function isAllowedRax(rax: bigint): boolean {
  return rax === 11n || (rax & 0xffff_ffffn) >= 64n;
}

/** Whether the control bits leave the call code one that KVM answers without doing anything else. */
export function isAllowedCallCode(kind: CallName, controlBits: readonly number[]): boolean {
  const base = kind === 'send-ipi' ? HVCALL_SEND_IPI : HVCALL_SEND_IPI_EX;
  const code = controlBits.reduce((bits, bit) => (bit < 16 ? bits | (1 << bit) : bits), base);
  const other = kind === 'send-ipi' ? HVCALL_SEND_IPI_EX : HVCALL_SEND_IPI;
  return code !== other && !foreignCallCodes.some((foreign) => foreign === code);
}

function* checkCall(step: CallFields, context: StepContext): Generator<CaseIssue> {
  const { machine, initialized, at } = context;
  const { sender } = step;
  yield* checkEnvironment(step, context);
  if (!canRun(machine, sender)) yield at('sender', `vCPU ${sender} is ${machine.vcpus[sender]!.idle} and does not run`);
  if (initialized.has(sender)) yield at('sender', `vCPU ${sender} got INIT and does not run any more`);
  if (!isAllowedCallCode(step.do, step.controlBits)) {
    yield at('controlBits', 'the bits make the call code one of another hypercall that KVM knows');
  }
  if (step.gpa !== null && !isAllowedGpa(step.gpa)) {
    const address = `0x${step.gpa.toString(16)}`;
    yield at(
      'gpa',
      `${address} belongs to the guest program or to the APIC page; use 0x${arenaStart.toString(16)} and up`,
    );
  }
  if (!isAllowedRax(step.rax)) yield at('rax', 'the number of a hypercall of KVM or Xen that does something');
}

/** Whether it is made in the plainest way, and by its own fields stays in the guest. */
export function isPlainCall(step: CallFields): boolean {
  return isPlainEnvironment(step) && !step.controlBits.includes(extendedCallBit);
}

/** A call of a concurrent case needs nothing but its sender's ring, and its sender does nothing else. */
function* checkConcurrentCall(step: CallFields, { machine, at }: StepContext): Generator<CaseIssue> {
  const { gpa } = step;
  if (machine.vcpus[step.sender]!.idle !== 'parked') yield at('sender', 'in a concurrent case only parked vCPUs send');
  if (!isPlainCall(step) || gpa !== null) {
    yield at(
      'mode',
      'concurrent calls are plain: long mode, CPL 0, native, plain rflags, no page, no gpa, no control bit 15',
    );
  }
}

/** Fields that the sentence about a call says in words. */
const saidFields: ReadonlySet<string> = new Set(['do', 'note', 'sender', 'fast', 'vector', 'targets']);

/** A call in a sentence; what is not at its default and not said otherwise follows as in the case's text. */
export function describeCall(
  step: CallFields,
  defaults: readonly DefaultField[],
  { call, form, isAll = false }: { call: string; form: string; isAll?: boolean },
): string {
  const targets = isAll ? 'ALL' : step.targets.length === 0 ? 'nobody' : `VP ${formatList(step.targets)}`;
  const rest = Object.entries(fieldsToJson(step, defaults))
    .filter(([name]) => !saidFields.has(name) && !(isAll && name === 'format'))
    .map(([name, value]) => `${name} ${String(value)}`);
  const vector = `vector 0x${step.vector.toString(16)}`;
  return [`vCPU ${step.sender} calls ${call}`, form, vector, `to ${targets}`, ...rest].join(', ');
}
