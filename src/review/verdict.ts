/** The verdict of a review, from which both its text and its exit code follow. */
import { isDifferent } from './text/comparison-summary.ts';
import { type Exercise, type Exercised, exercised } from './exercise.ts';
import { sameModules } from './kernel-identity.ts';
import type { SideBySide } from './side-by-side.ts';

/**
 * `changed`: a guest sees a difference. Else, `same-modules`: nothing that ran differs at all; `unmeasured`: nobody counted;
 * or how much of what is touched has run.
 */
export type Verdict = 'changed' | 'same-modules' | 'unmeasured' | Exercised;

export function verdictOf(
  comparison: Pick<SideBySide, 'groups' | 'offers' | 'base' | 'kernel'>,
  exercises: readonly Exercise[] | null,
): Verdict {
  if (isDifferent(comparison)) return 'changed';
  if (sameModules(comparison.base, comparison.kernel) !== null) return 'same-modules';
  return exercises === null ? 'unmeasured' : exercised(exercises);
}
