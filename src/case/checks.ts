/** Checks across the fields of a case. */
import { checkMachine } from './checks-machine.ts';
import type { CaseIssue } from './issue.ts';
import { actorOf, isCall, kindOf, type Step } from './steps/kinds.ts';
import type { StepContext } from './steps/step-kind.ts';
import type { Case } from './schema.ts';

/** Everything that is wrong with a case whose fields are right one by one. */
export function* checkCase({ machine, steps }: Pick<Case, 'machine' | 'steps'>): Generator<CaseIssue> {
  yield* checkMachine(machine);
  const context = stepsContext({ machine, steps });
  for (const [index, step] of steps.entries()) {
    const at = (field: string, message: string): CaseIssue => ({ path: ['steps', index, field], message });
    yield* checkStep(step, { ...context, at });
  }
  if (machine.schedule !== null && steps.at(-1)?.do !== 'run') {
    yield { path: ['steps', steps.length - 1, 'do'], message: 'a concurrent case ends with a run step' };
  }
}

export function stepsContext({ machine, steps }: Pick<Case, 'machine' | 'steps'>): Omit<StepContext, 'at'> {
  return {
    machine,
    initialized: new Set<number>(),
    apics: machine.vcpus.map(({ apic }) => (apic === 'x2apic' || apic === 'xapic' ? 'enabled' : apic)),
    senders: new Set(steps.filter(isCall).map(({ sender }) => sender)),
  };
}

/** What is wrong with a step; the context has what it does once it is found to be right. */
export function* checkStep(step: Step, context: StepContext): Generator<CaseIssue> {
  const { machine, at } = context;
  const { vcpus, irqchip, schedule } = machine;
  const kind = kindOf(step);
  const vcpu = actorOf(step) ?? 0;
  if (vcpu >= vcpus.length) {
    yield at(kind.actor ?? 'do', `vCPU ${vcpu} is not in the machine, which has ${vcpus.length}`);
    return;
  }
  if (kind.needsLapic && irqchip === 'none') yield at('do', `${step.do} needs a LAPIC in the kernel`);
  if (!kind.allowsHalted && vcpus.some(({ idle }) => idle === 'halted')) {
    yield at('do', `${step.do} and halted vCPUs do not go together`);
  }
  if (schedule !== null && kind.concurrent === null) yield at('do', 'a concurrent case has no such step');
  if (schedule !== null && kind.concurrent !== null) yield* kind.concurrent.check(step, context);
  yield* kind.check(step, context);
  if (kind.stops) context.initialized.add(vcpu);
}

/** Whether the fields of a case fit together. */
export function isWellFormed(value: Pick<Case, 'machine' | 'steps'>): boolean {
  return checkCase(value).next().done === true;
}
