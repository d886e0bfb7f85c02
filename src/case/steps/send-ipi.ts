/** HvCallSendSyntheticClusterIpi: to the VP indexes of a 64-bit mask. */
import { z } from 'zod';
import { vpsPerBank } from '../../abi/hypercall.ts';
import { list } from '../fields.ts';
import { defaultsOf } from '../json.ts';
import { callFields, callKind, describeCall } from './call.ts';
import type { StepKind } from './step-kind.ts';

const schema = z.strictObject({
  do: z.literal('send-ipi'),
  ...callFields,
  /** VP indexes whose bit is set in the processor mask. */
  targets: list(vpsPerBank).default([]),
});
export type SendIpiStep = z.output<typeof schema>;

const call = 'HvCallSendSyntheticClusterIpi (0x000b)';
const defaults = defaultsOf(schema.shape);

export const sendIpi = {
  ...callKind,
  schema,
  plain: schema.parse({ do: 'send-ipi', vector: '0xfe' }),
  describe: (step) => describeCall(step, defaults, { call, form: step.fast ? 'fast' : 'slow' }),
} satisfies StepKind<SendIpiStep>;
