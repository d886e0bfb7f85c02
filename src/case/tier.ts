/** How a case shows what was delivered: by what is pending, or by the handlers that ran. */
import type { Case } from './case.ts';

/** `pending`: no handler runs. `counted`: handlers run, of parked vCPUs in steps of their own or of halted ones. */
export const tiers = ['pending', 'counted'] as const;
export type Tier = (typeof tiers)[number];

export function tierOf({ machine, steps }: Case): Tier {
  const isCounted = steps.some((step) => step.do === 'run' || step.do === 'act');
  return isCounted || machine.vcpus.some(({ idle }) => idle === 'halted') ? 'counted' : 'pending';
}
