/**
 * A vCPU gets a start-up IPI, sent as an MSI, and KVM acts on it: one that waits for it becomes runnable. It runs no more
 * all the same, since nothing of ours is where it starts; what it has become is read.
 */
import { z } from 'zod';
import { note, vcpuPosition } from '../fields.ts';
import type { CaseIssue } from '../issue.ts';
import { broadcastComplaint, vcpuIdOf, xapicBroadcast } from '../vcpus/vcpu-id.ts';
import { hostStep, type StepContext, type StepKind } from './step-kind.ts';

const schema = z.strictObject({
  do: z.literal('sipi'),
  vcpu: vcpuPosition.default(0),
  /** Number of the page at which it starts. */
  page: z.number().int().min(0).max(0xff).default(0),
  note,
});
type SipiStep = z.output<typeof schema>;

export const sipi = {
  ...hostStep,
  schema,
  plain: schema.parse({ do: 'sipi' }),
  actor: 'vcpu',
  needsLapic: true,
  allowsHalted: false,
  result: 'value',
  check: checkSipi,
  describe: ({ vcpu, page }) => `vCPU ${vcpu} gets a start-up IPI for page 0x${page.toString(16)}`,
} satisfies StepKind<SipiStep>;

function* checkSipi({ vcpu }: SipiStep, { machine, at }: StepContext): Generator<CaseIssue> {
  if (vcpuIdOf(machine.vcpus[vcpu]!, vcpu) === xapicBroadcast) yield at('vcpu', broadcastComplaint);
}
