/**
 * A case: a machine and a list of steps, as a plain value. In memory every field is present; in text a field that has
 * its default is left out, and many vCPUs that are alike are one entry. `parseCase` is the only way in, `formatCase` the only way out, so equal text is equal value.
 * A malformed hypercall is a well-formed case: mask, banks, variable header and reserved bits are fields of their own.
 */
import { createHash } from 'node:crypto';
import { defaultsOf, fieldsToJson } from './json.ts';
import { likeVcpusFrom } from './vcpus/like-vcpus.ts';
import { type Machine, machineSchema } from './machine.ts';
import { neighbourSchema } from './neighbour.ts';
import { type Step, stepKinds } from './steps/kinds.ts';
import { vcpuSchema, type VcpuSetup } from './vcpus/vcpu.ts';
import { checkCase } from './checks.ts';
import { type Case, caseSchema, caseSchemaName } from './schema.ts';

export type { Machine } from './machine.ts';
export type { Case } from './schema.ts';
export type { ActStep } from './steps/act.ts';
export { makeStep } from './steps/kinds.ts';
export type { CallStep, Step } from './steps/kinds.ts';
export type { SendIpiExStep } from './steps/send-ipi-ex.ts';
export type { SendIpiStep } from './steps/send-ipi.ts';
export type { VcpuSetup } from './vcpus/vcpu.ts';

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
  return fittingCase(readCase(input));
}

/**
 * Reads a case of a record, whose fields may not fit together any more: what is refused grows with what is known.
 *
 * @throws CaseError with the path of the first wrong field.
 */
export function readCase(input: unknown): Case {
  const value = typeof input === 'string' ? parseJson(input) : input;
  const schema = (value as { schema?: unknown } | null)?.schema;
  if (schema !== caseSchemaName) {
    const shown = schema === undefined ? 'is missing' : `is ${JSON.stringify(schema)}`;
    const hint = newerSchema(schema) ? '; a newer hvipi wrote it' : '';
    throw new CaseError(`schema: ${shown}, this hvipi reads "${caseSchemaName}"${hint}`);
  }
  const result = caseSchema.safeParse(value);
  if (!result.success) throw caseError(result.error.issues[0]!);
  return result.data;
}

/**
 * The case itself.
 *
 * @throws CaseError where its fields do not fit together (`checkCase`).
 */
export function fittingCase(value: Case): Case {
  const issue = checkCase(value).next().value;
  if (issue) throw caseError(issue);
  return value;
}

/** The canonical text of a case: fixed key order, defaults left out, a line for each vCPU and each step. */
export function formatCase(value: Case): string {
  const { machine, steps, ...head } = toJson(value);
  const fields = Object.entries(head).map(([key, field]) => `  ${JSON.stringify(key)}: ${oneLine(field)}`);
  const { vcpus, ...setup } = machine;
  const machineFields = Object.entries(setup).map(([key, field]) => `    ${JSON.stringify(key)}: ${oneLine(field)}`);
  machineFields.push(`    "vcpus": ${lines(vcpus, 4)}`);
  fields.push(`  "machine": {\n${machineFields.join(',\n')}\n  }`, `  "steps": ${lines(steps, 2)}`);
  return `{\n${fields.join(',\n')}\n}\n`;
}

/** The canonical JSON value of a case. */
export function toJson(value: Case): { machine: { vcpus: object[] }; steps: object[] } & Record<string, unknown> {
  return {
    schema: value.schema,
    ...(value.why === '' ? {} : { why: value.why }),
    ...(value.origin === null ? {} : { origin: value.origin }),
    machine: machineToJson(value.machine),
    steps: value.steps.map((step) => stepToJson(step)),
  };
}

/** Runs of at least so many like vCPUs are written as one entry with a count. */
const foldsFrom = 9;

function vcpusToJson(vcpus: readonly VcpuSetup[]): object[] {
  const entries: object[] = [];
  for (let start = 0; start < vcpus.length;) {
    const like = likeVcpusFrom(vcpus, start);
    const count = like < foldsFrom ? 1 : like;
    const json = vcpuToJson(vcpus[start]!);
    entries.push(count === 1 ? json : { ...json, count });
    start += count;
  }
  return entries;
}

/** The canonical JSON value of a vCPU. */
export function vcpuToJson(vcpu: VcpuSetup): object {
  return fieldsToJson(vcpu, vcpuDefaults);
}

/** Content hash of what a case does (machine and steps, without the remarks): 12 hexadecimal digits. */
export function caseId({ schema, machine, steps }: Case): string {
  const bare = { schema, machine: machineToJson(machine), steps: steps.map((step) => stepToJson(step, 'note')) };
  return createHash('sha256').update(JSON.stringify(bare)).digest('hex').slice(0, 12);
}

/** A vCPU with every field at its default but those given. */
export function makeVcpu(vcpu: Partial<VcpuSetup>): VcpuSetup {
  return { ...plainVcpu, ...vcpu };
}

/** A case of vCPUs and steps, with every other field at its default. */
export function makeCase(
  vcpus: readonly Partial<VcpuSetup>[],
  steps: readonly Step[],
  machine: Partial<Omit<Machine, 'vcpus'>> = {},
): Case {
  return {
    schema: caseSchemaName,
    why: '',
    origin: null,
    machine: { ...plainMachine, ...machine, vcpus: vcpus.map(makeVcpu) },
    steps: [...steps],
  };
}

const plainVcpu = vcpuSchema.parse({ vpIndex: 0 });
const plainMachine = machineSchema.parse({ vcpus: [{ vpIndex: 0 }] });

function lines(values: readonly object[], indent: number): string {
  const margin = ' '.repeat(indent);
  return `[\n${values.map((value) => `${margin}  ${oneLine(value)}`).join(',\n')}\n${margin}]`;
}

function oneLine(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([key, field]) => `${JSON.stringify(key)}: ${oneLine(field)}`);
  return `{ ${fields.join(', ')} }`;
}

function machineToJson(machine: Machine): { vcpus: object[] } {
  const { neighbour } = machine;
  return {
    ...fieldsToJson(machine, machineDefaults),
    ...(neighbour === null ? {} : { neighbour: fieldsToJson(neighbour, neighbourDefaults) }),
    vcpus: vcpusToJson(machine.vcpus),
  };
}

function stepToJson(step: Step, except?: string): object {
  return fieldsToJson(step, stepDefaults[step.do]!, except);
}

const machineDefaults = defaultsOf({ ...machineSchema.shape, vcpus: null });
const neighbourDefaults = defaultsOf(neighbourSchema.shape);
const vcpuDefaults = defaultsOf(vcpuSchema.shape);
const stepDefaults = Object.fromEntries(
  Object.entries(stepKinds).map(([name, { schema }]) => [name, defaultsOf(schema.shape)]),
);

function caseError({ path, message }: { readonly path: readonly PropertyKey[]; readonly message: string }): CaseError {
  return new CaseError(`${formatPath(path)}: ${message}`);
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
