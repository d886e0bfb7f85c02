/** The model: what KVM does with a program. */
import type { TargetFacts } from '../src/executor/facts.ts';
import type { Program } from '../src/program/program.ts';
import { type Contract, contractFor } from './contract.ts';
import { neighbourLapics } from './neighbour.ts';
import type { Outcome } from './outcome.ts';
import { kvmModel, type Model } from './parts.ts';
import { State } from './state/state.ts';
import { predictStep } from './steps/steps.ts';

/** What KVM does with a program, according to the model. */
export function predict(program: Program, facts: TargetFacts, model: Model = kvmModel): Outcome {
  return predictUnder(program, contractFor(facts), model);
}

/** As `predict`, for a KVM of that contract. */
export function predictUnder(program: Program, contract: Contract, model: Model = kvmModel): Outcome {
  const state = new State(program, contract, model);
  const { vpIndexes, lapics } = state;
  const steps = program.steps.map((step, index) => predictStep(step, index, state));
  const { hasLazyPpr } = contract;
  const neighbour = neighbourLapics(program.machine.neighbour, (one) => predictUnder(one, contract, model));
  return { vpIndexes, lapics, steps, hasLazyPpr, neighbour, memory: state.memory.changes() };
}
