/**
 * A case: a machine and a list of steps, as a plain value. In memory every field is present; in text a field that has
 * its default is left out. `parseCase` is the only way in, `formatCase` the only way out, so equal text is equal value.
 * A malformed hypercall is a well-formed case: mask, banks, variable header and reserved bits are fields of their own.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { bankCountMax, controlWord, vpsPerBank } from '../abi/hypercall.ts';
import { fieldOf, maxOf } from '../abi/layout.ts';
import { formatList, parseList } from './cpulist.ts';
import { APIC_DEFAULT_PHYS_BASE } from '../abi/lapic.ts';
import { apicStates, caseLimits, eoiKinds, idleKinds, strayCodeBits } from './limits.ts';
import { arenaStart } from './memory.ts';

export const caseSchemaName = 'hvipi/case/1';

const hexPattern = /^0x[0-9a-f]{1,16}$/i;
const u64 = z.string().regex(hexPattern, 'not a hexadecimal number of up to 64 bits, like "0x1f"').transform(BigInt);
const hexNumber = (bits: number) =>
  u64.refine((value) => value <= maxOf(bits), `does not fit in ${bits} bits`).transform(Number);
const list = (limit: number) =>
  z.string().transform((text, context): number[] => {
    try {
      return parseList(text, limit);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  });
const fieldNumber = (name: 'variableHeaderSize' | 'repCount' | 'repStartIndex') =>
  z
    .number()
    .int()
    .min(0)
    .max(Number(maxOf(fieldOf(controlWord, name).bits)));
const note = z.string().max(200).default('');

const vcpuSchema = z.strictObject({
  /** Value that the host writes to HV_X64_MSR_VP_INDEX. */
  vpIndex: z.number().int().min(0).max(caseLimits.vpIndex),
  apic: z.enum(apicStates).default('x2apic'),
  eoi: z.enum(eoiKinds).default('hv-msr'),
  idle: z.enum(idleKinds).default('parked'),
});

const callFields = {
  /** Position of the sending vCPU in `machine.vcpus`. */
  sender: z.number().int().min(0).default(0),
  /** Control word bit 16: parameters in registers. */
  fast: z.boolean().default(false),
  vector: hexNumber(32),
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
  note,
};

const sendIpiSchema = z.strictObject({
  do: z.literal('send-ipi'),
  ...callFields,
  /** VP indexes whose bit is set in the processor mask. */
  targets: list(vpsPerBank).default([]),
});

const sendIpiExSchema = z.strictObject({
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

/** The parked vCPUs, in order, open their interrupt window until nothing is pending that they can take. */
const runSchema = z.strictObject({ do: z.literal('run'), note });

const stepSchema = z.discriminatedUnion('do', [sendIpiSchema, sendIpiExSchema, runSchema]);

const originSchema = z.strictObject({
  seed: z.string(),
  /** `batch:index` of the generated case that this one was shrunk from. */
  path: z.string(),
  kernel: z.string().optional(),
});

const caseSchema = z
  .strictObject({
    schema: z.literal(caseSchemaName),
    why: z.string().max(1000).default(''),
    origin: originSchema.nullable().default(null),
    machine: z.strictObject({ vcpus: z.array(vcpuSchema).min(1).max(caseLimits.vcpus) }),
    steps: z.array(stepSchema).min(1).max(caseLimits.steps),
  })
  .superRefine((value, context) => {
    value.steps.forEach((step, index) => {
      if (step.do === 'run') return;
      if (step.sender >= value.machine.vcpus.length) {
        const message = `vCPU ${step.sender} is not in the machine, which has ${value.machine.vcpus.length}`;
        context.addIssue({ code: 'custom', path: ['steps', index, 'sender'], message });
      }
      const codeBits = step.controlBits.filter((bit) => bit < 16);
      if (codeBits.length > 1 || codeBits.some((bit) => !strayCodeBits.some((allowed) => allowed === bit))) {
        const message = `of the call code's bits at most one may be set, of ${strayCodeBits[0]} to ${strayCodeBits.at(-1)}`;
        context.addIssue({ code: 'custom', path: ['steps', index, 'controlBits'], message });
      }
      if (step.gpa !== null && !isAllowedGpa(step.gpa)) {
        const message = `0x${step.gpa.toString(16)} belongs to the guest program or to the APIC page; use 0x${arenaStart.toString(16)} and up`;
        context.addIssue({ code: 'custom', path: ['steps', index, 'gpa'], message });
      }
    });
  });

/**
 * Input blocks may lie anywhere but in the guest program's own memory and at the APIC page, which some hosts back with
 * an internal memslot (semantics.md 1.10, trap 6).
 */
export function isAllowedGpa(gpa: bigint): boolean {
  const blockBytesMax = 0x1000n;
  const nearApicPage = gpa + blockBytesMax > APIC_DEFAULT_PHYS_BASE && gpa < APIC_DEFAULT_PHYS_BASE + 0x1000n;
  return gpa >= arenaStart && !nearApicPage;
}

export type Case = z.output<typeof caseSchema>;
export type Machine = Case['machine'];
export type VcpuSetup = Machine['vcpus'][number];
export type Step = Case['steps'][number];
export type CallStep = Exclude<Step, { do: 'run' }>;
export type SendIpiStep = Extract<Step, { do: 'send-ipi' }>;
export type SendIpiExStep = Extract<Step, { do: 'send-ipi-ex' }>;

/** A case text that cannot be used; the message names the field. */
export class CaseError extends Error {
  override name = 'CaseError';
}

/**
 * Reads a case from JSON text or from a parsed JSON value.
 *
 * @throws CaseError with the path of the first wrong field.
 */
export function parseCase(input: unknown): Case {
  const value = typeof input === 'string' ? parseJson(input) : input;
  const schema = (value as { schema?: unknown } | null)?.schema;
  if (schema !== caseSchemaName) {
    const shown = schema === undefined ? 'is missing' : `is ${JSON.stringify(schema)}`;
    const hint = newerSchema(schema) ? '; a newer hvipi wrote it' : '';
    throw new CaseError(`schema: ${shown}, this hvipi reads "${caseSchemaName}"${hint}`);
  }
  const result = caseSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new CaseError(`${formatPath(issue.path)}: ${issue.message}`);
}

/** The canonical text of a case: fixed key order, defaults left out, a line for each vCPU and each step. */
export function formatCase(value: Case): string {
  const { machine, steps, ...head } = toJson(value);
  const fields = Object.entries(head).map(([key, field]) => `  ${JSON.stringify(key)}: ${oneLine(field)}`);
  fields.push(`  "machine": {\n    "vcpus": ${lines(machine.vcpus, 4)}\n  }`, `  "steps": ${lines(steps, 2)}`);
  return `{\n${fields.join(',\n')}\n}\n`;
}

/** The canonical JSON value of a case. */
export function toJson(value: Case): { machine: { vcpus: object[] }; steps: object[] } & Record<string, unknown> {
  return {
    schema: value.schema,
    ...(value.why === '' ? {} : { why: value.why }),
    ...(value.origin === null ? {} : { origin: value.origin }),
    machine: { vcpus: value.machine.vcpus.map((vcpu) => withoutDefaults(vcpu, defaultFields.vcpu)) },
    steps: value.steps.map(stepToJson),
  };
}

/** Content hash of what a case does (machine and steps, without the remarks): 12 hexadecimal digits. */
export function caseId(value: Case): string {
  const bare = { ...value, why: '', origin: null, steps: value.steps.map((step) => ({ ...step, note: '' })) };
  return createHash('sha256')
    .update(JSON.stringify(toJson(bare)))
    .digest('hex')
    .slice(0, 12);
}

/** A step with every field at its default but those given. */
export function makeStep<Kind extends Step['do']>(
  step: { do: Kind } & Partial<Extract<Step, { do: Kind }>>,
): Extract<Step, { do: Kind }> {
  const base = { vector: '0xfe', do: step.do };
  const parsed = step.do === 'run' ? runSchema.parse({ do: 'run' }) : stepSchema.parse(base);
  return { ...parsed, ...step } as Extract<Step, { do: Kind }>;
}

/** A case of vCPUs and steps, with every other field at its default. */
export function makeCase(vcpus: ({ vpIndex: number } & Partial<VcpuSetup>)[], steps: Step[]): Case {
  const machine = { vcpus: vcpus.map((vcpu) => ({ ...vcpuSchema.parse({ vpIndex: 0 }), ...vcpu })) };
  return { schema: caseSchemaName, why: '', origin: null, machine, steps };
}

function lines(values: readonly object[], indent: number): string {
  const margin = ' '.repeat(indent);
  return `[\n${values.map((value) => `${margin}  ${oneLine(value)}`).join(',\n')}\n${margin}]`;
}

function oneLine(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([key, field]) => `${JSON.stringify(key)}: ${oneLine(field)}`);
  return `{ ${fields.join(', ')} }`;
}

function stepToJson(step: Step): object {
  switch (step.do) {
    case 'run':
      return withoutDefaults(step, defaultFields.run);
    case 'send-ipi':
      return withoutDefaults(step, defaultFields.sendIpi);
    case 'send-ipi-ex':
      return withoutDefaults(step, defaultFields.sendIpiEx);
  }
}

/** Fields written as hexadecimal numbers although a JavaScript number holds them. */
const hexFields = new Set(['vector', 'targetVtl', 'padding']);

const defaultFields = {
  vcpu: defaultsOf(vcpuSchema.shape),
  run: defaultsOf(runSchema.shape),
  sendIpi: defaultsOf(sendIpiSchema.shape),
  sendIpiEx: defaultsOf(sendIpiExSchema.shape),
};

/** The JSON of a record in the schema's key order, without the fields that have their default. */
function withoutDefaults(value: Record<string, unknown>, defaults: ReadonlyMap<string, unknown>): object {
  const json: Record<string, unknown> = {};
  for (const [key, absent] of defaults) {
    const text = fieldToJson(key, value[key]);
    if (text !== absent) json[key] = text;
  }
  return json;
}

/** The JSON of every field's default, in the schema's order; undefined where a field has none. */
function defaultsOf(shape: Record<string, z.ZodType>): ReadonlyMap<string, unknown> {
  return new Map(
    Object.entries(shape).map(([key, field]) => {
      const absent = field.safeParse(undefined);
      return [key, absent.success ? fieldToJson(key, absent.data) : undefined];
    }),
  );
}

function fieldToJson(key: string, value: unknown): unknown {
  if (Array.isArray(value)) return formatList(value as number[]);
  if (typeof value === 'bigint' || (typeof value === 'number' && hexFields.has(key))) return `0x${value.toString(16)}`;
  return value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CaseError(`not JSON: ${(error as Error).message}`);
  }
}

function newerSchema(schema: unknown): boolean {
  const version = typeof schema === 'string' ? /^hvipi\/case\/(\d+)$/.exec(schema) : null;
  return version !== null && Number(version[1]) > 1;
}

function formatPath(path: readonly PropertyKey[]): string {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return text === '' ? 'case' : text.replace(/^\./, '');
}
