/**
 * Swarm: a round first draws which features are on and how much they weigh, then its cases. A bug that one feature
 * hides from another (every call refused for its vector never reaches the bank parser) shows in a round without it.
 */
import fc from 'fast-check';
import { among, choice, just, planOf, sometimes } from './plan.ts';
import type { HugePlan } from './machine/huge.ts';
import { type NeighbourPlan, neighbourPlan } from './machine/neighbour.ts';
import { type PlatformPlan, platformPlan } from './machine/platform.ts';

/** Features and their usual weights, in groups that compete with each other: `group.feature`. */
export const featureWeights = {
  'layout.inOrder': 4,
  'layout.permuted': 3,
  'layout.sparse': 4,
  'layout.doubled': 1,
  'layout.mixed': 2,
  'apic.x2apic': 8,
  'apic.xapic': 5,
  'apic.softwareDisabled': 1,
  'apic.hardwareDisabled': 1,
  'preset.none': 20,
  'preset.tpr': 2,
  'preset.irr': 2,
  'preset.isr': 2,
  'preset.all': 1,
  'idle.parked': 12,
  'idle.uninitialized': 1,
  'idle.initReceived': 1,
  'eoi.hvMsr': 3,
  'eoi.apic': 2,
  'eoi.assist': 2,
  'eoi.none': 1,
  'mode.long': 5,
  'mode.compat': 3,
  'mode.protected32': 2,
  'mode.unpaged32': 2,
  'mode.protected16': 2,
  'mode.real': 1,
  'cpl.0': 5,
  'cpl.3': 2,
  'cpl.1': 2,
  'cpl.2': 2,
  'way.bare': 8,
  'way.page': 6,
  'way.otherOpcode': 1,
  'change.guestOsId': 3,
  'change.hypercall': 5,
  'change.vpIndex': 4,
  'change.apic': 4,
  'change.init': 2,
  'change.sipi': 2,
  'change.migrate': 6,
  'change.vmm': 5,
  'change.sint': 4,
  'change.readMsr': 6,
  'act.take': 4,
  'act.enter': 5,
  'act.leave': 4,
  'act.setTpr': 3,
  'act.setCr8': 3,
  'act.eoi': 4,
  'act.wait': 4,
  'call.sendIpi': 2,
  'call.sendIpiEx': 3,
  'form.slow': 1,
  'form.fast': 1,
  'vector.distinct': 10,
  'vector.repeated': 2,
  'vector.edge': 3,
  'set.vcpu': 10,
  'set.nearVcpu': 4,
  'set.edge': 4,
  'set.uniform': 2,
  'set.range': 2,
  'set.bank': 1,
  'set.spread': 2,
  'set.xmm': 2,
  'break.vector': 6,
  'break.variableHeader': 6,
  'break.mask': 5,
  'break.reservedBits': 4,
  'break.callCode': 1,
  'break.repCount': 4,
  'break.repStart': 4,
  'break.address': 6,
  'odd.all': 5,
  'odd.format': 3,
  'odd.emptyBanks': 3,
  'odd.moveBank': 2,
  'odd.maskAndHeader': 2,
  'odd.targetVtl': 2,
  'odd.padding': 2,
  'odd.address': 4,
  'odd.outputAddress': 2,
  'odd.tail': 3,
  'odd.rax': 1,
} as const;

export type Feature = keyof typeof featureWeights;

/** What a round draws from: a plain JSON value. */
export interface Swarm {
  readonly stepCountMax: number;
  readonly vcpuCountMax: number;
  /** Percentage of cases with `run` steps. */
  readonly countedPercent: number;
  /** Percentage of steps of counted cases in which a vCPU does something as a receiver. */
  readonly actPercent: number;
  /** Percentage of vCPUs whose handlers read PPR. */
  readonly logsPprPercent: number;
  /** How many of 1000 cases have halted vCPUs; those are slow. */
  readonly haltedPerMille: number;
  /** Percentage of calls that are not made by a bare instruction in 64-bit mode at CPL 0; each costs as much as four. */
  readonly environmentPercent: number;
  /**
   * Percentage of calls, of those that are left, that are made by a bare instruction in a 32-bit code segment of long mode:
   * KVM decodes those apart, and they cost no more than the plain ones.
   */
  readonly compatPercent: number;
  /** Percentage of calls whose caller has IF or TF set; one with IF is a KVM_RUN of its own. */
  readonly flagsPercent: number;
  /** Percentage of steps that change the machine. */
  readonly changePercent: number;
  /** Percentage of cases that start with GUEST_OS_ID 0. */
  readonly noGuestOsIdPercent: number;
  /** What all machines of the round are made with; null is an in-kernel irqchip and everything in CPUID. */
  readonly platform: PlatformPlan | null;
  /** A second VM of the host; null is none. */
  readonly neighbour: NeighbourPlan | null;
  /** Whether that one may be gone for more than a second, in which thousands of cases would run. `batch.ts` says which rounds. */
  readonly isPatient: boolean;
  /**
   * Percentage of calls by another sender than the case's usual one. Every change of sender is a KVM_RUN of its own, so
   * most rounds have few of them.
   */
  readonly otherSenderPercent: number;
  /** Weights of steps that break no rule, one, and two. */
  readonly breakCounts: readonly [none: number, one: number, two: number];
  readonly weights: Readonly<Record<Feature, number>>;
  /** Whether all cases of the round are concurrent ones: those run in a lab of their own. */
  readonly isConcurrent: boolean;
  /** Whether all machines of the round have `largeVcpus` vCPUs, unless a platform says otherwise. */
  readonly isLarge: boolean;
  /** Of a round with some machines of hundreds of vCPUs, how they are; null for others. `batch.ts` says which rounds. */
  readonly huge: HugePlan | null;
}

/**
 * vCPUs of a large machine: enough for two banks of VPs that exist, and few, because each has a LAPIC to set up and read.
 * One VM serves the round; it takes a third of a second to make, and each case a few milliseconds more.
 */
export const largeVcpus = 70;

const multiplier = among(0, 1, 1, 1, 2, 4);
const parts = {
  stepCountMax: among(2, 8, 16, 31, 64, 64, 64, 64),
  vcpuCountMax: among(2, 4, 8, 8),
  countedPercent: among(0, 40, 40, 80),
  actPercent: among(0, 0, 20, 50),
  logsPprPercent: among(0, 0, 0, 50),
  haltedPerMille: among(0, 0, 0, 24),
  environmentPercent: among(0, 0, 4, 4, 8, 8, 40),
  compatPercent: among(0, 0, 10, 10, 50),
  flagsPercent: among(0, 0, 0, 4, 20),
  changePercent: among(0, 0, 12, 40),
  noGuestOsIdPercent: among(0, 0, 0, 25),
  platform: sometimes<PlatformPlan | null>(4, 10, platformPlan, null),
  neighbour: sometimes<NeighbourPlan | null>(1, 4, neighbourPlan, null),
  isPatient: just(false),
  otherSenderPercent: among(0, 5, 5, 50),
  breakCounts: among<Swarm['breakCounts']>([1, 0, 0], [5, 4, 1], [5, 4, 1], [5, 4, 1], [3, 5, 2]),
  weights: planOf((source) => {
    const entries = Object.entries(featureWeights).map(([name, weight]) => [name, weight * source.draw(multiplier)]);
    return Object.fromEntries(entries) as Record<Feature, number>;
  }),
  isConcurrent: just(false),
  isLarge: sometimes(1, 40, just(true), false),
  huge: just(null),
} satisfies { [Name in keyof Swarm]: fc.Arbitrary<Swarm[Name]> };

/**
 * Draws swarms. On average a case has 20 steps, over which the cost of its set-up spreads; one batch in four has halted
 * vCPUs in at most 2.4 % of its cases.
 */
export const swarmPlan = planOf((source) => {
  const drawn = Object.entries(parts).map(([name, part]) => [name, source.draw<unknown>(part)]);
  return Object.fromEntries(drawn) as Swarm;
});

/** The swarm of a 32-bit seed. */
export function drawSwarm(seed: number): Swarm {
  return fc.sample(swarmPlan, { seed, numRuns: 1 })[0]!;
}

/**
 * One of the arbitraries, by the weights of their features. When the swarm has turned all of them off they have their
 * usual weights: a choice must be made.
 */
export function oneofFeatures<T>(swarm: Swarm, choices: Partial<Record<Feature, fc.Arbitrary<T>>>): fc.Arbitrary<T> {
  const features = Object.keys(choices) as Feature[];
  const allOff = features.every((feature) => swarm.weights[feature] === 0);
  const weights = allOff ? featureWeights : swarm.weights;
  return choice(...features.map((feature) => ({ weight: weights[feature], arbitrary: choices[feature]! })));
}
