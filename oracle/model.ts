/**
 * The model: decode, first rule that applies, targets, what each vCPU does. `predict` walks a program with it. The
 * parts stand in one value so that a mutant replaces one part and the flow stays free of special cases.
 */
import type { Arrivals, LapicChanges } from '../src/case/observation.ts';
import type { Program, ProgramCall } from '../src/case/program.ts';
import type { TargetFacts } from '../src/executor/executor.ts';
import { type Contract, contractFor } from './contract.ts';
import { type Call, decodeCall } from './decode.ts';
import { acceptsInterrupts, acceptVector, takeableVectors, untouchedLapic, withoutPending } from './machine.ts';
import { ModelMemory } from './memory.ts';
import type { Outcome, StepOutcome } from './outcome.ts';
import { decide, kvmRules, type Reach, type Rule } from './rules.ts';
import { effectiveVpIndexes, selectTargets } from './targets.ts';

/** The parts of the model. A part is pure unless its owner says otherwise. */
export interface Model {
  readonly rules: readonly Rule[];
  readonly vpIndexes: typeof effectiveVpIndexes;
  readonly decode: typeof decodeCall;
  /** Positions of the vCPUs that a call reaches, ascending. */
  select(call: Call, reach: Reach, vpIndexes: readonly number[], sender: number): readonly number[];
  readonly accepts: typeof acceptsInterrupts;
  readonly accept: typeof acceptVector;
  /** Handlers that run when these vectors (highest first) are taken. */
  handlersFor(vectors: readonly number[]): readonly number[];
  /** The 64-bit result register of a status. */
  result(status: number): bigint;
}

const resultOfStatus: readonly bigint[] = Array.from({ length: 256 }, (_, status) => BigInt(status));

/** KVM as it is meant to be. */
export const kvmModel: Model = {
  rules: kvmRules,
  vpIndexes: effectiveVpIndexes,
  decode: decodeCall,
  select: selectTargets,
  accepts: acceptsInterrupts,
  accept: acceptVector,
  handlersFor: (vectors) => vectors,
  result: (status) => resultOfStatus[status]!,
};

/** Name of the rule that a `run` step carries in its outcome. */
const runRule = 'run';

/** What KVM does with a program, according to the model. */
export function predict(program: Program, facts: TargetFacts, model: Model = kvmModel): Outcome {
  const walk = new Walk(program, contractFor(facts), model);
  const steps = program.steps.map((step) => (step.kind === 'call' ? walk.call(step) : walk.run()));
  return { vpIndexes: walk.vpIndexes, steps };
}

/** The machine between two steps. Arrays that did not change are shared between outcomes. */
class Walk {
  readonly vpIndexes: readonly number[];
  readonly #program: Program;
  readonly #contract: Contract;
  readonly #model: Model;
  readonly #memory = new ModelMemory();
  readonly #accepts: readonly boolean[];
  readonly #nothingArrives: Arrivals;
  #lapics: readonly LapicChanges[];

  constructor(program: Program, contract: Contract, model: Model) {
    this.#program = program;
    this.#contract = contract;
    this.#model = model;
    this.vpIndexes = model.vpIndexes(program.vcpus, contract);
    this.#accepts = program.vcpus.map((vcpu) => model.accepts(vcpu));
    this.#nothingArrives = program.vcpus.map(() => []);
    this.#lapics = program.vcpus.map(() => untouchedLapic);
  }

  call(step: ProgramCall): StepOutcome {
    for (const write of step.writes) this.#memory.write(write);
    const call = this.#model.decode(step.registers, this.#memory, this.#contract);
    const rule = decide(this.#model.rules, call, this.#contract);
    const named = this.#model.select(call, rule.reach, this.vpIndexes, step.sender);
    const receivers = named.filter((position) => this.#accepts[position]!);
    const arrivals = this.#deliver(receivers, call.vector);
    const result = this.#model.result(rule.status);
    return { rule: rule.name, result, exception: null, receivers, arrivals, lapics: this.#lapics };
  }

  /** Parked vCPUs with an enabled LAPIC take what is pending (semantics.md 5.5 and 5.6). */
  run(): StepOutcome {
    const takers = this.#program.vcpus.flatMap(({ idle }, position) =>
      idle === 'parked' && this.#accepts[position]! ? [position] : [],
    );
    const arrivals = this.#take(takers);
    return { rule: runRule, result: null, exception: null, receivers: [], arrivals, lapics: this.#lapics };
  }

  /** Accepts a vector at each receiver; halted ones take it before the step ends. */
  #deliver(receivers: readonly number[], vector: number): Arrivals {
    if (receivers.length === 0) return this.#nothingArrives;
    const lapics = [...this.#lapics];
    let before: LapicChanges | null = null;
    let after = untouchedLapic;
    for (const position of receivers) {
      // vCPUs that are alike stay alike: one copy serves them all.
      if (lapics[position] !== before) {
        before = lapics[position]!;
        after = this.#model.accept(before, vector);
      }
      lapics[position] = after;
    }
    this.#lapics = lapics;
    return this.#take(receivers.filter((position) => this.#program.vcpus[position]!.idle === 'halted'));
  }

  #take(takers: readonly number[]): Arrivals {
    if (takers.length === 0) return this.#nothingArrives;
    const lapics = [...this.#lapics];
    const arrivals = [...this.#nothingArrives];
    for (const position of takers) {
      const vectors = takeableVectors(lapics[position]!);
      if (vectors.length === 0) continue;
      arrivals[position] = this.#model.handlersFor(vectors);
      lapics[position] = withoutPending(lapics[position]!, vectors);
    }
    this.#lapics = lapics;
    return arrivals;
  }
}
