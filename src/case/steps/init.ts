/** A vCPU gets INIT, sent as an MSI: its local APIC is reset, and it sends and runs no more. */
import { z } from 'zod';
import { note, vcpuPosition } from '../fields.ts';
import type { CaseIssue } from '../issue.ts';
import { broadcastComplaint, vcpuIdOf, xapicBroadcast } from '../vcpus/vcpu-id.ts';
import { hostStep, type StepContext, type StepKind } from './step-kind.ts';

const schema = z.strictObject({ do: z.literal('init'), vcpu: vcpuPosition.default(0), note });
type InitStep = z.output<typeof schema>;

export const init = {
  ...hostStep,
  schema,
  plain: schema.parse({ do: 'init' }),
  actor: 'vcpu',
  needsLapic: true,
  stops: true,
  check: checkInit,
  describe: ({ vcpu }) => `vCPU ${vcpu} gets INIT`,
} satisfies StepKind<InitStep>;

function* checkInit({ vcpu }: InitStep, { machine, at }: StepContext): Generator<CaseIssue> {
  if (vcpuIdOf(machine.vcpus[vcpu]!, vcpu) === xapicBroadcast) yield at('vcpu', broadcastComplaint);
}
