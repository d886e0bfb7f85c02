/** Steps that are no calls, drawn by the schema of their kind. */
import type fc from 'fast-check';
import { type ChangeStep, stepKinds, type StepOf } from '../../src/case/steps/kinds.ts';
import { fieldsOf } from '../../src/case/steps/step-fields.ts';
import { vcpuNumber } from '../integers.ts';
import { among, planOf } from '../plan.ts';

type Given<Step> = { readonly [Name in keyof Step]?: fc.Arbitrary<Step[Name]> };

/**
 * Draws fields as they are given, a vCPU as `vcpuAt` has it, and any of the words of others, in the order of the schema. A
 * number that is not given is at its default.
 */
export function stepPlan<Kind extends ChangeStep['do']>(
  kind: Kind,
  given: Given<StepOf<Kind>> = {},
): fc.Arbitrary<StepOf<Kind>> {
  const parts = fieldsOf(kind).flatMap(({ name, words }): [string, fc.Arbitrary<unknown>][] => {
    const own = (given as Readonly<Record<string, fc.Arbitrary<unknown>>>)[name];
    if (own !== undefined) return [[name, own]];
    if (name === 'vcpu') return [[name, vcpuNumber]];
    return words === null ? [] : [[name, among(...words)]];
  });
  const { plain } = stepKinds[kind];
  return planOf((source) => {
    const step: Record<string, unknown> = { ...plain };
    for (const [name, part] of parts) step[name] = source.draw(part);
    return step as StepOf<Kind>;
  });
}
