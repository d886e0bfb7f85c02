/**
 * The parked vCPUs, in order, open their interrupt window until nothing is pending that they can take. In a concurrent
 * case it is the fence as well: what was sent before has arrived by itself at whoever was halted or spinning.
 */
import { z } from 'zod';
import { note } from '../fields.ts';
import { hostStep, type StepKind } from './step-kind.ts';

const schema = z.strictObject({ do: z.literal('run'), note });
type RunStep = z.output<typeof schema>;

export const run = {
  ...hostStep,
  schema,
  plain: schema.parse({ do: 'run' }),
  needsLapic: true,
  takesInterrupts: true,
  concurrent: { needsOrder: false, check: () => [] },
  describe: () => 'the parked vCPUs run until nothing is pending that they can take',
} satisfies StepKind<RunStep>;
