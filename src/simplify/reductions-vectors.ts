/** Ways to make vectors and priorities plainer, in calls and in what local APICs hold from the start. */
import { HV_IPI_HIGH_VECTOR, HV_IPI_LOW_VECTOR, vpsPerBank } from '../abi/hypercall.ts';
import { type Case, makeStep, type Step, type VcpuSetup } from '../case/case.ts';
import { caseLimits } from '../case/limits.ts';
import { canRun } from '../case/machine.ts';
import { ascending, between, callsOf, isLegalVector, type Pass, withCall, withSteps, withVcpus } from './edits.ts';
import { plainVector } from './weight.ts';
import { isCall } from '../case/steps/kinds.ts';

/** Lists of a vCPU that hold vectors. */
const vectorLists = ['irr', 'isr', 'autoEoi'] as const;

/** Highest priority class, and so the highest TPR. */
const highestClass = 15;

/** Plainer vectors: wherever one is named, in one call, in one list of a vCPU. */
function* plainVectors(value: Case): Generator<Case> {
  for (const vector of vectorsOf(value)) {
    for (const other of plainerVectors(vector)) {
      yield withVectors(value, (one) => (one === vector ? other : one));
    }
  }
  for (const [index, step] of callsOf(value)) {
    for (const vector of plainerVectors(step.vector)) yield withCall(value, index, (call) => ({ ...call, vector }));
  }
  for (const [position, vcpu] of value.machine.vcpus.entries()) {
    for (const name of vectorLists) yield* plainerList(value, position, name, vcpu[name]);
  }
}

function* plainerList(
  value: Case,
  position: number,
  name: (typeof vectorLists)[number],
  list: readonly number[],
): Generator<Case> {
  const { vcpus } = value.machine;
  for (const vector of list) {
    for (const other of plainerVectors(vector)) {
      const plainer = ascending(list.map((one) => (one === vector ? other : one)));
      yield withVcpus(value, vcpus.with(position, { ...vcpus[position]!, [name]: plainer }));
    }
  }
}

function* plainerVectors(vector: number): Generator<number> {
  const border = isLegalVector(vector)
    ? plainVector
    : vector < HV_IPI_LOW_VECTOR
      ? HV_IPI_LOW_VECTOR - 1
      : HV_IPI_HIGH_VECTOR + 1;
  if (!isLegalVector(vector)) yield* [plainVector, HV_IPI_LOW_VECTOR, HV_IPI_LOW_VECTOR - 1];
  for (const other of between(BigInt(vector), BigInt(border))) yield Number(other);
  // Next to the plain vector, for a second one.
  if (vector > plainVector) yield plainVector - 1;
}

/** All vectors and task priorities rise by as many classes, up to the plain vector: who blocks whom stays. */
function* raisedPriorities(value: Case): Generator<Case> {
  const highest = Math.max(0, ...[...vectorsOf(value)].filter(isLegalVector));
  const classes = (plainVector >>> 4) - (highest >>> 4);
  const raisedVector = (vector: number): number =>
    isLegalVector(vector) ? Math.min(vector + 16 * classes, plainVector) : vector;
  const raisedTpr = (tpr: number): number => (tpr === 0 ? 0 : Math.min(tpr + classes, highestClass));
  const { machine, steps } = withVectors(value, raisedVector);
  const vcpus = machine.vcpus.map((vcpu) => ({ ...vcpu, tpr: raisedTpr(vcpu.tpr) }));
  const raised = steps.map((step): Step => (step.do === 'act' ? { ...step, tpr: raisedTpr(step.tpr) } : step));
  yield withSteps(withVcpus(value, vcpus), raised);
}

/** Two vectors change places, wherever they are named. */
function* swappedVectors(value: Case): Generator<Case> {
  const vectors = [...vectorsOf(value)];
  // Only what is small already: the pairs of many are too many to try.
  if (vectors.length > 6) return;
  for (const [index, one] of vectors.entries()) {
    for (const other of vectors.slice(index + 1)) {
      // Only a call can have one that is illegal.
      if (isLegalVector(one) !== isLegalVector(other)) continue;
      yield withVectors(value, (vector) => (vector === one ? other : vector === other ? one : vector));
    }
  }
}

/** What a run step between two calls of one vector tells apart, a second vector does too. */
function* vectorInsteadOfRun(value: Case): Generator<Case> {
  const used = vectorsOf(value);
  let unused = plainVector;
  while (used.has(unused)) unused--;
  for (const [place, step] of value.steps.entries()) {
    const next = value.steps.findIndex((later, index) => index > place && isCall(later));
    if (step.do !== 'run' || next === -1 || !isLegalVector(unused)) continue;
    const renamed = withCall(value, next, (call) => ({ ...call, vector: unused }));
    yield withSteps(
      renamed,
      renamed.steps.filter((_, index) => index !== place),
    );
  }
}

/** What is pending from the start is sent instead: by a call that is there and reaches nobody, or by one more. */
function* sentPresets(value: Case): Generator<Case> {
  const { vcpus } = value.machine;
  const sender = vcpus.findIndex((_, position) => canRun(value.machine, position));
  if (sender === -1) return;
  for (const [position, vcpu] of vcpus.entries()) {
    const { irr, vpIndex } = vcpu;
    for (const [index, { targets }] of callsOf(value)) {
      const [vector] = irr;
      if (vector === undefined || targets.length > 0 || vpIndex >= vpsPerBank) continue;
      const rest = withVcpus(value, vcpus.with(position, { ...vcpu, irr: irr.slice(1) }));
      yield withCall(rest, index, (call) => ({ ...call, vector, targets: [vpIndex] }));
    }
    if (irr.length === 0 || value.steps.length + irr.length > caseLimits.steps || vpIndex >= caseLimits.vpNumber)
      continue;
    const kind = vpIndex < vpsPerBank ? 'send-ipi' : 'send-ipi-ex';
    const sent = irr.map((vector): Step => ({ ...makeStep({ do: kind }), sender, vector, targets: [vpIndex] }));
    yield withSteps(withVcpus(value, vcpus.with(position, { ...vcpu, irr: [] })), [...sent, ...value.steps]);
  }
}

/** Vectors that a case names. */
function vectorsOf(value: Case): Set<number> {
  const called = [...callsOf(value)].map(([, step]) => step.vector);
  return new Set([...called, ...value.machine.vcpus.flatMap(({ irr, isr, autoEoi }) => [...irr, ...isr, ...autoEoi])]);
}

/** The case with another vector wherever it names one. */
function withVectors(value: Case, change: (vector: number) => number): Case {
  const list = (vectors: readonly number[]): number[] => ascending(vectors.map(change));
  const vcpus = value.machine.vcpus.map((vcpu): VcpuSetup => ({
    ...vcpu,
    irr: list(vcpu.irr),
    isr: list(vcpu.isr),
    autoEoi: list(vcpu.autoEoi),
  }));
  const steps = value.steps.map((step) => (isCall(step) ? { ...step, vector: change(step.vector) } : step));
  return withSteps(withVcpus(value, vcpus), steps);
}

export const presetPasses: readonly Pass[] = [sentPresets];
export const runPasses: readonly Pass[] = [vectorInsteadOfRun];
export const vectorPasses: readonly Pass[] = [plainVectors, raisedPriorities, swappedVectors];
