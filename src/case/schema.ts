/**
 * The shape of a case: every field with its range and its default. Text forms are JSON numbers, hexadecimal texts for
 * what is a bit pattern or an address, "0-3,65" or "0x30,0x40-0x4f" for sets of small numbers, and words.
 */
import { z } from 'zod';
import { bankCountMax, controlWord, vpsPerBank } from '../abi/hypercall.ts';
import { fieldOf, maxOf } from '../abi/layout.ts';
import { parseList } from './cpulist.ts';
import { repeatVcpu } from './like-vcpus.ts';
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
  waitPoints,
} from './limits.ts';

export const caseSchemaName = 'hvipi/case/1';

/** GUEST_OS_ID of a Linux guest; any value but 0 turns on the Hyper-V interface (kvm_hv_hypercall_enabled). */
export const defaultGuestOsId = 0x8100_0000_0000_0000n;
/** RAX of a 64-bit caller, and the upper half of EAX's register in compatibility mode, when nothing else is asked for. */
export const defaultRax = 0xa5c3_e100_5a3c_1e00n;

const hexPattern = /^0x[0-9a-f]{1,16}$/i;
const u64 = z.string().regex(hexPattern, 'not a hexadecimal number of up to 64 bits, like "0x1f"').transform(BigInt);
const hexNumber = (bits: number) =>
  u64.refine((value) => value <= maxOf(bits), `does not fit in ${bits} bits`).transform(Number);
/** A vector as people write it: 254, "254" or "0xfe". */
const vectorNumber = z
  .union(
    [
      z.number().int().min(0),
      z
        .string()
        .regex(/^(?:0x[0-9a-f]{1,16}|\d{1,10})$/i)
        .transform(Number),
    ],
    {
      error: 'not a vector, like "0xfe" or 254',
    },
  )
  .refine((value) => value <= Number(maxOf(32)), 'does not fit in 32 bits');
const list = (limit: number) =>
  z.string().transform((text, context): number[] => {
    try {
      return parseList(text, limit);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  });
/** Words of a vocabulary, separated by spaces; kept in the vocabulary's order. */
const words = <Word extends string>(vocabulary: readonly Word[]) =>
  z.string().transform((text, context): Word[] => {
    const given = text.split(' ').filter((word) => word !== '');
    const strange = given.find((word) => !vocabulary.some((known) => known === word));
    if (strange === undefined) return vocabulary.filter((word) => given.includes(word));
    context.addIssue({ code: 'custom', message: `"${strange}" is none of ${vocabulary.join(', ')}` });
    return z.NEVER;
  });
const fieldNumber = (name: 'variableHeaderSize' | 'repCount' | 'repStartIndex') =>
  z
    .number()
    .int()
    .min(0)
    .max(Number(maxOf(fieldOf(controlWord, name).bits)));
const vcpuPosition = z.number().int().min(0);
const note = z.string().max(200).default('');

export const vcpuSchema = z.strictObject({
  /** Value that the host writes to HV_X64_MSR_VP_INDEX. */
  vpIndex: z.number().int().min(0).max(caseLimits.vpIndex),
  apic: z.enum(apicStates).default('x2apic'),
  eoi: z.enum(eoiKinds).default('hv-msr'),
  idle: z.enum(idleKinds).default('parked'),
  /** Argument of KVM_CREATE_VCPU, and so the APIC ID; null is the vCPU's position. */
  vcpuId: z.number().int().min(0).max(caseLimits.vcpuId).nullable().default(null),
  /** What its CPUID does not have. */
  lacks: words(cpuidFeatures).default([]),
  /** KVM_CAP_HYPERV_ENFORCE_CPUID: what CPUID lacks is refused. */
  enforced: z.boolean().default(false),
  /** Class of the task priority: bits 7:4 of TPR. */
  tpr: z.number().int().min(0).max(15).default(0),
  /** Vectors that are pending, and in service, when the case starts; lists of vectors take hexadecimals too. */
  irr: list(caseLimits.vector).default([]),
  isr: list(caseLimits.vector).default([]),
  /** Vectors of unmasked SINTs with auto-EOI (KVM_CAP_HYPERV_SYNIC2), one SINT each. */
  autoEoi: list(caseLimits.vector).default([]),
  /** Handlers read PPR from the APIC when they begin; each reading is a VM exit. */
  logsPpr: z.boolean().default(false),
});

/**
 * vCPUs in a case's text: one, or as many alike as `count` says, whose VP indexes, and ids if they are given, ascend from
 * the first one's.
 */
const vcpuEntrySchema = vcpuSchema.extend({ count: z.number().int().min(1).max(caseLimits.vcpus).default(1) });

const callFields = {
  /** Position of the sending vCPU in `machine.vcpus`. */
  sender: vcpuPosition.default(0),
  mode: z.enum(callModes).default('long'),
  /** Current privilege level of the caller. */
  cpl: z.number().int().min(0).max(3).default(0),
  /** Address of the hypercall page through which the call goes; null is a bare instruction. */
  page: u64.nullable().default(null),
  opcode: z.enum(opcodes).default('native'),
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

export const sendIpiSchema = z.strictObject({
  do: z.literal('send-ipi'),
  ...callFields,
  /** VP indexes whose bit is set in the processor mask. */
  targets: list(vpsPerBank).default([]),
});

export const sendIpiExSchema = z.strictObject({
  do: z.literal('send-ipi-ex'),
  ...callFields,
  /** HV_VP_SET format: 0 sparse, 1 all. */
  format: u64.default(0n),
  /** VP indexes whose bits are set; their banks are given and valid. */
  targets: list(caseLimits.vpNumber).default([]),
  /** Banks that are given and valid even without a target. */
  emptyBanks: list(bankCountMax).default([]),
  /** Bits of the valid bank mask that are flipped, so that it disagrees with the banks that are given. */
  maskFlips: list(bankCountMax).default([]),
});

/**
 * The parked vCPUs, in order, open their interrupt window until nothing is pending that they can take. In a concurrent
 * case it is the fence as well: what was sent before has arrived by itself at whoever was halted or spinning.
 */
export const runSchema = z.strictObject({ do: z.literal('run'), note });

/** A parked vCPU does something as a receiver; what it began may go on in later steps. */
export const actSchema = z.strictObject({
  do: z.literal('act'),
  vcpu: vcpuPosition.default(0),
  act: z.enum(actKinds),
  /** Of `set-tpr` and `eoi`: the way to the register. */
  by: z.enum(registerWays).default('hv-msr'),
  /** Of `set-tpr`: class of the task priority, bits 7:4 of TPR. */
  tpr: z.number().int().min(0).max(15).default(0),
  /** Of `set-tpr` and `eoi`: whether interrupts are on meanwhile. */
  open: z.boolean().default(false),
  /** Of `wait`: where. */
  at: z.enum(waitPoints).default('open'),
  note,
});

/** The host writes an MSR of a vCPU; KVM may refuse the value. */
export const writeMsrSchema = z.strictObject({
  do: z.literal('write-msr'),
  vcpu: vcpuPosition.default(0),
  msr: z.enum(caseMsrs),
  value: u64,
  note,
});

/** The host enables or disables a vCPU's local APIC; what is pending stays. */
export const setApicSchema = z.strictObject({
  do: z.literal('set-apic'),
  vcpu: vcpuPosition.default(0),
  apic: z.enum(apicChanges),
  note,
});

/** A vCPU gets INIT, which resets its local APIC; it sends and runs no more. */
export const initSchema = z.strictObject({ do: z.literal('init'), vcpu: vcpuPosition.default(0), note });

export const stepSchema = z.discriminatedUnion('do', [
  sendIpiSchema,
  sendIpiExSchema,
  runSchema,
  actSchema,
  writeMsrSchema,
  setApicSchema,
  initSchema,
]);

const originSchema = z.strictObject({
  seed: z.string(),
  /** `batch:index` of the generated case that this one was shrunk from. */
  path: z.string(),
  kernel: z.string().optional(),
});

export const machineSchema = z.strictObject({
  irqchip: z.enum(irqchips).default('kernel'),
  /** KVM_XEN_HVM_CONFIG with KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL. */
  xen: z.boolean().default(false),
  /** HV_X64_MSR_GUEST_OS_ID when the case starts. */
  guestOsId: u64.default(defaultGuestOsId),
  /**
   * Makes the case a concurrent one: the calls up to each `run` step are made by their senders at the same time, and this
   * is the seed of who starts first and who waits how long before a call. Null: step by step.
   */
  schedule: z
    .number()
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .nullable()
    .default(null),
  vcpus: z
    .array(vcpuEntrySchema)
    .min(1)
    .max(caseLimits.vcpus)
    .transform((entries) => entries.flatMap(({ count, ...vcpu }) => repeatVcpu(vcpu, count)))
    .refine(({ length }) => length <= caseLimits.vcpus, `more than ${caseLimits.vcpus} vCPUs`)
    .refine(
      (vcpus) => vcpus.every(({ vpIndex }) => vpIndex <= caseLimits.vpIndex),
      `a VP index is above ${caseLimits.vpIndex}`,
    )
    .refine(
      (vcpus) => vcpus.every(({ vcpuId }) => (vcpuId ?? 0) <= caseLimits.vcpuId),
      `a vcpuId is above ${caseLimits.vcpuId}`,
    ),
});

export const caseSchema = z.strictObject({
  schema: z.literal(caseSchemaName),
  why: z.string().max(1000).default(''),
  origin: originSchema.nullable().default(null),
  machine: machineSchema,
  steps: z.array(stepSchema).min(1).max(caseLimits.steps),
});

export type Case = z.output<typeof caseSchema>;
export type Machine = Case['machine'];
export type VcpuSetup = Machine['vcpus'][number];
export type Step = Case['steps'][number];
export type SendIpiStep = Extract<Step, { do: 'send-ipi' }>;
export type SendIpiExStep = Extract<Step, { do: 'send-ipi-ex' }>;
export type ActStep = Extract<Step, { do: 'act' }>;
export type CallStep = SendIpiStep | SendIpiExStep;
