/** How a program shows what was delivered: by what is pending, by the handlers that ran, or by a race. */
import type { Program } from './program.ts';

/**
 * `pending`: no handler runs. `counted`: handlers run, of parked vCPUs in steps of their own or of halted ones.
 * `concurrent`: vCPUs run side by side.
 */
export const tiers = ['pending', 'counted', 'concurrent'] as const;
export type Tier = (typeof tiers)[number];

export function tierOf({ machine, vcpus, steps }: Program): Tier {
  if (machine.schedule !== null) return 'concurrent';
  const isCounted = steps.some(({ kind }) => kind === 'run' || kind === 'act');
  return isCounted || vcpus.some(({ idle }) => idle === 'halted') ? 'counted' : 'pending';
}
