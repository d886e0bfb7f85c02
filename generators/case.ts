/** Cases: a machine and up to 64 steps. */
import fc from 'fast-check';
import { type Case, formatCase, type Machine, parseCase, type Step } from '../src/case/case.ts';
import { caseLimits } from '../src/case/limits.ts';
import { type ActPlan, actPlan } from './steps/act.ts';
import { buildCall, type CallPlan, callPlan } from './call/call.ts';
import { type ChangePlan, changePlan, enablePage, pageOf } from './steps/change.ts';
import { buildConcurrent, concurrentPlan } from './concurrent.ts';
import { wantsPage } from './call/entry.ts';
import { vcpuAt, vcpuNumber } from './integers.ts';
import { buildMachine, effectiveVpIndexes, type MachinePlan, machinePlan } from './machine/machine.ts';
import { choice, just, list, planOf, sometimes } from './plan.ts';
import type { PlatformPlan } from './machine/platform.ts';
import { simplerCases, withoutRemarks } from '../src/simplify/simpler.ts';
import type { Swarm } from './swarm.ts';
import { canRun } from '../src/case/machine.ts';
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
  readonly rest: readonly (CallPlan | ChangePlan | ActPlan | null)[];
}

/** Of ten steps of a counted case, so many are calls; the others are `run` steps. */
const callsOfTen = 9;

/** Cases as a swarm draws them. Any case, generated or saved, shrinks without context. */
export function caseArbitrary(swarm: Swarm): fc.Arbitrary<Case> {
  if (swarm.isConcurrent) return new CaseArbitrary(concurrentPlan(swarm), buildConcurrent);
  const call = callPlan(swarm);
  const step = choice<CallPlan | ChangePlan>(
    { weight: 100 - swarm.changePercent, arbitrary: call },
    { weight: swarm.changePercent, arbitrary: changePlan(swarm) },
  );
  const orAct = sometimes<CallPlan | ChangePlan | ActPlan | null>(callsOfTen, 10, step, null);
  const machine = machinePlan(swarm);
  const sender = vcpuNumber;
  const counted = sometimes(swarm.countedPercent, 100, just(true), false);
  const rest = list(
    choice<CallPlan | ChangePlan | ActPlan | null>(
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
    if (step === null) {
      if (counted) builder.run();
    } else if (!('do' in step)) builder.call(step);
    else if (step.do !== 'act') builder.change(step);
    else if (counted) builder.act(step);
  }
  const { steps } = builder;
  if (counted && !steps.some((step) => step.do === 'run')) {
    if (steps.length === caseLimits.steps) steps.pop();
    builder.run();
  }
  return { schema: caseSchemaName, why: '', origin: null, machine, steps };
}

/** Builds the steps of a case one after the other; what a plan asks for and the machine cannot do is left out. */
class StepBuilder {
  readonly steps: Step[] = [];
  readonly #machine: Machine;
  readonly #sender: number;
  readonly #usedVectors = new Set<number>();
  readonly #pages: bigint[] = [];
  /** Whether a vCPU can be a sender: it runs and has got no INIT. */
  readonly #runs: boolean[];
  /** Whether a vCPU can do something as a receiver. */
  readonly #acts: boolean[];
  /** Whether its APIC is enabled in software as well: writes of CR8 need that (`checkCase`). */
  readonly #isEnabled: boolean[];
  readonly #vpIndexes: number[];

  constructor(machine: Machine, sender: number) {
    this.#machine = machine;
    this.#sender = sender;
    this.#runs = machine.vcpus.map((_, position) => canRun(machine, position));
    const isHalting = machine.vcpus.some(({ idle }) => idle === 'halted');
    this.#acts = machine.vcpus.map(({ idle, apic }) => idle === 'parked' && apic !== 'hardware-disabled' && !isHalting);
    this.#isEnabled = machine.vcpus.map(({ apic }) => apic === 'x2apic' || apic === 'xapic');
    this.#vpIndexes = effectiveVpIndexes(machine);
  }

  run(): void {
    if (this.steps.length >= caseLimits.steps) return;
    this.steps.push({ do: 'run', note: '' });
  }

  call(plan: CallPlan): void {
    if (this.#pages.length === 0 && wantsPage(plan.entry)) this.change(enablePage);
    if (this.steps.length >= caseLimits.steps) return;
    const step = buildCall(plan, {
      index: this.steps.length,
      sender: firstFrom(this.#at(plan.sender ?? this.#sender), this.#runs),
      vpIndexes: this.#vpIndexes,
      usedVectors: this.#usedVectors,
      pages: this.#pages,
    });
    this.steps.push(step);
  }

  act(plan: ActPlan): void {
    if (this.steps.length >= caseLimits.steps || !this.#acts.includes(true)) return;
    const vcpu = firstFrom(this.#at(plan.vcpu), this.#acts);
    const by = plan.by === 'cr8' && !this.#isEnabled[vcpu]! ? 'apic' : plan.by;
    this.steps.push({ ...plan, by, vcpu });
  }

  change(plan: ChangePlan): void {
    if (this.steps.length >= caseLimits.steps) return;
    const { vcpus, irqchip } = this.#machine;
    const vcpu = this.#at(plan.vcpu);
    const step: ChangePlan = { ...plan, vcpu };
    if (step.do !== 'write-msr' && (irqchip === 'none' || vcpus.some(({ idle }) => idle === 'halted'))) return;
    if (step.do === 'init') {
      // Somebody must be left to send.
      if (this.#runs.filter(Boolean).length - Number(this.#runs[vcpu]) === 0) return;
      this.#runs[vcpu] = false;
    }
    if (step.do !== 'write-msr') this.#acts[vcpu] = this.#canActAfter(step);
    if (step.do === 'set-apic') this.#isEnabled[vcpu] = step.apic === 'enabled';
    const page = pageOf(step);
    if (page !== null) this.#pages.push(page);
    if (step.do === 'write-msr' && step.msr === 'vp-index') this.#vpIndexes[vcpu] = Number(step.value & 0xfffn);
    this.steps.push(step);
  }

  #at(number: number): number {
    return vcpuAt(number, this.#machine.vcpus.length);
  }

  /** A vCPU that got INIT, that waits for one, or whose APIC is hardware-disabled does nothing as a receiver. */
  #canActAfter(step: Exclude<ChangePlan, { do: 'write-msr' }>): boolean {
    const isParked = this.#machine.vcpus[step.vcpu]!.idle === 'parked';
    return step.do === 'set-apic' && step.apic !== 'hardware-disabled' && isParked && this.#runs[step.vcpu]!;
  }
}

/** The first position from one on, and then from the first, at which something holds; it holds somewhere. */
function firstFrom(position: number, holds: readonly boolean[]): number {
  const count = holds.length;
  for (let place = position; ; place = (place + 1) % count) if (holds[place]) return place;
}
