/** Cases that are simpler than a given one, which is what shrinking tries. */
import type { Case } from '../case/case.ts';
import { isWellFormed } from '../case/checks.ts';
import { passes } from './passes.ts';
import { isLighter, weigh } from './weight.ts';

export interface Simpler {
  readonly value: Case;
  /** The pass that proposed it. What comes of it is best looked at by the same pass first. */
  readonly pass: number;
}

/** What the passes propose and is lighter and well formed; the passes take their turns from one of them on. */
export function* simplerCases(value: Case, first = 0): Generator<Simpler> {
  const weight = weigh(value);
  for (let turn = 0; turn < passes.length; turn++) {
    const pass = (first + turn) % passes.length;
    for (const candidate of passes[pass]!(value)) {
      if (isLighter(weigh(candidate), weight) && isWellFormed(candidate)) yield { value: candidate, pass };
    }
  }
}

/** Notes were written about the case as it was. */
export function withoutRemarks(value: Case): Case {
  return { ...value, why: '', origin: null, steps: value.steps.map((step) => ({ ...step, note: '' })) };
}
