/** Ways to make what vCPUs do as receivers simpler. */
import { type ActStep, type Case, makeStep, type Step, type VcpuSetup } from '../case/case.ts';
import { caseLimits } from '../case/limits.ts';
import { ascending, callsOf, isLegalVector, type Pass, withSteps, withVcpus } from './edits.ts';

const run = makeStep({ do: 'run' });

/** All vCPUs run instead of one that does something; it goes on instead of something else. */
function* runInstead(value: Case): Generator<Case> {
  const acts = value.steps.some(({ do: kind }) => kind === 'act');
  if (!acts) return;
  yield withSteps(
    value,
    value.steps.map((step) => (step.do === 'act' ? run : step)),
  );
  for (const [index, step] of value.steps.entries()) {
    if (step.do !== 'act') continue;
    yield withSteps(value, value.steps.with(index, run));
    if (step.act !== 'take') yield withSteps(value, value.steps.with(index, actOf(step, 'take')));
    // What an act shows may show in a window of its own as well.
    if (step.open) yield* closedWith(value, index, step);
  }
}

/** Interrupts are off around a write, and on in a step of its own behind it. */
function* closedWith(value: Case, index: number, step: ActStep): Generator<Case> {
  const closed: Step = { ...step, open: false };
  if (value.steps.length < caseLimits.steps) yield withSteps(value, value.steps.toSpliced(index, 1, closed, run));
}

/** What a handler leaves in service is in service from the start: without the call, and without the step that took it. */
function* inServiceFromTheStart(value: Case): Generator<Case> {
  const { vcpus } = value.machine;
  for (const [taken, step] of value.steps.entries()) {
    if (step.do !== 'run' && (step.do !== 'act' || step.act !== 'enter')) continue;
    for (const [sent, call] of callsOf(value)) {
      if (sent > taken || value.steps.length < 3) continue;
      const rest = withSteps(
        value,
        value.steps.filter((_, index) => index !== sent && index !== taken),
      );
      for (const [position, vcpu] of vcpus.entries()) {
        if (!call.targets.includes(vcpu.vpIndex) || !isLegalVector(call.vector)) continue;
        const isr = ascending([...vcpu.isr, call.vector]);
        yield withVcpus(rest, vcpus.with(position, { ...vcpu, isr, eoi: 'hv-msr' }));
        yield withVcpus(rest, vcpus.with(position, { ...vcpu, isr }));
      }
    }
  }
}

/** What is pending, or sent to one vCPU alone, is in service or pending there from the start. */
function* heldFromTheStart(value: Case): Generator<Case> {
  const { vcpus } = value.machine;
  for (const [position, vcpu] of vcpus.entries()) {
    const hold = (from: Case, lists: Partial<VcpuSetup>): Case =>
      withVcpus(from, vcpus.with(position, { ...vcpu, ...lists }));
    for (const vector of vcpu.irr) {
      const irr = vcpu.irr.filter((other) => other !== vector);
      yield hold(value, { irr, isr: ascending([...vcpu.isr, vector]), eoi: 'hv-msr' });
    }
    for (const [sent, { targets, vector }] of callsOf(value)) {
      if (value.steps.length === 1 || !targets.includes(vcpu.vpIndex) || !isLegalVector(vector)) continue;
      const rest = withSteps(value, value.steps.toSpliced(sent, 1));
      yield hold(rest, { irr: ascending([...vcpu.irr, vector]) });
    }
  }
}

/** A priority that a vCPU gives itself is there from the start. */
function* raisedFromTheStart(value: Case): Generator<Case> {
  const { vcpus } = value.machine;
  for (const [index, step] of value.steps.entries()) {
    if (step.do !== 'act' || step.act !== 'set-tpr' || value.steps.length === 1) continue;
    const rest = withSteps(value, value.steps.toSpliced(index, 1));
    yield withVcpus(rest, vcpus.with(step.vcpu, { ...vcpus[step.vcpu]!, tpr: step.tpr }));
  }
}

const plain = makeStep({ do: 'act' });

function actOf({ vcpu }: ActStep, act: ActStep['act']): ActStep {
  return { ...plain, vcpu, act };
}

export const actPasses: readonly Pass[] = [runInstead, inServiceFromTheStart, heldFromTheStart, raisedFromTheStart];
