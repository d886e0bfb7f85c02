/**
 * Our own reducer: from a case that shows a problem to the smallest one that still does. It knows nothing of kernels
 * or seeds; `stillFails` decides. Every step makes the case strictly lighter (`weigh`), so it ends, never grows a
 * case, and reducing twice changes nothing.
 */
import type { Case } from '../case/case.ts';
import { caseId } from '../case/case.ts';
import { simplerCases, withoutRemarks } from './simpler.ts';

export interface ReduceOptions {
  /** How often `stillFails` may be asked. */
  readonly attemptsMax: number;
  /** Asked before each attempt; true ends the search. */
  readonly shouldStop?: () => boolean;
}

export interface Reduction {
  readonly value: Case;
  readonly attempts: number;
  /** False when the search ended early: a smaller case may exist. */
  readonly complete: boolean;
}

/** The smallest case that the passes reach from `start`, which must itself fail. */
export async function reduce(
  start: Case,
  stillFails: (candidate: Case) => Promise<boolean>,
  { attemptsMax, shouldStop = () => false }: ReduceOptions,
): Promise<Reduction> {
  let value = withoutRemarks(start);
  let attempts = 0;
  const tried = new Set([caseId(value)]);
  let candidates = simplerCases(value);
  for (let next = candidates.next(); next.done !== true; next = candidates.next()) {
    const { value: candidate, pass } = next.value;
    const id = caseId(candidate);
    if (tried.has(id)) continue;
    if (attempts >= attemptsMax || shouldStop()) return { value, attempts, complete: false };
    tried.add(id);
    attempts++;
    if (!(await stillFails(candidate))) continue;
    value = candidate;
    candidates = simplerCases(value, pass);
  }
  return { value, attempts, complete: true };
}
