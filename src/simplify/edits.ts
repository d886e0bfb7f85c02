/** Small changes to a case, of which the reducer's proposals are made. None touches the case it is given. */
import { bankCountMax, HV_IPI_HIGH_VECTOR, HV_IPI_LOW_VECTOR, vpsPerBank } from '../abi/hypercall.ts';
import type { CallStep, Case, Step, VcpuSetup } from '../case/case.ts';
import { isCall } from '../case/steps/kinds.ts';

/** Proposes whole cases, simpler in one respect; a proposal may be heavier in others, and the reducer drops it. */
export type Pass = (value: Case) => Generator<Case>;

/** Of RAX, only this bit says something to KVM (kvm_xen_hypercall). */
export const xenHypervBit = 0x8000_0000n;

/** Of longer lists no member is tried alone: half of it goes at a time. */
const triedAloneMax = 64;

/** Proposals for lists: one member alone, then without ever smaller runs of members. */
export function* sublists<T>(list: readonly T[]): Generator<T[]> {
  if (list.length === 0) return;
  yield [];
  if (list.length > 1 && list.length <= triedAloneMax) for (const member of list) yield [member];
  for (let size = Math.ceil(list.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = list.length - size; start > -size; start -= size) {
      yield list.filter((_, index) => index < start || index >= start + size);
    }
  }
}

/** `toward` first, then ever closer to `value`; nothing when they are equal. */
export function* between(value: bigint, toward: bigint): Generator<bigint> {
  for (let distance = value - toward; distance !== 0n; distance /= 2n) yield value - distance;
}

/** Every call step with its position. */
export function* callsOf(value: Case): Generator<[number, CallStep]> {
  for (const [index, step] of value.steps.entries()) if (isCall(step)) yield [index, step];
}

export function withSteps(value: Case, steps: readonly Step[]): Case {
  return { ...value, steps: [...steps] };
}

/** The case with call step `index` replaced by what `change` makes of it. */
export function withCall(value: Case, index: number, change: (step: CallStep) => Step): Case {
  return withSteps(
    value,
    value.steps.map((step, other) => (other === index && isCall(step) ? change(step) : step)),
  );
}

export function withVcpus(value: Case, vcpus: readonly VcpuSetup[]): Case {
  return { ...value, machine: { ...value.machine, vcpus: [...vcpus] } };
}

/** VP indexes replaced wherever a call names them; a call of the plain form keeps those that it cannot name. */
export function withTargets(value: Case, rename: ReadonlyMap<number, number>): Case {
  const steps = value.steps.map((step): Step => {
    if (!isCall(step)) return step;
    const limit = step.do === 'send-ipi' ? vpsPerBank : vpsPerBank * bankCountMax;
    const renamed = step.targets.map((vp) => {
      const other = rename.get(vp) ?? vp;
      return other < limit ? other : vp;
    });
    return { ...step, targets: ascending(renamed) };
  });
  return withSteps(value, steps);
}

export function ascending(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}

/** Whether both calls take the vector. */
export function isLegalVector(vector: number): boolean {
  return vector >= HV_IPI_LOW_VECTOR && vector <= HV_IPI_HIGH_VECTOR;
}
