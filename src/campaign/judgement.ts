/** What came of running one case: the model's verdict, or the failure of the kernel that ran it. */
import { predict } from '../../oracle/model.ts';
import { judge } from '../../oracle/verdict.ts';
import type { Difference, Outcome } from '../../oracle/outcome.ts';
import type { Case } from '../case/case.ts';
import { encodeCase } from '../case/encode.ts';
import type { Observation } from '../case/observation.ts';
import type { Program } from '../case/program.ts';
import type { TargetFacts } from '../executor/executor.ts';

/** A case with what both sides need of it: the program that runs and what the model permits. */
export interface Prepared {
  readonly value: Case;
  readonly program: Program;
  readonly outcome: Outcome;
}

export type FailureClass = 'warning' | 'oops' | 'hang';
export type FindingClass = 'divergence' | FailureClass;

export interface Match {
  readonly class: 'match';
}

export interface Divergence {
  readonly class: 'divergence';
  readonly signature: string;
  readonly differences: readonly Difference[];
  readonly outcome: Outcome;
  readonly observation: Observation;
}

/** The kernel under test, or the agent in it, did not survive. */
export interface Failure {
  readonly class: FailureClass;
  readonly signature: string;
  /** What the console showed, or the error that the executor gave. */
  readonly console: string;
  readonly outcome: Outcome;
}

export type Problem = Divergence | Failure;
export type Judgement = Match | Problem;

export function prepare(value: Case, facts: TargetFacts): Prepared {
  const program = encodeCase(value);
  return { value, program, outcome: predict(program, facts) };
}

export function judgeObservation({ program, outcome }: Prepared, observation: Observation): Match | Divergence {
  const verdict = judge(program, outcome, observation);
  if (verdict.kind === 'match') return { class: 'match' };
  const { signature, differences } = verdict;
  return { class: 'divergence', signature, differences, outcome, observation };
}

/** Whether two judgements are the same problem, so that one case may stand for the other. */
export function sameProblem(left: Judgement, right: Judgement): boolean {
  if (left.class === 'match' || right.class === 'match') return left.class === right.class;
  return left.class === right.class && left.signature === right.signature;
}

/** How many hypercalls a case makes. */
export function hypercallsOf(value: Case): number {
  return value.steps.filter((step) => step.do !== 'run').length;
}
