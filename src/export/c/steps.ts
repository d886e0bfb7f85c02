/** A case as the part of a C program that is its own: the machine's table, a function for each step, their calls. */
import { hvStatusName } from '../../abi/hypercall.ts';
import { HV_X64_MSR_HYPERCALL_ENABLE } from '../../abi/hyperv.ts';
import { APIC_IRR, APIC_ISR } from '../../abi/lapic.ts';
import type { CallStep, Case, Step } from '../../case/case.ts';
import { encodeCase } from '../../program/encode.ts';
import type { ProgramCall } from '../../program/program.ts';
import { clearedInTmr } from '../../../oracle/compare/lapic-differences.ts';
import { vectorsOf } from '../../../oracle/state/machine.ts';
import type { StepOutcome } from '../../../oracle/outcome.ts';
import { describeStep } from '../../campaign/text/stages.ts';
import type { Prepared } from '../../campaign/judgement.ts';
import { address } from './address.ts';
import { callLines } from './call.ts';
import { apicName, machineText } from './machine.ts';
import { cComment, hex } from './text.ts';
import { isCall } from '../../case/steps/kinds.ts';
import type { caseMsrs } from '../../case/limits.ts';

export interface CParts {
  readonly machine: string;
  readonly steps: string;
  readonly calls: string;
}

export function cPartsOf({ value, program, outcome }: Prepared): CParts {
  const { machine } = value;
  const plain = encodeCase({ ...value, steps: value.steps.map(asPlain) });
  const functions = value.steps.map((step, index) => {
    const so = outcome.steps[index]!;
    const body = isCall(step)
      ? callLines(step, plain.steps[index] as ProgramCall, program.steps[index] as ProgramCall, so, machine)
      : changeLines(step, value, so, index);
    const text = [describeStep(step), ...expectationOf(value, so, step)];
    return `${cComment(text)}static void step_${index + 1}(void)\n{\n${body}${lapicLines(value, so)}}\n`;
  });
  const calls = value.steps.map((_, index) => `\tstep = ${index + 1};\n\tstep_${index + 1}();\n`);
  return { machine: machineText(value, outcome.vpIndexes), steps: functions.join('\n'), calls: calls.join('') };
}

function asPlain(step: Step): Step {
  return isCall(step) ? { ...step, mode: 'long', cpl: 0, page: null, opcode: 'native' } : step;
}

const msrNames: Partial<Record<(typeof caseMsrs)[number], string>> = {
  'guest-os-id': 'HV_X64_MSR_GUEST_OS_ID',
  hypercall: 'HV_X64_MSR_HYPERCALL',
  'vp-index': 'HV_X64_MSR_VP_INDEX',
};
/** KVM's page begins with an instruction of so many bytes more where Xen hypercalls are intercepted. */
const plainPageBytes = 4;

function changeLines(step: Exclude<Step, CallStep>, value: Case, outcome: StepOutcome, index: number): string {
  switch (step.do) {
    case 'run':
      return runLines(value, outcome, index);
    case 'write-msr': {
      const text = step.msr === 'hypercall' ? hypercallMsrText(step.value) : hex(step.value);
      const pages = outcome.writes.map(
        ({ gpa, bytes }) => `\texpect_page(${address(gpa)}, ${bytes.length > plainPageBytes ? 1 : 0});\n`,
      );
      return `\texpect_msr_write(${step.vcpu}, ${msrNames[step.msr]!}, ${text}, ${outcome.result!});\n${pages.join('')}`;
    }
    case 'set-apic': {
      const setUpAs = value.machine.vcpus[step.vcpu]!.apic;
      const enabled = setUpAs === 'x2apic' ? setUpAs : 'xapic';
      return `\tchange_apic(${step.vcpu}, ${apicName(step.apic === 'enabled' ? enabled : step.apic)});\n`;
    }
    case 'act':
    case 'migrate':
    case 'read-msr':
    case 'sipi':
    case 'vmm':
      throw new RangeError(`no C program shows a step of kind ${step.do}`);
    case 'init':
      return `\tsend_init(${step.vcpu});\n`;
  }
}

/** By the page's place; its low bits stay a number. */
function hypercallMsrText(value: bigint): string {
  const low = value & 0xfffn;
  if ((value & HV_X64_MSR_HYPERCALL_ENABLE) === 0n) return hex(value);
  return `(${address(value - low)}) | ${hex(low)}`;
}

/** vCPUs that wait for INIT or SIPI, also because they got INIT before, would not come back. */
function runLines({ machine: { vcpus }, steps }: Case, { arrivals }: StepOutcome, index: number): string {
  const before = steps.slice(0, index);
  const runs = (vcpu: number): boolean => !before.some((step) => step.do === 'init' && step.vcpu === vcpu);
  return vcpus
    .map(({ idle }, vcpu) =>
      idle === 'parked' && runs(vcpu) ? `\texpect_handlers(${vcpu}, ${vectorsText(arrivals[vcpu]!)});\n` : '',
    )
    .join('');
}

function lapicLines({ machine: { vcpus, irqchip } }: Case, { lapics }: StepOutcome): string {
  if (irqchip === 'none') return '';
  return vcpus
    .map((_, vcpu) => {
      const lapic = lapics[vcpu]!;
      const sets = [vectorsOf(lapic, APIC_IRR), clearedInTmr(lapic), vectorsOf(lapic, APIC_ISR)];
      return `\texpect_lapic(${vcpu}, ${sets.map(vectorsText).join(', ')});\n`;
    })
    .join('');
}

function vectorsText(vectors: readonly number[]): string {
  if (vectors.length === 0) return 'NOTHING';
  return vectors.length === 256 ? 'EVERYTHING' : `VECTORS(${vectors.map((vector) => hex(vector)).join(', ')})`;
}

/** What must come of a step, in words. */
function expectationOf({ machine: { vcpus } }: Case, outcome: StepOutcome, step: Step): string[] {
  const lines = [...answerOf(step, outcome)];
  for (const [vcpu, { vpIndex }] of vcpus.entries()) {
    const name = `vCPU ${vcpu} (VP index ${vpIndex})`;
    const pending = vectorsOf(outcome.lapics[vcpu]!, APIC_IRR);
    const ran = outcome.arrivals[vcpu]!;
    if (ran.length > 0) lines.push(`${name} handles ${ran.map((vector) => hex(vector)).join(', ')}`);
    if (outcome.receivers.includes(vcpu)) lines.push(`${name} receives it`);
    else if (pending.length > 0)
      lines.push(`${name} still has ${pending.map((vector) => hex(vector)).join(', ')} pending`);
  }
  if (isCall(step) && outcome.receivers.length === 0) lines.push('Nobody receives anything.');
  return lines;
}

function answerOf(step: Step, { exception, exit, result, rule }: StepOutcome): string[] {
  if (step.do === 'write-msr') return [`Expected: KVM ${result === 1n ? 'takes' : 'refuses'} it (rule "${rule}")`];
  if (!isCall(step) || exit === 'no-code') return [];
  const what = exception === null ? hvStatusName(result!) : `exception ${exception}`;
  return [`Expected: ${exit === null ? what : `the call goes to the VMM (${exit})`} (rule "${rule}" of KVM)`];
}
