/** Steps that are no calls: how each kind is drawn, and what becomes of a drawn one in a machine as earlier steps left it. */
import type fc from 'fast-check';
import type { ChangeStep, StepOf } from '../../src/case/steps/kinds.ts';
import { among, choice } from '../plan.ts';
import { type Feature, largeVcpus, oneofFeatures, type Swarm } from '../swarm.ts';
import { settleAct } from './act.ts';
import type { MachineState } from './machine-state.ts';
import { stepPlan } from './step-plan.ts';
import { settleWrite, writePlans } from './write-msr.ts';

/** The step that becomes of a plan whose vCPU is as `vcpuAt` has it; null where there is none to draw. */
type Settle<S> = (plan: S, state: MachineState) => S | null;

const settlers: { readonly [Kind in ChangeStep['do']]: Settle<StepOf<Kind>> } = {
  run: (plan) => plan,
  act: settleAct,
  'write-msr': settleWrite,
  // What would raise an exception in the guest is read by the host.
  'read-msr'(plan, state) {
    const step = { ...plan, vcpu: state.at(plan.vcpu) };
    return state.does(step) ? step : { ...step, by: 'host' };
  },
  'set-apic': atItsVcpu,
  init(plan, state) {
    const vcpu = state.at(plan.vcpu);
    // Somebody must be left to send.
    const others = state.firstFrom(vcpu + 1, (position) => position !== vcpu && state.runs(position));
    return others === null ? null : { ...plan, vcpu };
  },
  sipi(plan, state) {
    const vcpu = state.at(plan.vcpu);
    // Most often one that waits for it.
    const waiting = plan.page === 0 ? null : state.firstFrom(vcpu, (position) => !state.runs(position));
    return { ...plan, vcpu: waiting ?? vcpu };
  },
  // A VM of hundreds of vCPUs takes seconds to make.
  migrate: inFewVcpus,
  vmm: inFewVcpus,
};

/** Draws steps, each kind by its features. */
export function changePlan(swarm: Swarm): fc.Arbitrary<ChangeStep> {
  const readMsr = stepPlan('read-msr');
  const migrate = stepPlan('migrate');
  // A vCPU more costs some 16 ioctls more, so that with 70 of them one migration takes as long as ten other cases.
  const rareMigrate = choice<ChangeStep>({ weight: 7, arbitrary: readMsr }, { weight: 1, arbitrary: migrate });
  const plans: Partial<Record<Feature, fc.Arbitrary<ChangeStep>>> = {
    ...writePlans,
    'change.readMsr': readMsr,
    'change.apic': stepPlan('set-apic'),
    'change.migrate': swarm.isLarge || swarm.huge !== null ? rareMigrate : migrate,
    'change.vmm': stepPlan('vmm'),
    'change.sipi': stepPlan('sipi', { page: among(0, 1, 0x7f, 0x80, 0xff) }),
    'change.init': stepPlan('init'),
  };
  return oneofFeatures(swarm, plans);
}

/** The step of a plan; null where the machine cannot do it. */
export function settle(plan: ChangeStep, state: MachineState): ChangeStep | null {
  const step = (settlers[plan.do] as Settle<ChangeStep>)(plan, state);
  return step !== null && state.does(step) ? step : null;
}

function atItsVcpu<S extends { vcpu: number }>(plan: S, state: MachineState): S {
  return { ...plan, vcpu: state.at(plan.vcpu) };
}

function inFewVcpus<S>(plan: S, { machine }: MachineState): S | null {
  return machine.vcpus.length > largeVcpus ? null : plan;
}
