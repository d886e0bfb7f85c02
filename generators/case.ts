/** Cases: a machine and up to 64 steps. */
import fc from 'fast-check';
import { type Case, caseSchemaName, formatCase, type Step } from '../src/case/case.ts';
import { caseLimits } from '../src/case/limits.ts';
import { buildCall, type CallPlan, callPlan } from './call.ts';
import { drawn } from './drawn.ts';
import { buildMachine, effectiveVpIndexes, type MachinePlan, machinePlan } from './machine.ts';
import { caseShape, leapsFrom, shapesOf, shapeToCase } from './shape.ts';
import { isSimpler } from './simpler.ts';
import { sometimes, type Swarm } from './swarm.ts';

interface CasePlan {
  readonly machine: MachinePlan;
  /** Who makes most of the calls, modulo machine size. */
  readonly sender: number;
  /** Whether the case has `run` steps; it decides how the case is observed, so it is one draw and not one a step. */
  readonly counted: boolean;
  /** Every case has a call; before it nothing could be pending. */
  readonly first: CallPlan;
  /** Null is a `run` step. */
  readonly rest: readonly (CallPlan | null)[];
}

/** Of ten steps of a counted case, so many are calls; the others are `run` steps. */
const callsOfTen = 9;

/** Cases as a swarm draws them. Any case, generated or saved, shrinks without context. */
export function caseArbitrary(swarm: Swarm): fc.Arbitrary<Case> {
  const call = callPlan(swarm);
  const plan = fc.record<CasePlan>(
    {
      machine: machinePlan(swarm),
      sender: fc.nat(caseLimits.vcpus - 1),
      counted: sometimes(swarm.countedPercent, 100, fc.constant(true), false),
      first: call,
      rest: fc.array(sometimes<CallPlan | null>(callsOfTen, 10, call, null), {
        maxLength: swarm.stepCountMax - 1,
        size: 'max',
      }),
    },
    { noNullPrototype: true },
  );
  return drawn({
    plan,
    build: buildCase,
    shape: caseShape,
    shapesOf,
    leapsFrom,
    ofShape: shapeToCase,
    isSimpler,
    keyOf: formatCase,
  });
}

function buildCase(plan: CasePlan): Case {
  const machine = buildMachine(plan.machine);
  const vpIndexes = effectiveVpIndexes(machine);
  const usedVectors = new Set<number>();
  const steps: Step[] = [];
  for (const step of [plan.first, ...plan.rest]) {
    if (step !== null)
      steps.push(buildCall(step, { index: steps.length, sender: plan.sender, vpIndexes, usedVectors }));
    else if (plan.counted) steps.push({ do: 'run', note: '' });
  }
  if (plan.counted && !steps.some((step) => step.do === 'run')) {
    if (steps.length === caseLimits.steps) steps.pop();
    steps.push({ do: 'run', note: '' });
  }
  return { schema: caseSchemaName, why: '', origin: null, machine, steps };
}
