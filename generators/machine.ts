/** Machines: one to eight vCPUs, their VP indexes and their APICs. */
import fc from 'fast-check';
import type { Machine, VcpuSetup } from '../src/case/case.ts';
import { refusedVpIndex, vpNumber, vpNumberEdge } from './integers.ts';
import { oneofFeatures, sometimes, type Swarm } from './swarm.ts';

/**
 * A vCPU before it knows its place. A negative index is a rank: vCPUs with ranks share out their own positions in the
 * order of the ranks, so equal ranks mean "index = position" and different ones a permutation.
 */
export interface VcpuPlan {
  readonly index: number;
  readonly apic: VcpuSetup['apic'];
  readonly eoi: VcpuSetup['eoi'];
}

export interface MachinePlan {
  readonly vcpus: readonly VcpuPlan[];
  /** Bit n: vCPU n is halted when it is no sender. */
  readonly halted: number;
}

/** First VP index that every kernel refuses. */
const vpIndexEnd = 4096;

/** Draws machines. */
export function machinePlan(swarm: Swarm): fc.Arbitrary<MachinePlan> {
  const apic = oneofFeatures<VcpuSetup['apic']>(swarm, {
    'apic.x2apic': fc.constant('x2apic'),
    'apic.xapic': fc.constant('xapic'),
    'apic.softwareDisabled': fc.constant('software-disabled'),
    'apic.hardwareDisabled': fc.constant('hardware-disabled'),
  });
  const eoi = oneofFeatures<VcpuSetup['eoi']>(swarm, {
    'eoi.hvMsr': fc.constant('hv-msr'),
    'eoi.apic': fc.constant('apic'),
  });
  const vcpus = (index: fc.Arbitrary<number>) =>
    fc.array(fc.record({ index, apic, eoi }, { noNullPrototype: true }), {
      minLength: 1,
      maxLength: swarm.vcpuCountMax,
      size: 'max',
    });
  const inOrder = fc.constant(-1);
  return fc.record(
    {
      vcpus: oneofFeatures(swarm, {
        'layout.inOrder': vcpus(inOrder),
        'layout.permuted': vcpus(fc.integer({ min: -1000, max: -1 })),
        'layout.sparse': vcpus(vpNumberEdge),
        'layout.doubled': vcpus(fc.constantFrom(0, 1, 64, 65)),
        'layout.mixed': vcpus(
          fc.oneof(
            { weight: 4, arbitrary: inOrder },
            { weight: 4, arbitrary: vpNumberEdge },
            { weight: 3, arbitrary: vpNumber },
            { weight: 1, arbitrary: refusedVpIndex },
          ),
        ),
      }),
      halted: sometimes(swarm.haltedPerMille, 1000, fc.integer({ min: 1, max: 0xff }), 0),
    },
    { noNullPrototype: true },
  );
}

/** The machine of a plan. */
export function buildMachine(plan: MachinePlan): Machine {
  const ranked = [...plan.vcpus.keys()].filter((position) => plan.vcpus[position]!.index < 0);
  const order = [...ranked].sort((a, b) => plan.vcpus[b]!.index - plan.vcpus[a]!.index || a - b);
  const vcpus = plan.vcpus.map(({ index, apic, eoi }, position): VcpuSetup => {
    const vpIndex = index < 0 ? ranked[order.indexOf(position)]! : index;
    return { vpIndex, apic, eoi, idle: (plan.halted >> position) & 1 ? 'halted' : 'parked' };
  });
  return { vcpus };
}

/** The VP index that a vCPU ends up with where kernels allow 4096: a refused write leaves the default, its position. */
export function effectiveVpIndex(vcpu: VcpuSetup, position: number): number {
  return vcpu.vpIndex < vpIndexEnd ? vcpu.vpIndex : position;
}

/** Effective VP indexes of a machine, in the order of its vCPUs. */
export function effectiveVpIndexes(machine: Machine): number[] {
  return machine.vcpus.map(effectiveVpIndex);
}
