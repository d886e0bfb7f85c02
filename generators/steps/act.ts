/** Steps in which a vCPU does something as a receiver. */
import fc from 'fast-check';
import { type ActStep, makeStep } from '../../src/case/case.ts';
import { waitPoints } from '../../src/case/steps/act.ts';
import { vcpuNumber } from '../integers.ts';
import { among, choice, integer, just, planOf } from '../plan.ts';
import type { MachineState } from './machine-state.ts';
import { oneofFeatures, type Swarm } from '../swarm.ts';

const plain = makeStep({ do: 'act', act: 'take' });

/** Draws acts; fields that an act does not look at have their default. */
export function actPlan(swarm: Swarm): fc.Arbitrary<ActStep> {
  const by = among<ActStep['by']>('hv-msr', 'apic');
  const tpr = choice({ weight: 2, arbitrary: just(0) }, { weight: 3, arbitrary: integer(1, 15) });
  const open = fc.boolean();
  const at = among(...waitPoints);
  const bare = (act: ActStep['act']) => planOf<ActStep>((source) => ({ ...plain, act, vcpu: source.draw(vcpuNumber) }));
  const setTpr = (way: fc.Arbitrary<ActStep['by']>, isOpen: fc.Arbitrary<boolean>) =>
    planOf<ActStep>((source) => ({
      ...plain,
      act: 'set-tpr',
      vcpu: source.draw(vcpuNumber),
      by: source.draw(way),
      tpr: source.draw(tpr),
      open: source.draw(isOpen),
    }));
  return oneofFeatures<ActStep>(swarm, {
    'act.take': bare('take'),
    'act.enter': bare('enter'),
    'act.leave': bare('leave'),
    'act.setTpr': setTpr(by, open),
    // With interrupts off, CR8 is not for cases (`checkAct`).
    'act.setCr8': setTpr(just('cr8'), just(true)),
    'act.eoi': planOf((source) => ({
      ...plain,
      act: 'eoi',
      vcpu: source.draw(vcpuNumber),
      by: source.draw(by),
      open: source.draw(open),
    })),
    'act.wait': planOf((source) => ({ ...plain, act: 'wait', vcpu: source.draw(vcpuNumber), at: source.draw(at) })),
  });
}

export function settleAct(plan: ActStep, state: MachineState): ActStep | null {
  const vcpu = state.firstFrom(state.at(plan.vcpu), (position) => state.acts(position));
  if (vcpu === null) return null;
  return { ...plan, by: plan.by === 'cr8' && !state.isEnabled(vcpu) ? 'apic' : plan.by, vcpu };
}
