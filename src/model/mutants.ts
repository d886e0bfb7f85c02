/**
 * Planted mutants: each is a KVM that is wrong in one way. They show that the pipeline still finds such a mistake, and
 * to which case it shrinks.
 */
import type { Mutant } from './mutant-parts.ts';
import { callerMutants } from './mutants-of-caller.ts';
import { deliveryMutants } from './mutants-of-delivery.ts';
import { inputMutants } from './mutants-of-input.ts';
import { receiverMutants } from './mutants-of-receivers.ts';
import { runningMutants } from './mutants-of-running.ts';

export const mutants: readonly Mutant[] = [
  ...inputMutants,
  ...deliveryMutants,
  ...callerMutants,
  ...receiverMutants,
  ...runningMutants,
];

/** The mutant of that name. */
export function findMutant(name: string): Mutant | undefined {
  return mutants.find((mutant) => mutant.name === name);
}
