/** A vCPU gets INIT, sent as an MSI: its local APIC is reset, and it sends and runs no more. */
import { z } from 'zod';
import { note, vcpuPosition } from '../fields.ts';
import type { CaseIssue } from '../issue.ts';
import { broadcastComplaint, vcpuIdOf, xapicBroadcast } from '../vcpus/vcpu-id.ts';
import type { StepContext, StepKind } from './step-kind.ts';

const schema = z.strictObject({ do: z.literal('init'), vcpu: vcpuPosition.default(0), note });
type InitStep = z.output<typeof schema>;

export const init = {
  schema,
  plain: schema.parse({ do: 'init' }),
  actor: 'vcpu',
  needsLapic: true,
  allowsHalted: true,
  takesInterrupts: false,
  result: null,
  concurrent: null,
  check: checkInit,
  describe: ({ vcpu }) => `vCPU ${vcpu} gets INIT`,
} satisfies StepKind<InitStep>;

function* checkInit({ vcpu }: InitStep, { machine, initialized, at }: StepContext): Generator<CaseIssue> {
  if (vcpuIdOf(machine.vcpus[vcpu]!, vcpu) === xapicBroadcast) yield at('vcpu', broadcastComplaint);
  initialized.add(vcpu);
}
