/**
 * What a VM cannot change once it is made: irqchip, Xen, vCPU ids, CPUID. A round draws one and keeps it for all of its
 * machines, because making a VM takes as long as hundreds of calls.
 */
import fc from 'fast-check';
import type { Machine, VcpuSetup } from '../../src/case/case.ts';
import { cpuidFeatures } from '../../src/case/limits.ts';
import { among, choice, integer, just, list, planOf, sometimes } from '../plan.ts';

export interface VcpuPlatform extends Pick<VcpuSetup, 'vcpuId' | 'lacks' | 'enforced'> {
  /**
   * Whether the vCPU keeps the VP index that it was made with: KVM refuses all that the host writes, or, where the vCPU has no
   * Hyper-V, the host writes none, since that alone gives it a Hyper-V context (kvm_hv_set_msr_common).
   */
  readonly keepsVpIndex: boolean;
  /** Whether it has auto-EOI SINTs, for which the SynIC must be turned on. */
  readonly hasSints: boolean;
}

export interface PlatformPlan extends Pick<Machine, 'irqchip'> {
  readonly xen: boolean;
  /** One for each vCPU of the machines. */
  readonly vcpus: readonly VcpuPlatform[];
}

export const plainVcpuPlatform: VcpuPlatform = {
  vcpuId: null,
  keepsVpIndex: false,
  lacks: [],
  enforced: false,
  hasSints: false,
};

/** Ids of up to four vCPUs: their positions, other orders, and ids far from them; some that have no room in eight bits. */
const idLists: readonly (readonly (number | null)[])[] = [
  [null, null, null, null],
  [3, 2, 1, 0],
  [1, 0, 2, 3],
  [0, 5, 200, 254],
  [8, 64, 65, 2],
  [256, 0, 300, 4094],
];

const oneFeature = among(...cpuidFeatures, 'xmm-input' as const);
const lacks = choice<VcpuSetup['lacks']>(
  { weight: 2, arbitrary: just([]) },
  // Only a vCPU that lacks nothing else comes to the question whether it has XMM input.
  { weight: 7, arbitrary: planOf((source) => [source.draw(oneFeature)]) },
  { weight: 3, arbitrary: fc.subarray<VcpuSetup['lacks'][number]>(['cluster-ipi', 'ex-masks', 'xmm-input']) },
);
const enforced = sometimes(1, 2, just(true), false);
const hasSints = sometimes(1, 2, just(true), false);
const keepsVpIndex = sometimes(1, 3, just(true), false);
const keepsNone = sometimes(2, 3, just(true), false);

const irqchip = among<Machine['irqchip']>('kernel', 'kernel', 'kernel', 'kernel', 'split', 'split', 'none');
const xen = sometimes(1, 5, just(true), false);
/** Position in `idLists`. */
const ids = sometimes(1, 2, integer(1, idLists.length - 1), 0);
const vcpus = list(
  planOf((source) => {
    const lacking = source.draw(lacks);
    return {
      keepsVpIndex: source.draw(lacking.includes('hyperv') ? keepsNone : keepsVpIndex),
      lacks: lacking,
      enforced: source.draw(enforced),
      hasSints: source.draw(hasSints),
    };
  }),
  1,
  idLists[0]!.length,
);

/** Draws platforms of one to four vCPUs. */
export const platformPlan = planOf<PlatformPlan>((source) => {
  const [drawnIrqchip, isXen, idList] = [source.draw(irqchip), source.draw(xen), idLists[source.draw(ids)]!];
  return {
    irqchip: drawnIrqchip,
    xen: isXen,
    vcpus: source.draw(vcpus).map((vcpu, position) => ({ vcpuId: idList[position]!, ...vcpu })),
  };
});
