/** Runs of vCPUs that are alike but for VP indexes and ids that ascend: how large machines are written and sent. */
import type { VcpuSetup } from './vcpu.ts';

/** How many vCPUs from `start` on are like the one there: the VP index one higher each, and the id too if it has one. */
export function likeVcpusFrom(vcpus: readonly VcpuSetup[], start: number): number {
  const first = vcpus[start]!;
  let end = start + 1;
  while (end < vcpus.length && isLike(first, vcpus[end]!, end - start)) end++;
  return end - start;
}

/** So many vCPUs like the first one. */
export function repeatVcpu<Setup extends { vpIndex: number; vcpuId: number | null }>(
  first: Setup,
  count: number,
): Setup[] {
  return Array.from({ length: count }, (_, place) => ({
    ...first,
    vpIndex: first.vpIndex + place,
    vcpuId: first.vcpuId === null ? null : first.vcpuId + place,
  }));
}

function isLike(first: VcpuSetup, other: VcpuSetup, distance: number): boolean {
  return (
    other.vpIndex === first.vpIndex + distance &&
    other.vcpuId === (first.vcpuId === null ? null : first.vcpuId + distance) &&
    other.apic === first.apic &&
    other.eoi === first.eoi &&
    other.idle === first.idle &&
    other.enforced === first.enforced &&
    other.tpr === first.tpr &&
    other.logsPpr === first.logsPpr &&
    isSameList(other.lacks, first.lacks) &&
    isSameList(other.irr, first.irr) &&
    isSameList(other.isr, first.isr) &&
    isSameList(other.autoEoi, first.autoEoi)
  );
}

function isSameList<T>(left: readonly T[], right: readonly T[]): boolean {
  return left === right || (left.length === right.length && left.every((item, index) => item === right[index]));
}
