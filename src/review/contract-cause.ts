/**
 * Why two kernels differ although each keeps its contract: the point of the contract in which they differ. The case is
 * predicted once more for the first kernel, with that one point of the second.
 */
import { type Contract, contractFor, contractPoints } from '../../oracle/contract.ts';
import { predictUnder } from '../../oracle/model.ts';
import { viewOutcome } from '../campaign/text/view.ts';
import type { Program } from '../program/program.ts';
import type { TargetFacts } from '../executor/facts.ts';
import { type GuestDifference, viewDifferences } from './guest-difference.ts';

/** Name of the point that a difference comes from; null when no single one explains it. */
export function contractCause(
  program: Program,
  baseFacts: TargetFacts,
  kernelFacts: TargetFacts,
  { step, vcpu, what }: GuestDifference,
): keyof Contract | null {
  const [base, kernel] = [contractFor(baseFacts), contractFor(kernelFacts)];
  const wanted = viewOutcome(predictUnder(program, kernel));
  const names = Object.keys(contractPoints) as (keyof Contract)[];
  const cause = names.find((name) => {
    if (JSON.stringify(base[name]) === JSON.stringify(kernel[name])) return false;
    const so = viewOutcome(predictUnder(program, { ...base, [name]: kernel[name] }));
    return viewDifferences(so, wanted).every(
      (other) => other.step !== step || other.vcpu !== vcpu || other.what !== what,
    );
  });
  return cause ?? null;
}

/** Where that point is written down: the source of `contract <name>`, or null for another key. */
export function causeSource(key: string): string | null {
  const name = key.replace(/^contract /, '');
  return Object.values(contractPoints).find((point) => point.name === name)?.source ?? null;
}
