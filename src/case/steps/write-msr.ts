/** The host writes an MSR of a vCPU (KVM_SET_MSRS); KVM may refuse the value. */
import { z } from 'zod';
import { HV_X64_MSR_HYPERCALL_ENABLE } from '../../abi/hyperv.ts';
import { note, u64, vcpuPosition } from '../fields.ts';
import type { CaseIssue } from '../issue.ts';
import { caseMsrs, isSint, runsMeanwhile } from '../limits.ts';
import { arenaStart, isAllowedGpa } from '../memory.ts';
import { hostStep, type StepContext, type StepKind } from './step-kind.ts';

const schema = z.strictObject({
  do: z.literal('write-msr'),
  vcpu: vcpuPosition.default(0),
  msr: z.enum(caseMsrs),
  value: u64,
  note,
});
type WriteMsrStep = z.output<typeof schema>;

export const writeMsr = {
  ...hostStep,
  schema,
  plain: schema.parse({ do: 'write-msr', msr: 'guest-os-id', value: '0x0' }),
  actor: 'vcpu',
  result: 'taken',
  concurrent: { needsOrder: true, check: checkConcurrentWrite },
  check: checkWrite,
  describe: ({ value, msr, vcpu }) => `the host writes 0x${value.toString(16)} to the ${msr} MSR of vCPU ${vcpu}`,
} satisfies StepKind<WriteMsrStep>;

/** Whether a value of HV_X64_MSR_HYPERCALL keeps KVM from writing its page into the guest program. */
export function isAllowedHypercallMsr(value: bigint): boolean {
  return (value & HV_X64_MSR_HYPERCALL_ENABLE) === 0n || isAllowedGpa(value & ~0xfffn);
}

function* checkWrite({ vcpu, msr, value }: WriteMsrStep, { machine, at }: StepContext): Generator<CaseIssue> {
  if (isSint(msr) && value === 0n && machine.vcpus[vcpu]!.autoEoi.length === 0) {
    yield at('value', `must not be 0: vCPU ${vcpu} has no SynIC, and KVM would keep that for ever`);
  }
  if (msr === 'hypercall' && !isAllowedHypercallMsr(value)) {
    yield at('value', `the page would lie in the guest program's memory; use 0x${arenaStart.toString(16)} and up`);
  }
}

/** KVM_SET_MSRS would wait for the vCPU's KVM_RUN to end. */
function* checkConcurrentWrite({ msr, vcpu }: WriteMsrStep, context: StepContext): Generator<CaseIssue> {
  const { machine, senders, at } = context;
  if (msr !== 'vp-index') yield at('do', 'a concurrent case has no such step');
  else if (runsMeanwhile(machine.vcpus[vcpu]!) || senders.has(vcpu)) {
    yield at('vcpu', 'in a concurrent case the VP index changes only of vCPUs that do not run');
  }
}
