/**
 * Which of two cases is the simpler one: fewer vCPUs, then simpler ones, then fewer steps, then plainer ones. The order
 * is strict and has an end, so shrinking along it has one too.
 */
import { HV_IPI_HIGH_VECTOR, HV_IPI_LOW_VECTOR } from '../../src/abi/hypercall.ts';
import { maxOf } from '../../src/abi/layout.ts';
import type { ActStep, CallStep, Case, Step } from '../../src/case/case.ts';
import {
  actKinds,
  apicChanges,
  apicStates,
  callModes,
  caseLimits,
  caseMsrs,
  eoiKinds,
  idleKinds,
  irqchips,
  registerWays,
  waitPoints,
} from '../../src/case/limits.ts';
import { ramEnd } from '../../src/case/memory.ts';
import { simplestVector } from '../integers.ts';
import { effectiveVpIndexes } from '../machine/machine.ts';
import { defaultGuestOsId } from '../../src/case/machine.ts';
import { defaultRax } from '../../src/case/steps/call.ts';
import { isCall } from '../../src/case/steps/kinds.ts';

/** Whether `a` is strictly simpler than `b`. */
export function isSimpler(a: Case, b: Case): boolean {
  const [left, right] = [complexityOf(a), complexityOf(b)];
  const place = left.findIndex((part, index) => part !== right[index]);
  return place !== -1 && left[place]! < right[place]!;
}

/** Numbers that are compared one after the other. */
function complexityOf({ machine, steps }: Case): (number | bigint)[] {
  const { vcpus, irqchip, xen, guestOsId, schedule } = machine;
  const calls = steps.filter(isCall);
  const vpIndexes = effectiveVpIndexes(machine);
  const overCalls = (part: (step: CallStep) => number) => sum(calls.map(part));
  const overCallWords = (part: (step: CallStep) => bigint) => calls.reduce((total, step) => total + part(step), 0n);
  return [
    irqchips.indexOf(irqchip) + Number(xen),
    schedule === null ? 0 : 1 + schedule,
    guestOsId === defaultGuestOsId ? 0n : 1n + guestOsId,
    vcpus.length,
    sum(vcpus.map(({ vpIndex }, position) => (vpIndex === position ? 0 : 1 + vpIndex))),
    sum(vcpus.map(({ apic }) => apicStates.indexOf(apic))),
    sum(vcpus.map(({ eoi }) => eoiKinds.indexOf(eoi))),
    sum(vcpus.map(({ idle }) => idleKinds.indexOf(idle))),
    sum(vcpus.map(({ lacks, enforced }) => lacks.length + Number(enforced))),
    sum(vcpus.map(({ vcpuId }) => (vcpuId === null ? 0 : 1 + vcpuId))),
    sum(vcpus.map(({ irr, isr }) => irr.length + isr.length)),
    sum(vcpus.map(({ irr, isr }) => sum(irr) + sum(isr))),
    sum(vcpus.map(({ tpr }) => tpr)),
    sum(vcpus.map(({ autoEoi, logsPpr }) => autoEoi.length + Number(logsPpr))),
    sum(vcpus.map(({ autoEoi }) => sum(autoEoi))),
    steps.length,
    sum(steps.map((step) => stepRanks.indexOf(step.do))),
    sum(steps.map(changeRank)),
    steps.reduce((total, step) => total + (step.do === 'write-msr' ? step.value : 0n), 0n),
    overCalls(({ mode }) => callModes.indexOf(mode)),
    overCalls(({ cpl }) => cpl),
    overCalls(({ opcode }) => (opcode === 'native' ? 0 : 1)),
    overCallWords(({ page }) => (page === null ? 0n : 1n + page)),
    overCallWords(({ rax }) => (rax === defaultRax ? 0n : 1n + rax)),
    overCalls((step) => (step.do === 'send-ipi-ex' ? 1 : 0)),
    overCalls((step) => (step.fast ? 1 : 0)),
    overCalls((step) => step.sender),
    overCalls((step) => step.targets.length),
    overCalls((step) => sum(step.targets.map((vp) => targetRank(vp, vpIndexes)))),
    ...(['emptyBanks', 'maskFlips'] as const).flatMap((name) => [
      overCalls((step) => (step.do === 'send-ipi-ex' ? step[name].length : 0)),
      overCalls((step) => (step.do === 'send-ipi-ex' ? sum(step[name]) : 0)),
    ]),
    overCallWords((step) => (step.do === 'send-ipi-ex' ? step.format : 0n)),
    overCalls((step) => (step.variableHeader === null ? 0 : 1 + step.variableHeader)),
    overCalls((step) => step.controlBits.length),
    ...(['repCount', 'repStart', 'targetVtl', 'padding'] as const).map((name) => overCalls((step) => step[name])),
    overCalls((step) => sum(step.controlBits)),
    overCallWords((step) => gpaRank(step.gpa)),
    overCallWords((step) => step.outputGpa),
    overCallWords((step) => (step.tail === maxOf(64) ? 0n : 1n + step.tail)),
    overCalls((step) => vectorRank(step.vector)),
  ];
}

/** Kinds of steps, the simplest first. */
const stepRanks: readonly Step['do'][] = ['run', 'act', 'send-ipi', 'send-ipi-ex', 'set-apic', 'write-msr', 'init'];

function changeRank(step: Step): number {
  if (step.do === 'set-apic') return step.vcpu + apicChanges.indexOf(step.apic);
  if (step.do === 'write-msr') return step.vcpu + caseMsrs.indexOf(step.msr);
  if (step.do === 'act') return step.vcpu + actRank(step);
  return step.do === 'init' ? step.vcpu : 0;
}

function actRank({ act, by, tpr, open, at }: ActStep): number {
  return actKinds.indexOf(act) + registerWays.indexOf(by) + tpr + Number(open) + waitPoints.indexOf(at);
}

/** A VP that the machine has is simpler than one that it has not. */
function targetRank(vp: number, vpIndexes: readonly number[]): number {
  const position = vpIndexes.indexOf(vp);
  return position === -1 ? caseLimits.vcpus + vp : position;
}

function gpaRank(gpa: bigint | null): bigint {
  if (gpa === null) return 0n;
  return gpa === ramEnd ? 1n : 2n + gpa;
}

function vectorRank(vector: number): number {
  if (vector === simplestVector) return 0;
  const isLegal = vector >= HV_IPI_LOW_VECTOR && vector <= HV_IPI_HIGH_VECTOR;
  return 1 + vector + (isLegal ? 0 : HV_IPI_HIGH_VECTOR + 1);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
