/** Swarms beyond those that a campaign draws: far from the usual, and between two that are good. */
import fc from 'fast-check';
import seedrandom from 'seedrandom';
import { type PlatformPlan, platformPlan } from '../../../generators/machine/platform.ts';
import { drawSwarm, type Feature, type Swarm } from '../../../generators/swarm.ts';

/** What decides how many cases get to see something at all, turned up. */
const turnedUp: readonly ((seed: number) => Partial<Swarm>)[] = [
  // Calls from other modes and CPLs, through the page, with the other instruction.
  () => ({ environmentPercent: 40 }),
  // Steps between calls that change the machine.
  () => ({ changePercent: 30 }),
  () => ({ noGuestOsIdPercent: 25 }),
  // Handlers that run, and vCPUs that do something as receivers.
  () => ({ countedPercent: 80, actPercent: 50 }),
  () => ({ haltedPerMille: 24 }),
  () => ({ isLarge: true }),
  // vCPUs whose CPUID lacks something, SynICs, kept VP indexes.
  (seed) => ({ platform: drawPlatform(seed) }),
  (seed) => ({ platform: { ...drawPlatform(seed), irqchip: 'none' } }),
  (seed) => ({ platform: { ...drawPlatform(seed), irqchip: 'split' } }),
  (seed) => ({ platform: { ...drawPlatform(seed), xen: true } }),
];

/** How many of these at a time, so that one does not hide another. */
const turnedAtATime = 2;
/** How much more a feature weighs that is on. */
const onFactor = 4;

/** A swarm with half of its features, each on at several times its weight, and two dials turned up. */
export function spreadSwarm(seed: number): Swarm {
  const random = seedrandom(`${seed}/spread`);
  const usual = drawSwarm(seed);
  const weights = mapWeights(usual, (_, weight) => (random() < 0.5 ? 0 : onFactor * weight));
  const turned = Array.from({ length: turnedAtATime }, () => turnedUp[Math.floor(random() * turnedUp.length)]!);
  return Object.assign({ ...usual, weights }, ...turned.map((turn) => turn(seed))) as Swarm;
}

/** Each weight and each dial from one of the two. */
export function crossSwarms(left: Swarm, right: Swarm, seed: number): Swarm {
  const random = seedrandom(`${seed}/cross`);
  const dials = Object.keys(left) as (keyof Swarm)[];
  const crossed = Object.fromEntries(dials.map((dial) => [dial, (random() < 0.5 ? left : right)[dial]]));
  const weights = mapWeights(left, (feature, weight) => (random() < 0.5 ? weight : right.weights[feature]));
  return { ...(crossed as unknown as Swarm), weights };
}

/** The same with vCPUs of another kind, where what the VMs are made with is not the usual. */
export function withOtherVcpus(swarm: Swarm, seed: number): Swarm {
  const { platform } = swarm;
  return platform === null ? swarm : { ...swarm, platform: { ...platform, vcpus: drawPlatform(seed).vcpus } };
}

function mapWeights(swarm: Swarm, change: (feature: Feature, weight: number) => number): Swarm['weights'] {
  const entries = Object.entries(swarm.weights) as [Feature, number][];
  return Object.fromEntries(entries.map(([feature, weight]) => [feature, change(feature, weight)])) as Swarm['weights'];
}

function drawPlatform(seed: number): PlatformPlan {
  return fc.sample(platformPlan, { seed, numRuns: 1 })[0]!;
}
