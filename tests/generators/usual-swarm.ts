import { vcpuNumbers } from '../../generators/integers.ts';
import { featureWeights, type Swarm } from '../../generators/swarm.ts';

/** Everything on at its usual weight. */
export const usualSwarm: Swarm = {
  stepCountMax: 31,
  vcpuCountMax: vcpuNumbers,
  countedPercent: 40,
  actPercent: 10,
  logsPprPercent: 10,
  haltedPerMille: 5,
  environmentPercent: 8,
  compatPercent: 10,
  flagsPercent: 2,
  changePercent: 5,
  noGuestOsIdPercent: 2,
  platform: null,
  neighbour: null,
  isPatient: false,
  otherSenderPercent: 10,
  breakCounts: [5, 4, 1],
  weights: featureWeights,
  isConcurrent: false,
  isLarge: false,
  huge: null,
};
