/** The judgement of one case: the model's verdict, or the failure of the kernel that ran it. */
import { deviations, explainViolations } from '../../oracle/tlfs/deviations.ts';
import { predict } from '../../oracle/model.ts';
import { type JudgedCall, judgeByTlfs } from '../../oracle/tlfs/tlfs.ts';
import { unlistedDifference, unlistedSignature } from '../../oracle/tlfs/tlfs-text.ts';
import { settle } from '../../oracle/receivers/settle.ts';
import { judge } from '../../oracle/compare/verdict.ts';
import type { Difference, Outcome } from '../../oracle/outcome.ts';
import type { Case } from '../case/case.ts';
import { encodeCase } from '../program/encode.ts';
import type { Observation } from '../program/observation.ts';
import type { Program } from '../program/program.ts';
import type { TargetFacts } from '../executor/facts.ts';
import { isCall } from '../case/steps/kinds.ts';

/** Whose word cases are judged by. */
export const contractNames = ['kvm', 'tlfs'] as const;
export type ContractName = (typeof contractNames)[number];

/** A case with what both sides need of it: the program that runs and what the model permits. */
export interface Prepared {
  readonly value: Case;
  readonly program: Program;
  readonly outcome: Outcome;
  /** What TLFS says of each call, if KVM does what `outcome` says; null under the `kvm` contract. */
  readonly tlfs: readonly JudgedCall[] | null;
}

export type FailureClass = 'warning' | 'oops' | 'hang';
export type FindingClass = 'divergence' | FailureClass;

export interface Match {
  readonly class: 'match';
}

/** Under the `tlfs` contract: KVM left TLFS, and only where it is known to. */
export interface Deviating {
  readonly class: 'deviation';
  /** Names of the deviations, by their numbers. */
  readonly names: readonly string[];
  /** The same names as one text. */
  readonly signature: string;
}

export interface Divergence {
  readonly class: 'divergence';
  readonly signature: string;
  readonly differences: readonly Difference[];
  readonly outcome: Outcome;
  readonly observation: Observation;
}

/** The kernel under test, or the hand in it, did not survive. */
export interface Failure {
  readonly class: FailureClass;
  readonly signature: string;
  /** What the console showed, or the error that the executor gave. */
  readonly console: string;
  readonly outcome: Outcome;
}

export type Problem = Divergence | Failure;
export type Judgement = Match | Deviating | Problem;

export function prepare(value: Case, facts: TargetFacts, contract: ContractName = 'kvm'): Prepared {
  const program = encodeCase(value);
  const outcome = predict(program, facts);
  return { value, program, outcome, tlfs: contract === 'tlfs' ? judgeByTlfs(program, outcome, facts) : null };
}

/** A divergence from the `kvm` model comes first: after it nobody knows what state TLFS would be asked about. */
export function judgeObservation(
  { program, outcome: predicted, tlfs }: Prepared,
  observation: Observation,
): Match | Deviating | Divergence {
  const outcome = settle(predicted, observation);
  const verdict = judge(program, outcome, observation);
  if (verdict.kind === 'match') return judgePredicted(tlfs ?? [], outcome, observation);
  const { signature, differences } = verdict;
  return { class: 'divergence', signature, differences, outcome, observation };
}

/** What TLFS says where KVM did what the model predicts: nothing to complain of, listed deviations, or something new. */
function judgePredicted(
  calls: readonly JudgedCall[],
  outcome: Outcome,
  observation: Observation,
): Match | Deviating | Divergence {
  const explained = calls
    .filter(({ violations }) => violations.length > 0)
    .map((judged) => ({ judged, ...explainViolations(judged) }));
  const unlisted = explained.filter((one) => one.unlisted.length > 0);
  if (unlisted.length > 0) {
    const signature = unlistedSignature(unlisted[0]!.judged, unlisted[0]!.unlisted[0]!);
    const differences = unlisted.map(({ judged }) => unlistedDifference(judged));
    return { class: 'divergence', signature, differences, outcome, observation };
  }
  if (explained.length === 0) return { class: 'match' };
  const names = deviations.filter((one) => explained.some(({ known }) => known.includes(one))).map(({ name }) => name);
  return { class: 'deviation', names, signature: names.join(' ') };
}

export function isProblem(judgement: Judgement): judgement is Problem {
  return judgement.class !== 'match' && judgement.class !== 'deviation';
}

/** Whether two judgements are the same problem, so that one case may stand for the other. */
export function sameProblem(left: Judgement, right: Judgement): boolean {
  if (left.class === 'match' || right.class === 'match') return left.class === right.class;
  return left.class === right.class && left.signature === right.signature;
}

/** How many hypercalls a case makes. */
export function hypercallsOf(value: Case): number {
  return value.steps.filter(isCall).length;
}
