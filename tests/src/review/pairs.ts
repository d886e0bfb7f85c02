/** Pairs of what two kernels made of a case, without kernels. */
import { type Case, makeCase, makeStep } from '../../../src/case/case.ts';
import { judgeObservation, prepare } from '../../../src/campaign/judgement.ts';
import { modelFacts, observationOf } from '../../../src/model/model-executor.ts';
import type { Observation } from '../../../src/program/observation.ts';
import type { Group } from '../../../src/review/compare.ts';
import { classify, type Pair, type Seen } from '../../../src/review/difference.ts';

/** A kernel that does what the contract says, but for what `alter` makes of it. */
export function seenOf(value: Case, alter: (observation: Observation) => Observation = (same) => same): Seen {
  const prepared = prepare(value, modelFacts);
  const observation = alter(observationOf(prepared.outcome, { exact: true }));
  return { prepared, facts: modelFacts, observation, judgement: judgeObservation(prepared, observation) };
}

/** A kernel that does not survive a case. */
export function failedOf(value: Case): Seen {
  const prepared = prepare(value, modelFacts);
  const judgement = { class: 'oops', signature: 'BUG: kernel NULL pointer in kvm_hv_send_ipi' } as const;
  return {
    prepared,
    facts: modelFacts,
    observation: null,
    judgement: { ...judgement, console: 'BUG', outcome: prepared.outcome },
  };
}

/** The status of a step is another one. */
export function withResult(step: number, result: bigint): (observation: Observation) => Observation {
  return (observation) => ({
    ...observation,
    steps: observation.steps.map((seen, index) => (index === step ? { ...seen, result } : seen)),
  });
}

/** What both kernels did with what a third case would have done: the second one does that. */
export function doesAs(other: Case): (observation: Observation) => Observation {
  return () => observationOf(prepare(other, modelFacts).outcome, { exact: true });
}

export function groupOf(pair: Pair, more: Partial<Group> = {}): Group {
  const { value } = pair.base.prepared;
  const found = classify(pair)!;
  return {
    ...found,
    value,
    pair,
    cases: 1,
    confirmed: '10/10',
    isRepeatable: true,
    path: '0:0',
    foundAfter: 1,
    ...more,
  };
}

/** A machine of so many vCPUs and a call to some of them, the step as often as it is wanted. */
export function caseOf(vcpus: number, targets: readonly number[], times = 1): Case {
  const step = makeStep({ do: 'send-ipi', targets: [...targets] });
  return makeCase(
    Array.from({ length: vcpus }, (_, position) => ({ vpIndex: position })),
    Array.from({ length: times }, () => step),
  );
}
