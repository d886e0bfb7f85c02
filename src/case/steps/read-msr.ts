/** An MSR of a vCPU is read, by the host (KVM_GET_MSRS) or by the guest. */
import { z } from 'zod';
import { note, vcpuPosition } from '../fields.ts';
import type { CaseIssue } from '../issue.ts';
import { isSint, msrReaders, readableMsrs } from '../limits.ts';
import { hostStep, type StepContext, type StepKind } from './step-kind.ts';

const schema = z.strictObject({
  do: z.literal('read-msr'),
  vcpu: vcpuPosition.default(0),
  msr: z.enum(readableMsrs),
  by: z.enum(msrReaders).default('host'),
  note,
});
type ReadMsrStep = z.output<typeof schema>;

export const readMsr = {
  ...hostStep,
  schema,
  plain: schema.parse({ do: 'read-msr', msr: 'guest-os-id' }),
  actor: 'vcpu',
  enters: ({ by }) => by === 'guest',
  result: 'value',
  check: checkRead,
  describe: ({ msr, vcpu, by }) =>
    by === 'host' ? `the host reads the ${msr} MSR of vCPU ${vcpu}` : `vCPU ${vcpu} reads its ${msr} MSR`,
} satisfies StepKind<ReadMsrStep>;

/** What raises an exception in the guest program is no step. */
function* checkRead({ vcpu, msr, by }: ReadMsrStep, { machine, initialized, at }: StepContext): Generator<CaseIssue> {
  const { idle, lacks, autoEoi } = machine.vcpus[vcpu]!;
  if (msr === 'apic-base' && machine.irqchip === 'none') yield at('msr', 'apic-base needs a LAPIC in the kernel');
  if (by === 'host') return;
  if (idle !== 'parked' && idle !== 'halted') yield at('by', `vCPU ${vcpu} is ${idle} and reads nothing`);
  if (initialized.has(vcpu)) yield at('by', `vCPU ${vcpu} got INIT and does not run any more`);
  if (msr !== 'apic-base' && lacks.includes('hyperv')) yield at('by', `vCPU ${vcpu} has no Hyper-V: it would get #GP`);
  if (isSint(msr) && autoEoi.length === 0) yield at('by', `vCPU ${vcpu} has no SynIC: it would get #GP`);
}
