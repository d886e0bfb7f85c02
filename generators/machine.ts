/** Machines: one to eight vCPUs, their VP indexes and their APICs. */
import fc from 'fast-check';
import type { Machine, VcpuSetup } from '../src/case/case.ts';
import { canHalt } from '../src/case/checks.ts';
import { sintCount } from '../src/case/limits.ts';
import { defaultGuestOsId } from '../src/case/schema.ts';
import { ascending, legalVector, legalVectorEdge, refusedVpIndex, vpNumber, vpNumberEdge } from './integers.ts';
import { plainVcpuPlatform, type PlatformPlan } from './platform.ts';
import { sometimes } from './sometimes.ts';
import { oneofFeatures, type Swarm } from './swarm.ts';

/** What is in a local APIC before the first step. */
type Preset = Pick<VcpuSetup, 'tpr' | 'irr' | 'isr'>;

/**
 * A vCPU before it knows its place. A negative index is a rank: vCPUs with ranks share out their own positions in the
 * order of the ranks, so equal ranks mean "index = position" and different ones a permutation.
 */
export interface VcpuPlan {
  readonly index: number;
  readonly apic: VcpuSetup['apic'];
  readonly eoi: VcpuSetup['eoi'];
  readonly idle: VcpuSetup['idle'];
  readonly preset: Preset;
  readonly logsPpr: boolean;
  /** Used where the vCPU has SINTs. */
  readonly autoEoi: readonly number[];
}

export interface MachinePlan {
  readonly vcpus: readonly VcpuPlan[];
  /** Bit n: vCPU n is halted when it is no sender. */
  readonly halted: number;
  readonly hasGuestOsId: boolean;
}

/** First VP index that every kernel refuses. */
const vpIndexEnd = 4096;

/** Draws machines of at least so many vCPUs; with a platform they have as many as that. */
export function machinePlan(swarm: Swarm, vcpuCountMin = 1): fc.Arbitrary<MachinePlan> {
  const apic = oneofFeatures<VcpuSetup['apic']>(swarm, {
    'apic.x2apic': fc.constant('x2apic'),
    'apic.xapic': fc.constant('xapic'),
    'apic.softwareDisabled': fc.constant('software-disabled'),
    'apic.hardwareDisabled': fc.constant('hardware-disabled'),
  });
  const eoi = oneofFeatures<VcpuSetup['eoi']>(swarm, {
    'eoi.hvMsr': fc.constant('hv-msr'),
    'eoi.apic': fc.constant('apic'),
    'eoi.assist': fc.constant('assist'),
    'eoi.none': fc.constant('none'),
  });
  const idle = oneofFeatures<VcpuSetup['idle']>(swarm, {
    'idle.parked': fc.constant('parked'),
    'idle.uninitialized': fc.constant('uninitialized'),
    'idle.initReceived': fc.constant('init-received'),
  });
  const preset = presetPlan(swarm);
  const logsPpr = sometimes(swarm.logsPprPercent, 100, fc.constant(true), false);
  const { minLength, maxLength } = vcpuCounts(swarm, vcpuCountMin);
  const vcpus = (index: fc.Arbitrary<number>) =>
    fc.array(fc.record({ index, apic, eoi, idle, preset, logsPpr, autoEoi: sintVectors }, { noNullPrototype: true }), {
      minLength,
      maxLength,
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
      hasGuestOsId: sometimes(swarm.noGuestOsIdPercent, 100, fc.constant(false), true),
    },
    { noNullPrototype: true },
  );
}

/** The machine of a plan; the vCPU at `sender` runs, whatever the others do. */
export function buildMachine(plan: MachinePlan, platform: PlatformPlan | null, sender: number): Machine {
  const { irqchip, xen } = platform ?? { irqchip: 'kernel', xen: false };
  const ranked = [...plan.vcpus.keys()].filter((position) => plan.vcpus[position]!.index < 0);
  const order = [...ranked].sort((a, b) => plan.vcpus[b]!.index - plan.vcpus[a]!.index || a - b);
  const vcpus = plan.vcpus.map(({ index, apic, eoi, idle, preset, logsPpr, ...drawn }, position): VcpuSetup => {
    const vpIndex = index < 0 ? ranked[order.indexOf(position)]! : index;
    const { hasSints, ...own } = platform?.vcpus[position] ?? plainVcpuPlatform;
    const bare = { vpIndex, apic, eoi, ...own, logsPpr, autoEoi: [] };
    if (irqchip === 'none') return { ...bare, idle: 'parked', ...noPreset };
    const autoEoi = hasSints && !own.lacks.includes('hyperv') ? [...drawn.autoEoi] : [];
    const vcpu: VcpuSetup = { ...bare, idle, autoEoi, ...preset };
    if ((plan.halted >> position) & 1 && canHalt(vcpu, irqchip)) return { ...vcpu, idle: 'halted' };
    return position === sender % plan.vcpus.length ? { ...vcpu, idle: 'parked' } : vcpu;
  });
  return { irqchip, xen, guestOsId: plan.hasGuestOsId ? defaultGuestOsId : 0n, schedule: null, vcpus };
}

function vcpuCounts({ platform, vcpuCountMax }: Swarm, vcpuCountMin: number): { minLength: number; maxLength: number } {
  if (platform === null) return { minLength: vcpuCountMin, maxLength: vcpuCountMax };
  return { minLength: platform.vcpus.length, maxLength: platform.vcpus.length };
}

const noPreset: Preset = { tpr: 0, irr: [], isr: [] };

function presetPlan(swarm: Swarm): fc.Arbitrary<Preset> {
  const vectors = fc
    .array(fc.oneof(legalVector, legalVectorEdge, classEdge), { minLength: 1, maxLength: 3, size: 'max' })
    .map(ascending, asList);
  const tpr = fc.integer({ min: 1, max: 15 });
  const preset = (fields: { [Name in keyof Preset]?: fc.Arbitrary<Preset[Name]> }) =>
    fc.record<Preset>(
      { tpr: fc.constant(0), irr: fc.constant([]), isr: fc.constant([]), ...fields },
      { noNullPrototype: true },
    );
  return oneofFeatures<Preset>(swarm, {
    'preset.none': fc.constant(noPreset),
    'preset.tpr': preset({ tpr }),
    'preset.irr': preset({ irr: vectors }),
    'preset.isr': preset({ isr: vectors }),
    'preset.all': preset({ tpr, irr: vectors, isr: vectors }),
  });
}

/** Vectors of auto-EOI SINTs: some, among them those that calls often have, or all of a priority class. */
const sintVectors: fc.Arbitrary<readonly number[]> = fc.oneof(
  fc
    .array(fc.oneof(legalVector, legalVectorEdge), { minLength: 1, maxLength: sintCount, size: 'max' })
    .map(ascending, asList),
  fc.integer({ min: 1, max: 15 }).map(classVectors, firstClass),
);

function classVectors(priorityClass: number): number[] {
  return Array.from({ length: sintCount }, (_, place) => 16 * priorityClass + place);
}

function firstClass(vectors: unknown): number {
  return (vectors as number[])[0]! >>> 4;
}

/** First and last vector of a priority class. */
const classEdge = fc.constantFrom(...Array.from({ length: 15 }, (_, n) => [16 * (n + 1), 16 * (n + 1) + 15]).flat());

function asList(value: unknown): number[] {
  return value as number[];
}

/** The VP index that a vCPU ends up with where kernels allow 4096: a refused write leaves the default, its position. */
export function effectiveVpIndex(vcpu: VcpuSetup, position: number): number {
  return vcpu.vpIndex < vpIndexEnd ? vcpu.vpIndex : position;
}

/** Effective VP indexes of a machine, in the order of its vCPUs. */
export function effectiveVpIndexes(machine: Pick<Machine, 'vcpus'>): number[] {
  return machine.vcpus.map(effectiveVpIndex);
}
