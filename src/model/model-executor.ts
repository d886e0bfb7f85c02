/**
 * The executor that needs no KVM: it answers from the model, or from a planted mutant of it. It is the canary: it
 * shows that the rest of the pipeline still finds mistakes.
 */
import type { Observation, StepObservation } from '../program/observation.ts';
import type { Program } from '../program/program.ts';
import { predict } from '../../oracle/model.ts';
import { kvmModel } from '../../oracle/parts.ts';
import { type Outcome, ripOffsetOf } from '../../oracle/outcome.ts';
import type { Executor, RunOptions } from '../executor/executor.ts';
import type { TargetFacts } from '../executor/facts.ts';
import { InfrastructureError } from '../errors.ts';
import type { Mutant } from './mutant-parts.ts';
import { findMutant, mutants } from './mutants.ts';

export const modelFacts: TargetFacts = {
  target: 'model',
  kernelRelease: 'model',
  cpu: 'model',
  kvmMaxVcpus: 4096,
  irqchips: ['kernel', 'split', 'none'],
  xen: true,
  kvmOptions: '',
  emulator: null,
};

/**
 * Opens the model as an executor.
 *
 * @param mutant name of a planted mutant; none is KVM as the model describes it.
 * @throws InfrastructureError when no mutant has that name.
 */
export function openModelExecutor(mutant?: string): Executor {
  const planted = mutant === undefined ? null : findMutant(mutant);
  if (planted === undefined) {
    const names = mutants.map(({ name }) => name).join(', ');
    throw new InfrastructureError(`the model has no mutant "${mutant}"; it has ${names}`);
  }
  return {
    facts: modelFacts,
    run: (programs, options) => Promise.resolve(runAll(programs, options, planted)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** What an executor sees that observes exactly the outcome. */
export function observationOf(outcome: Outcome, { exact, quiet = false }: RunOptions): Observation {
  const isConcurrent = outcome.steps.some(({ leeway }) => leeway !== null);
  const steps = outcome.steps.map(
    ({ result, exception, exit, registers, arrivals, priorities, lapics }): StepObservation => ({
      result,
      exception: exception === null ? null : { vector: exception, ripOffset: ripOffsetOf({ result, exception }) },
      exit,
      registers,
      arrivals,
      priorities,
      leftovers: [],
      lapics: exact && !quiet && !isConcurrent ? lapics : null,
    }),
  );
  const lapics = outcome.steps.at(-1)?.lapics ?? [];
  return {
    vpIndexes: outcome.vpIndexes,
    steps,
    lapics,
    neighbour: outcome.neighbour,
    memory: outcome.memory,
    stopped: null,
  };
}

function runAll(programs: readonly Program[], options: RunOptions, mutant: Mutant | null): Observation[] {
  const observations = programs.map((program) => runOne(program, options, mutant));
  if (options.exact) return observations;
  // As on KVM: what a mutant wrote besides what was to be written has no known author in a batch.
  const stray = observations.flatMap(({ memory }, index) => {
    if (memory.length === 0) return memory;
    const expected = predict(programs[index]!, modelFacts).memory;
    return memory.filter(({ gpa }) => !expected.some((change) => change.gpa === gpa));
  });
  return stray.length === 0 ? observations : observations.map((observation) => ({ ...observation, memory: stray }));
}

function runOne(program: Program, options: RunOptions, mutant: Mutant | null): Observation {
  const outcome = predict(program, modelFacts, { ...kvmModel, ...mutant?.createParts?.() });
  const observation = observationOf(outcome, options);
  return mutant?.observe?.(observation, outcome, program) ?? observation;
}
