/** Steps in which a vCPU does something as a receiver. */
import fc from 'fast-check';
import { type ActStep, makeStep } from '../src/case/case.ts';
import { caseLimits, waitPoints } from '../src/case/limits.ts';
import { oneofFeatures, type Swarm } from './swarm.ts';

/** An `act` step; its vCPU is modulo machine size. */
export type ActPlan = ActStep;

const plain = makeStep({ do: 'act', act: 'take' });

/** Draws acts; fields that an act does not look at have their default. */
export function actPlan(swarm: Swarm): fc.Arbitrary<ActPlan> {
  const by = fc.constantFrom<ActStep['by'][]>('hv-msr', 'apic');
  const tpr = fc.oneof(
    { weight: 2, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 15 }) },
  );
  const act = (name: ActStep['act'], fields: { [Name in keyof ActStep]?: fc.Arbitrary<ActStep[Name]> } = {}) =>
    fc.record<ActPlan>(
      { ...constants({ ...plain, act: name }), vcpu: fc.nat(caseLimits.vcpus - 1), ...fields },
      { noNullPrototype: true },
    );
  return oneofFeatures<ActPlan>(swarm, {
    'act.take': act('take'),
    'act.enter': act('enter'),
    'act.leave': act('leave'),
    'act.setTpr': act('set-tpr', { by, tpr, open: fc.boolean() }),
    // With interrupts off, CR8 is not for cases (`checkAct`).
    'act.setCr8': act('set-tpr', { by: fc.constant('cr8'), tpr, open: fc.constant(true) }),
    'act.eoi': act('eoi', { by, open: fc.boolean() }),
    'act.wait': act('wait', { at: fc.constantFrom(...waitPoints) }),
  });
}

function constants<T extends object>(value: T): { [Name in keyof T]: fc.Arbitrary<T[Name]> } {
  const fields = Object.entries(value).map(([name, field]) => [name, fc.constant(field)]);
  return Object.fromEntries(fields) as { [Name in keyof T]: fc.Arbitrary<T[Name]> };
}
