/**
 * Which cases a C export can show. Looked at in the case's text form, where what has its default is left out: so a
 * field or a step that the exports do not know is refused, also one that was added after they were written.
 */
import { type Case, toJson } from '../../case/case.ts';
import { isCall } from '../../case/steps/kinds.ts';
import { xapicIdMax } from '../../case/vcpus/vcpu-id.ts';
import { UsageError } from '../../errors.ts';
import { shownFields } from './changes.ts';

const caseFields = ['schema', 'why', 'origin', 'machine', 'steps'];
const machineFields = ['irqchip', 'xen', 'guestOsId', 'vcpus'];
const vcpuFields = ['vpIndex', 'apic', 'eoi', 'idle', 'vcpuId', 'lacks', 'enforced', 'tpr', 'irr', 'isr'];
const callFields = (
  'do sender mode cpl page opcode fast vector targetVtl padding variableHeader repCount repStart controlBits gpa ' +
  'outputGpa tail rax note targets format emptyBanks maskFlips'
).split(' ');
/** Values of known fields, where the programs do not know all of them. */
const fieldValues: Readonly<Record<string, readonly unknown[]>> = {
  idle: ['uninitialized', 'init-received'],
  mode: ['compat', 'protected32', 'unpaged32', 'protected16', 'real'],
  eoi: ['apic'],
  msr: ['guest-os-id', 'hypercall', 'vp-index'],
};
/** Longest program that a person would read, and the largest machine, each of whose vCPUs is looked at after each step. */
const stepsMax = 64;
const vcpusMax = 8;

/** @throws UsageError that names the field. */
export function checkExportable(value: Case, form: 'standalone' | 'selftest'): void {
  const json = toJson(value);
  refuseOthers('case', json, caseFields);
  refuseOthers('machine', json.machine, machineFields);
  const { vcpus } = value.machine;
  if (vcpus.length > vcpusMax) {
    throw new UsageError(`export: machine.vcpus: ${vcpus.length} vCPUs are more than ${vcpusMax}; hvipi replay can`);
  }
  const wide = vcpus.findIndex(({ vcpuId }) => vcpuId !== null && vcpuId > xapicIdMax);
  if (wide !== -1) {
    throw new UsageError(
      `export: machine.vcpus[${wide}].vcpuId: a C program cannot show an APIC ID above ${xapicIdMax} yet; hvipi replay can`,
    );
  }
  json.machine.vcpus.forEach((vcpu, index) => {
    refuseOthers(`machine.vcpus[${index}]`, vcpu, vcpuFields);
  });
  json.steps.forEach((step, index) => {
    const of = value.steps[index]!;
    const known = isCall(of) ? callFields : shownFields(of.do);
    if (known === null) throw new UsageError(`export: steps[${index}]: a C program cannot show a "${of.do}" step yet`);
    refuseOthers(`steps[${index}]`, step, known);
  });
  if (json.steps.length > stepsMax)
    throw new UsageError(`export: ${json.steps.length} steps are more than ${stepsMax}`);
  if (form === 'selftest' && value.machine.irqchip === 'split' && value.steps.some((step) => step.do === 'run')) {
    // Its library lets no guest of its own run without KVM_CREATE_IRQCHIP.
    throw new UsageError('export: machine.irqchip: a selftest cannot show a "run" step with split; standalone can');
  }
}

function refuseOthers(where: string, json: object, known: readonly string[]): void {
  const other = Object.entries(json).find(([name, field]) => {
    return !known.includes(name) || fieldValues[name]?.includes(field) === false;
  });
  if (other === undefined) return;
  throw new UsageError(`export: ${where}.${other[0]}: a C program cannot show this yet; hvipi replay can`);
}
