/** Cases: a machine and up to 64 steps. */
import fc from 'fast-check';
import { type Case, formatCase, type Machine, makeStep, parseCase, type Step } from '../src/case/case.ts';
import { caseLimits } from '../src/case/limits.ts';
import { actPlan } from './steps/act.ts';
import { buildCall, type CallPlan, callPlan } from './call/call.ts';
import { buildConcurrent, concurrentPlan } from './concurrent.ts';
import { wantsPage } from './call/environment.ts';
import { vcpuNumber } from './integers.ts';
import { buildMachine, type MachinePlan, machinePlan } from './machine/machine.ts';
import { choice, just, list, planOf, sometimes } from './plan.ts';
import type { PlatformPlan } from './machine/platform.ts';
import { simplerCases, withoutRemarks } from '../src/simplify/simpler.ts';
import { MachineState } from './steps/machine-state.ts';
import { changePlan, settle } from './steps/steps.ts';
import { enablePage } from './steps/write-msr.ts';
import { type ChangeStep, stepKinds } from '../src/case/steps/kinds.ts';
import type { Swarm } from './swarm.ts';
import { caseSchemaName } from '../src/case/schema.ts';

interface CasePlan {
  readonly machine: MachinePlan;
  /** Who makes most of the calls, as `vcpuAt` has it. */
  readonly sender: number;
  /** Whether the case has `run` steps; it decides how the case is observed, so it is one draw and not one a step. */
  readonly counted: boolean;
  /** Every case has a call; before it nothing could be pending. */
  readonly first: CallPlan;
  /** Null is a `run` step. */
  readonly rest: readonly (CallPlan | ChangeStep | null)[];
}

/** Of ten steps of a counted case, so many are calls; the others are `run` steps. */
const callsOfTen = 9;

/** Cases as a swarm draws them. Any case, generated or saved, shrinks without context. */
export function caseArbitrary(swarm: Swarm): fc.Arbitrary<Case> {
  if (swarm.isConcurrent) return new CaseArbitrary(concurrentPlan(swarm), buildConcurrent);
  const call = callPlan(swarm);
  const step = choice<CallPlan | ChangeStep>(
    { weight: 100 - swarm.changePercent, arbitrary: call },
    { weight: swarm.changePercent, arbitrary: changePlan(swarm) },
  );
  const orAct = sometimes<CallPlan | ChangeStep | null>(callsOfTen, 10, step, null);
  const machine = machinePlan(swarm);
  const sender = vcpuNumber;
  const counted = sometimes(swarm.countedPercent, 100, just(true), false);
  const rest = list(
    choice<CallPlan | ChangeStep | null>(
      { weight: 100 - swarm.actPercent, arbitrary: orAct },
      { weight: swarm.actPercent, arbitrary: actPlan(swarm) },
    ),
    0,
    swarm.stepCountMax - 1,
  );
  const plan = planOf<CasePlan>((source) => ({
    machine: source.draw(machine),
    sender: source.draw(sender),
    counted: source.draw(counted),
    first: source.draw(call),
    rest: source.draw(rest),
  }));
  return new CaseArbitrary(plan, (one) => buildCase(one, swarm.platform));
}

/**
 * Draws by plan, which wants weights, relative references and whole families of mistakes. A case shrinks as the reducer
 * shrinks it, whoever made it: a saved one that is given as an example needs no context.
 */
class CaseArbitrary<Plan> extends fc.Arbitrary<Case> {
  readonly #plan: fc.Arbitrary<Plan>;
  readonly #build: (plan: Plan) => Case;

  constructor(plan: fc.Arbitrary<Plan>, build: (plan: Plan) => Case) {
    super();
    this.#plan = plan;
    this.#build = build;
  }

  override generate(random: fc.Random, biasFactor: number | undefined): fc.Value<Case> {
    return new fc.Value(this.#build(this.#plan.generate(random, biasFactor).value), undefined);
  }

  override canShrinkWithoutContext(value: unknown): value is Case {
    try {
      parseCase(formatCase(value as Case));
      return true;
    } catch {
      return false;
    }
  }

  override shrink(value: Case, pass: unknown): fc.Stream<fc.Value<Case>> {
    const simpler = fc.stream(simplerCases(withoutRemarks(value), pass as number | undefined));
    return simpler.map((one) => new fc.Value(one.value, one.pass));
  }
}

function buildCase(plan: CasePlan, platform: PlatformPlan | null): Case {
  const machine = buildMachine(plan.machine, platform, plan.sender);
  const counted = plan.counted && machine.irqchip !== 'none';
  const builder = new StepBuilder(machine, plan.sender);
  for (const step of [plan.first, ...plan.rest]) {
    if (step !== null && !('do' in step)) builder.call(step);
    else if (counted || !stepKinds[(step ?? run).do].takesInterrupts) builder.add(step ?? run);
  }
  const { steps } = builder;
  if (counted && !steps.some((step) => step.do === 'run')) {
    if (steps.length === caseLimits.steps) steps.pop();
    builder.add(run);
  }
  return { schema: caseSchemaName, why: '', origin: null, machine, steps };
}

const run = makeStep({ do: 'run' });

/** Builds the steps of a case one after the other. */
class StepBuilder {
  readonly steps: Step[] = [];
  readonly #sender: number;
  readonly #state: MachineState;
  readonly #usedVectors = new Set<number>();

  constructor(machine: Machine, sender: number) {
    this.#sender = sender;
    this.#state = new MachineState(machine);
  }

  call(plan: CallPlan): void {
    const state = this.#state;
    const { pages, vpIndexes } = state;
    if (pages.length === 0 && wantsPage(plan.environment)) this.add(enablePage);
    if (this.steps.length >= caseLimits.steps) return;
    const step = buildCall(plan, {
      index: this.steps.length,
      sender: state.senderFrom(plan.sender ?? this.#sender),
      vpIndexes,
      usedVectors: this.#usedVectors,
      pages,
      sint: state.sint,
      canOpen: state.canOpen,
    });
    this.steps.push(step);
  }

  add(plan: ChangeStep): void {
    const step = this.steps.length >= caseLimits.steps ? null : settle(plan, this.#state);
    if (step !== null) this.steps.push(step);
  }
}
