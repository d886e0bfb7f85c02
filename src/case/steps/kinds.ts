/**
 * All kinds of steps. Whatever must know each kind is a record over `Step['do']` or an exhaustive switch somewhere else,
 * and does not compile until it knows a kind that is added here.
 */
import { z } from 'zod';
import { act } from './act.ts';
import { init } from './init.ts';
import { migrate } from './migrate.ts';
import { readMsr } from './read-msr.ts';
import { run } from './run.ts';
import { sendIpi } from './send-ipi.ts';
import { sendIpiEx } from './send-ipi-ex.ts';
import { setApic } from './set-apic.ts';
import { sipi } from './sipi.ts';
import type { StepKind } from './step-kind.ts';
import { vmm } from './vmm.ts';
import { writeMsr } from './write-msr.ts';

const kinds = {
  'send-ipi': sendIpi,
  'send-ipi-ex': sendIpiEx,
  run,
  act,
  'write-msr': writeMsr,
  'read-msr': readMsr,
  'set-apic': setApic,
  init,
  sipi,
  migrate,
  vmm,
} as const;

type Kinds = typeof kinds;
type StepSchema = Kinds[keyof Kinds]['schema'];

export const stepSchema = z.discriminatedUnion(
  'do',
  Object.values(kinds).map(({ schema }) => schema) as unknown as [StepSchema, ...StepSchema[]],
);

export type Step = z.output<StepSchema>;
export type StepOf<Name extends Step['do']> = Extract<Step, { do: Name }>;
export type CallStep = StepOf<'send-ipi' | 'send-ipi-ex'>;
/** A step that is no call. */
export type ChangeStep = Exclude<Step, CallStep>;

export const stepKinds: { readonly [Name in keyof Kinds]: Kinds[Name] & StepKind<StepOf<Name>> } = kinds;

/** What a step is. */
export function kindOf<S extends Step>(step: S): StepKind<S> {
  return stepKinds[step.do] as unknown as StepKind<S>;
}

/** What a step that is no call is, as a program has it. */
export function kindOfChange({ kind }: { readonly kind: ChangeStep['do'] }): StepKind<object> {
  return stepKinds[kind] as unknown as StepKind<object>;
}

/** Whether a step is a hypercall. */
export function isCall(step: Step): step is CallStep {
  return step.do === 'send-ipi' || step.do === 'send-ipi-ex';
}

/** Position of the vCPU that a step is about; null for a step that is about all. */
export function actorOf(step: Step): number | null {
  const { actor } = stepKinds[step.do];
  return actor === null ? null : (step as unknown as Readonly<Record<typeof actor, number>>)[actor];
}

/** The step about another vCPU. */
export function withActor(step: Step, position: number): Step {
  const { actor } = stepKinds[step.do];
  return actor === null ? step : { ...step, [actor]: position };
}

/** A step with every field at its default but those given. */
export function makeStep<Name extends Step['do']>(step: { do: Name } & Partial<StepOf<Name>>): StepOf<Name> {
  return { ...stepKinds[step.do].plain, ...step } as StepOf<Name>;
}
