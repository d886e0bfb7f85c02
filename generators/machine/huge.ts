/** Machines of hundreds of vCPUs: few, because KVM walks all vCPUs of a VM whenever one is made or a LAPIC is set. */
import { caseLimits } from '../../src/case/limits.ts';
import { makeVcpu, type VcpuSetup } from '../../src/case/case.ts';
import { vcpuNumbers } from '../integers.ts';
import { among, choice, just, planOf } from '../plan.ts';

/** How many vCPUs a machine gets in all, and from which id on those have theirs that come behind the drawn ones. */
export interface HugePlan {
  readonly vcpuCount: number;
  /** Null: ids are positions. Else the ids of the others end with this one. */
  readonly lastId: number | null;
}

/** Around what bytes, xAPICs (255) and KVM_MAX_VCPUS of 6.1 (1,024) hold. Those of 1,024 take some 8 s to make in a lab. */
const counts = choice(
  { weight: 12, arbitrary: among(256, 257, 300) },
  { weight: 3, arbitrary: among(511, 520) },
  { weight: 1, arbitrary: just(caseLimits.vcpus) },
);
/** KVM_MAX_VCPU_IDS - 1 of 6.1, and an id that is no VP index of 6.1's. */
const lastId = among(null, null, caseLimits.vcpuId, caseLimits.vcpuId, 1600);

/** Draws sizes. */
export const hugePlan = planOf<HugePlan>((source) => ({
  vcpuCount: source.draw(counts),
  lastId: source.draw(lastId),
}));

/**
 * The vCPUs behind the drawn ones: all alike, in order. However many are drawn, ids are the same ones, so that the cases of a
 * round have one VM.
 */
export function othersOf({ vcpuCount, lastId: last }: HugePlan, drawnCount: number): VcpuSetup[] {
  return Array.from({ length: vcpuCount - drawnCount }, (_, place) => {
    const position = drawnCount + place;
    const hasOwnId = last !== null && position >= vcpuNumbers;
    return makeVcpu({ vpIndex: position, vcpuId: hasOwnId ? last - (vcpuCount - 1 - position) : null });
  });
}
