/**
 * What a VM cannot change once it is made: irqchip, Xen, vCPU ids, CPUID. A round draws one and keeps it for all of its
 * machines, because making a VM takes as long as hundreds of calls.
 */
import fc from 'fast-check';
import type { Machine, VcpuSetup } from '../src/case/case.ts';
import { cpuidFeatures } from '../src/case/limits.ts';
import { sometimes } from './sometimes.ts';

export interface VcpuPlatform extends Pick<VcpuSetup, 'vcpuId' | 'lacks' | 'enforced'> {
  /** Whether it has auto-EOI SINTs, for which the SynIC must be turned on. */
  readonly hasSints: boolean;
}

export interface PlatformPlan extends Pick<Machine, 'irqchip' | 'xen'> {
  /** One for each vCPU of the machines. */
  readonly vcpus: readonly VcpuPlatform[];
}

export const plainVcpuPlatform: VcpuPlatform = { vcpuId: null, lacks: [], enforced: false, hasSints: false };

/** Ids of up to four vCPUs: their positions, other orders, and ids far from them. */
const idLists: readonly (readonly (number | null)[])[] = [
  [null, null, null, null],
  [3, 2, 1, 0],
  [1, 0, 2, 3],
  [0, 5, 200, 254],
  [8, 64, 65, 2],
];

const lacks: fc.Arbitrary<VcpuSetup['lacks']> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<VcpuSetup['lacks']>([]) },
  // Only a vCPU that lacks nothing else comes to the question whether it has XMM input.
  { weight: 7, arbitrary: fc.constantFrom(...cpuidFeatures, 'xmm-input' as const).map(toList, fromList) },
  { weight: 3, arbitrary: fc.subarray<VcpuSetup['lacks'][number]>(['cluster-ipi', 'ex-masks', 'xmm-input']) },
);

/** Draws platforms of one to four vCPUs. */
export const platformPlan: fc.Arbitrary<PlatformPlan> = fc.record(
  {
    irqchip: fc.constantFrom<Machine['irqchip'][]>('kernel', 'kernel', 'kernel', 'kernel', 'split', 'split', 'none'),
    xen: sometimes(1, 5, fc.constant(true), false),
    vcpus: fc
      .tuple(
        sometimes(1, 4, fc.integer({ min: 1, max: idLists.length - 1 }), 0),
        fc.array(
          fc.tuple(lacks, sometimes(2, 3, fc.constant(true), false), sometimes(1, 2, fc.constant(true), false)),
          {
            minLength: 1,
            maxLength: idLists[0]!.length,
            size: 'max',
          },
        ),
      )
      .map(toVcpus, fromVcpus),
  },
  { noNullPrototype: true },
);

/** Position in `idLists`, and of each vCPU the other fields. */
type VcpuTuples = [ids: number, vcpus: [VcpuSetup['lacks'], enforced: boolean, hasSints: boolean][]];

function toVcpus([ids, vcpus]: VcpuTuples): VcpuPlatform[] {
  return vcpus.map(([missing, enforced, hasSints], position) => ({
    vcpuId: idLists[ids]![position]!,
    lacks: missing,
    enforced,
    hasSints,
  }));
}

function fromVcpus(value: unknown): VcpuTuples {
  const vcpus = value as VcpuPlatform[];
  const ids = idLists.findIndex((list) => vcpus.every(({ vcpuId }, position) => vcpuId === list[position]));
  return [ids, vcpus.map((vcpu) => [vcpu.lacks, vcpu.enforced, vcpu.hasSints])];
}

function toList<T>(item: T): T[] {
  return [item];
}

function fromList(list: unknown): VcpuSetup['lacks'][number] {
  return (list as VcpuSetup['lacks'])[0]!;
}
