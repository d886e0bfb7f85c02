/** HvCallSendSyntheticClusterIpiEx: to a set of VP indexes in banks of 64 (HV_VP_SET). */
import { z } from 'zod';
import { bankCountMax } from '../../abi/hypercall.ts';
import { list, u64 } from '../fields.ts';
import { defaultsOf } from '../json.ts';
import { caseLimits } from '../limits.ts';
import { callFields, callKind, describeCall } from './call.ts';
import type { StepKind } from './step-kind.ts';

const schema = z.strictObject({
  do: z.literal('send-ipi-ex'),
  ...callFields,
  /** HV_VP_SET format: 0 sparse, 1 all. */
  format: u64.default(0n),
  /** VP indexes whose bits are set; their banks are given and valid. */
  targets: list(caseLimits.vpNumber).default([]),
  /** Banks that are given and valid even without a target. */
  emptyBanks: list(bankCountMax).default([]),
  /** Bits of the valid bank mask that are flipped, so that it disagrees with the banks that are given. */
  maskFlips: list(bankCountMax).default([]),
});
export type SendIpiExStep = z.output<typeof schema>;

const call = 'HvCallSendSyntheticClusterIpiEx (0x0015)';
const defaults = defaultsOf(schema.shape);

export const sendIpiEx = {
  ...callKind,
  schema,
  plain: schema.parse({ do: 'send-ipi-ex', vector: '0xfe' }),
  describe: (step) =>
    describeCall(step, defaults, { call, form: step.fast ? 'XMM-fast' : 'slow', isAll: step.format === 1n }),
} satisfies StepKind<SendIpiExStep>;
