/** Runs of vCPUs that are alike but for VP indexes and ids that ascend: how large machines are written and sent. */
import { vcpuSchema, type VcpuSetup } from './vcpu.ts';

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

const sameFields = (Object.keys(vcpuSchema.shape) as (keyof VcpuSetup)[]).filter(
  (name) => name !== 'vpIndex' && name !== 'vcpuId',
);

function isLike(first: VcpuSetup, other: VcpuSetup, distance: number): boolean {
  return (
    other.vpIndex === first.vpIndex + distance &&
    other.vcpuId === (first.vcpuId === null ? null : first.vcpuId + distance) &&
    sameFields.every((name) => isSame(other[name], first[name]))
  );
}

function isSame(left: unknown, right: unknown): boolean {
  if (!Array.isArray(left) || !Array.isArray(right)) return left === right;
  return left.length === right.length && left.every((item, index) => item === right[index]);
}
