/** The handlers of two parts of one step, as those of the step. */
import type { StepOutcome } from '../outcome.ts';

/** What the handlers of all vCPUs log during a step. */
export type Arriving = Pick<StepOutcome, 'arrivals' | 'priorities'>;

export function joinedArrivals(first: Arriving, second: Arriving): Arriving {
  return {
    arrivals: first.arrivals.map((vectors, position) => [...vectors, ...second.arrivals[position]!]),
    priorities: first.priorities.map((classes, position) => [...classes, ...second.priorities[position]!]),
  };
}
