/** Machines: one to eight vCPUs, rarely many, their VP indexes and their APICs. */
import { xapicIdMax } from '../../src/case/vcpus/vcpu-id.ts';
import type fc from 'fast-check';
import type { Machine, VcpuSetup } from '../../src/case/case.ts';
import { sintCount } from '../../src/case/limits.ts';
import {
  ascending,
  legalVector,
  legalVectorEdge,
  refusedVpIndex,
  repeatedVector,
  vcpuAt,
  vcpuNumbers,
  vpNumber,
  vpNumberEdge,
  anyWord,
} from '../integers.ts';
import { among, choice, evenly, integer, just, list, planOf, sometimes } from '../plan.ts';
import { type HugePlan, othersOf } from './huge.ts';
import { neighbourLifePlan } from './neighbour.ts';
import type { Neighbour } from '../../src/case/neighbour.ts';
import { plainVcpuPlatform, type PlatformPlan } from './platform.ts';

import { largeVcpus, oneofFeatures, type Swarm } from '../swarm.ts';
import { canHalt, defaultGuestOsId, defaultVmmAnswer } from '../../src/case/machine.ts';

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
  /** Where the vCPU has SINTs: handlers of auto-EOI vectors have no EOI to make, and one would hide a missing one. */
  readonly eoiWithSints: VcpuSetup['eoi'];
  readonly idle: VcpuSetup['idle'];
  readonly preset: Preset;
  readonly logsPpr: boolean;
  /** Used where the vCPU has SINTs; in any order. */
  readonly autoEoi: readonly number[];
}

export interface MachinePlan {
  readonly vcpus: readonly VcpuPlan[];
  /** Bit n: vCPU n, one of the first eight, is halted when it is no sender. */
  readonly halted: number;
  readonly hasGuestOsId: boolean;
  readonly neighbour: Neighbour | null;
  readonly vmmAnswer: bigint;
  readonly huge: HugePlan | null;
}

/** First VP index that every kernel refuses. */
const vpIndexEnd = 4096;

/** Status 0 and others, reps completed, reserved bits, any 64. */
const vmmAnswer = choice<bigint>(
  { weight: 6, arbitrary: just(defaultVmmAnswer) },
  { weight: 3, arbitrary: among(0n, 5n, 0xffffn, 1n << 32n, (0xfffn << 32n) | 3n, 1n << 63n, (1n << 64n) - 1n) },
  { weight: 1, arbitrary: anyWord },
);

/** Draws machines of at least so many vCPUs; with a platform they have as many as that. */
export function machinePlan(swarm: Swarm, vcpuCountMin = 1): fc.Arbitrary<MachinePlan> {
  const apic = oneofFeatures<VcpuSetup['apic']>(swarm, {
    'apic.x2apic': just('x2apic'),
    'apic.xapic': just('xapic'),
    'apic.softwareDisabled': just('software-disabled'),
    'apic.hardwareDisabled': just('hardware-disabled'),
  });
  const eoi = oneofFeatures<VcpuSetup['eoi']>(swarm, {
    'eoi.hvMsr': just('hv-msr'),
    'eoi.apic': just('apic'),
    'eoi.assist': just('assist'),
    'eoi.none': just('none'),
  });
  const eoiWithSints = evenly(just('none' as const), eoi);
  const idle = oneofFeatures<VcpuSetup['idle']>(swarm, {
    'idle.parked': just('parked'),
    'idle.uninitialized': just('uninitialized'),
    'idle.initReceived': just('init-received'),
  });
  const preset = presetPlan(swarm);
  const logsPpr = sometimes(swarm.logsPprPercent, 100, just(true), false);
  const { minLength, maxLength } = vcpuCounts(swarm, vcpuCountMin);
  const vcpus = (index: fc.Arbitrary<number>) =>
    list(
      planOf<VcpuPlan>((source) => ({
        index: source.draw(index),
        apic: source.draw(apic),
        eoi: source.draw(eoi),
        eoiWithSints: source.draw(eoiWithSints),
        idle: source.draw(idle),
        preset: source.draw(preset),
        logsPpr: source.draw(logsPpr),
        autoEoi: source.draw(sintVectors),
      })),
      minLength,
      maxLength,
    );
  const inOrder = just(-1);
  const layout = oneofFeatures(swarm, {
    'layout.inOrder': vcpus(inOrder),
    'layout.permuted': vcpus(integer(-1000, -1)),
    'layout.sparse': vcpus(vpNumberEdge),
    'layout.doubled': vcpus(among(0, 1, 64, 65)),
    'layout.mixed': vcpus(
      choice(
        { weight: 4, arbitrary: inOrder },
        { weight: 4, arbitrary: vpNumberEdge },
        { weight: 3, arbitrary: vpNumber },
        { weight: 1, arbitrary: refusedVpIndex },
      ),
    ),
  });
  const halted = sometimes(swarm.haltedPerMille, 1000, integer(1, 0xff), 0);
  const neighbour = neighbourLifePlan(swarm.neighbour, swarm.isPatient);
  // Of a round's cases few are so slow.
  const huge = swarm.huge === null ? just(null) : sometimes<HugePlan | null>(1, 12, just(swarm.huge), null);
  const hasGuestOsId = sometimes(swarm.noGuestOsIdPercent, 100, just(false), true);
  return planOf((source) => ({
    vcpus: source.draw(layout),
    halted: source.draw(halted),
    hasGuestOsId: source.draw(hasGuestOsId),
    neighbour: source.draw(neighbour),
    vmmAnswer: source.draw(vmmAnswer),
    huge: source.draw(huge),
  }));
}

/** The machine of a plan; the vCPU at `sender` runs, whatever the others do. */
export function buildMachine(plan: MachinePlan, platform: PlatformPlan | null, sender: number): Machine {
  const { irqchip, xen } = platform ?? { irqchip: 'kernel', xen: false };
  const ranked = [...plan.vcpus.keys()].filter((position) => plan.vcpus[position]!.index < 0);
  const order = [...ranked].sort((a, b) => plan.vcpus[b]!.index - plan.vcpus[a]!.index || a - b);
  const runner = plan.huge === null ? vcpuAt(sender, plan.vcpus.length) : vcpuAt(sender, plan.huge.vcpuCount);
  const vcpus = plan.vcpus.map((drawn, position): VcpuSetup => {
    const { index } = drawn;
    const { vcpuId, keepsVpIndex, lacks, enforced, hasSints } = platform?.vcpus[position] ?? plainVcpuPlatform;
    const hasLapic = irqchip !== 'none';
    // Wider IDs are for x2APICs.
    const apic = vcpuId !== null && vcpuId > xapicIdMax ? 'x2apic' : drawn.apic;
    const vpIndex = index < 0 ? ranked[order.indexOf(position)]! : index;
    const autoEoi = hasLapic && hasSints && !lacks.includes('hyperv') ? ascending(drawn.autoEoi) : [];
    const { tpr, irr, isr } = hasLapic ? drawn.preset : noPreset;
    const vcpu: VcpuSetup = {
      vpIndex: keepsVpIndex ? keptVpIndex(vpIndex, position, lacks) : vpIndex,
      apic,
      eoi: autoEoi.length > 0 ? drawn.eoiWithSints : drawn.eoi,
      vcpuId,
      lacks,
      enforced,
      logsPpr: drawn.logsPpr,
      autoEoi,
      idle: hasLapic ? drawn.idle : 'parked',
      tpr,
      irr,
      isr,
    };
    const halts = plan.huge === null && position < vcpuNumbers && (plan.halted >> position) & 1;
    if (halts && canHalt(vcpu, irqchip)) vcpu.idle = 'halted';
    else if (position === runner) vcpu.idle = 'parked';
    return vcpu;
  });
  const { neighbour, huge } = plan;
  return {
    irqchip,
    // Beside a VM with the MSR the flag alone does.
    xen: xen && neighbour?.life === 'beside' && neighbour.xen === 'msr' ? 'flag' : xen,
    guestOsId: plan.hasGuestOsId ? defaultGuestOsId : 0n,
    schedule: null,
    neighbour,
    vmmAnswer: xen ? defaultVmmAnswer : plan.vmmAnswer,
    vcpus: huge === null ? vcpus : [...vcpus, ...othersOf(huge, vcpus.length)],
  };
}

/** What a vCPU is given that keeps its VP index; see `keepsVpIndex`. */
function keptVpIndex(drawn: number, position: number, lacks: VcpuSetup['lacks']): number {
  if (lacks.includes('hyperv')) return position;
  return drawn < vpIndexEnd ? vpIndexEnd + drawn : drawn;
}

function vcpuCounts(
  { platform, vcpuCountMax, isLarge }: Swarm,
  vcpuCountMin: number,
): { minLength: number; maxLength: number } {
  if (platform === null && isLarge) return { minLength: largeVcpus, maxLength: largeVcpus };
  if (platform === null) return { minLength: vcpuCountMin, maxLength: vcpuCountMax };
  return { minLength: platform.vcpus.length, maxLength: platform.vcpus.length };
}

const noPreset: Preset = { tpr: 0, irr: [], isr: [] };

function presetPlan(swarm: Swarm): fc.Arbitrary<Preset> {
  const anyVector = evenly(legalVector, legalVectorEdge, classEdge);
  const someVectors = list(anyVector, 1, 3);
  const vectors = planOf((source) => ascending(source.draw(someVectors)));
  const noVectors = just<number[]>([]);
  const tpr = integer(1, 15);
  const preset = (ownTpr: fc.Arbitrary<number>, irr: fc.Arbitrary<number[]>, isr: fc.Arbitrary<number[]>) =>
    planOf<Preset>((source) => ({ tpr: source.draw(ownTpr), irr: source.draw(irr), isr: source.draw(isr) }));
  return oneofFeatures<Preset>(swarm, {
    'preset.none': just(noPreset),
    'preset.tpr': preset(tpr, noVectors, noVectors),
    'preset.irr': preset(just(0), vectors, noVectors),
    'preset.isr': preset(just(0), noVectors, vectors),
    'preset.all': preset(tpr, vectors, vectors),
  });
}

const anyClass = integer(1, 15);
/** Of each class, all its vectors. */
const classVectors = Array.from({ length: 16 }, (_, priorityClass) =>
  Array.from({ length: sintCount }, (__, place) => 16 * priorityClass + place),
);

/** Vectors of auto-EOI SINTs: some, among them those that calls often have, or all of a priority class. */
const sintVectors: fc.Arbitrary<readonly number[]> = evenly(
  list(evenly(legalVector, legalVectorEdge, repeatedVector), 1, sintCount),
  planOf((source) => classVectors[source.draw(anyClass)]!),
);

/** First and last vector of a priority class. */
const classEdge = among(...Array.from({ length: 15 }, (_, n) => [16 * (n + 1), 16 * (n + 1) + 15]).flat());

/** The VP index that a vCPU ends up with where kernels allow 4096: a refused write leaves the default, its position. */
export function effectiveVpIndex(vcpu: VcpuSetup, position: number): number {
  return vcpu.vpIndex < vpIndexEnd ? vcpu.vpIndex : position;
}

/** Effective VP indexes of a machine, in the order of its vCPUs. */
export function effectiveVpIndexes(machine: Pick<Machine, 'vcpus'>): number[] {
  return machine.vcpus.map(effectiveVpIndex);
}
