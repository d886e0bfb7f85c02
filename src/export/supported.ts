/**
 * Which cases a C export can show. Looked at in the case's text form, where what has its default is left out: so a
 * field or a step that the exports do not know is refused, also one that was added after they were written.
 */
import { type Case, toJson } from '../case/case.ts';
import { UsageError } from '../lab/errors.ts';

const caseFields = ['schema', 'why', 'origin', 'machine', 'steps'];
const vcpuFields = ['vpIndex', 'apic', 'eoi'];
const callFields = [
  'do',
  'sender',
  'fast',
  'vector',
  'targetVtl',
  'padding',
  'variableHeader',
  'repCount',
  'repStart',
  'controlBits',
  'gpa',
  'outputGpa',
  'tail',
  'note',
  'targets',
  'format',
  'emptyBanks',
  'maskFlips',
];
const stepFields: Readonly<Record<string, readonly string[]>> = {
  'send-ipi': callFields,
  'send-ipi-ex': callFields,
  run: ['do', 'note'],
};
/** Longest program that a person would read. */
const stepsMax = 64;

/** @throws UsageError that names the field. */
export function checkExportable(value: Case): void {
  const json = toJson(value);
  refuseOthers('case', json, caseFields);
  refuseOthers('machine', json.machine, ['vcpus']);
  json.machine.vcpus.forEach((vcpu, index) => {
    refuseOthers(`machine.vcpus[${index}]`, vcpu, vcpuFields);
  });
  json.steps.forEach((step, index) => {
    const kind = (step as { do: string }).do;
    const known = stepFields[kind];
    if (known === undefined)
      throw new UsageError(`export: steps[${index}]: a C program cannot show a "${kind}" step yet`);
    refuseOthers(`steps[${index}]`, step, known);
  });
  if (json.steps.length > stepsMax)
    throw new UsageError(`export: ${json.steps.length} steps are more than ${stepsMax}`);
}

function refuseOthers(where: string, json: object, known: readonly string[]): void {
  const other = Object.keys(json).find((name) => !known.includes(name));
  if (other === undefined) return;
  throw new UsageError(`export: ${where}.${other}: a C program cannot show this yet; hvipi replay can`);
}
