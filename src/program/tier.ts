/** The tier of a program: delivery shows by what is pending, by the handlers that ran, or by a race. */
import { opens } from '../case/steps/environment.ts';
import { stepKinds } from '../case/steps/kinds.ts';
import type { Program, ProgramStep } from './program.ts';

/**
 * `pending`: no handler runs. `counted`: handlers run, of parked vCPUs in steps of their own or of halted ones.
 * `concurrent`: vCPUs run side by side.
 */
export const tiers = ['pending', 'counted', 'concurrent'] as const;
export type Tier = (typeof tiers)[number];

/** Whether a step is one in which vCPUs that are not halted take what is pending. */
export function takesInterrupts(step: ProgramStep): boolean {
  return step.kind === 'call' ? opens(step.environment) : stepKinds[step.kind].takesInterrupts;
}

export function tierOf({ machine, vcpus, steps }: Program): Tier {
  if (machine.schedule !== null) return 'concurrent';
  const isCounted = steps.some(takesInterrupts);
  return isCounted || vcpus.some(({ idle }) => idle === 'halted') ? 'counted' : 'pending';
}
