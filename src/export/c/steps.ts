/** A case as the part of a C program that is its own: the machine's table, a function for each step, their calls. */
import { hvStatusName } from '../../abi/hypercall.ts';
import { APIC_IRR, APIC_ISR } from '../../abi/lapic.ts';
import type { Case, Step } from '../../case/case.ts';
import { encodeCase } from '../../program/encode.ts';
import type { ProgramCall } from '../../program/program.ts';
import { clearedInTmr } from '../../../oracle/compare/lapic-differences.ts';
import { vectorsOf } from '../../../oracle/state/machine.ts';
import type { StepOutcome } from '../../../oracle/outcome.ts';
import { describeStep } from '../../campaign/text/stages.ts';
import type { Prepared } from '../../campaign/judgement.ts';
import { callLines } from './call.ts';
import { changeLines, vectorsText } from './changes.ts';
import { machineText } from './machine.ts';
import { cComment, hex } from './text.ts';
import { plainEnvironment } from '../../case/steps/environment.ts';
import { isCall } from '../../case/steps/kinds.ts';

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
      : changeLines(step, { value, outcome: so, index });
    const text = [describeStep(step), ...expectationOf(value, so, step)];
    return `${cComment(text)}static void step_${index + 1}(void)\n{\n${body}${lapicLines(value, so)}}\n`;
  });
  const calls = value.steps.map((_, index) => `\tstep = ${index + 1};\n\tstep_${index + 1}();\n`);
  return { machine: machineText(value, outcome.vpIndexes), steps: functions.join('\n'), calls: calls.join('') };
}

function asPlain(step: Step): Step {
  return isCall(step) ? { ...step, ...plainEnvironment } : step;
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
