/** The machine of a case: irqchip, Hyper-V setup, and its vCPUs. */
import { z } from 'zod';
import { u64 } from './fields.ts';
import { repeatVcpu } from './vcpus/like-vcpus.ts';
import { caseLimits, irqchips } from './limits.ts';
import { neighbourSchema } from './neighbour.ts';
import { vcpuSchema } from './vcpus/vcpu.ts';

/** GUEST_OS_ID of a Linux guest; any value but 0 turns on the Hyper-V interface (kvm_hv_hypercall_enabled). */
export const defaultGuestOsId = 0x8100_0000_0000_0000n;

/** No status of TLFS. */
export const defaultVmmAnswer = 0x5an;

/**
 * vCPUs in a case's text: one, or as many alike as `count` says, whose VP indexes, and ids if they are given, ascend from
 * the first one's.
 */
const vcpuEntrySchema = vcpuSchema.extend({ count: z.number().int().min(1).max(caseLimits.vcpus).default(1) });

export const machineSchema = z.strictObject({
  irqchip: z.enum(irqchips).default('kernel'),
  /**
   * KVM_XEN_HVM_CONFIG with KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL; `flag`: with MSR 0, which KVM heeds only while another VM has
   * one (docs/findings/xen-flag-alone.md).
   */
  xen: z.union([z.boolean(), z.literal('flag')]).default(false),
  /** HV_X64_MSR_GUEST_OS_ID when the case starts. */
  guestOsId: u64.default(defaultGuestOsId),
  /**
   * Makes the case a concurrent one: the calls up to each `run` step are made by their senders at the same time, and this
   * is the seed of who starts first and who waits how long before a call. Null: step by step.
   */
  schedule: z
    .number()
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .nullable()
    .default(null),
  neighbour: neighbourSchema.nullable().default(null),
  /** What the VMM answers a hypercall with that leaves the guest (KVM_EXIT_HYPERV). */
  vmmAnswer: u64.default(defaultVmmAnswer),
  vcpus: z
    .array(vcpuEntrySchema)
    .min(1)
    .max(caseLimits.vcpus)
    .transform((entries) => entries.flatMap(({ count, ...vcpu }) => repeatVcpu(vcpu, count)))
    .refine(({ length }) => length <= caseLimits.vcpus, `more than ${caseLimits.vcpus} vCPUs`)
    .refine(
      (vcpus) => vcpus.every(({ vpIndex }) => vpIndex <= caseLimits.vpIndex),
      `a VP index is above ${caseLimits.vpIndex}`,
    )
    .refine(
      (vcpus) => vcpus.every(({ vcpuId }) => (vcpuId ?? 0) <= caseLimits.vcpuId),
      `a vcpuId is above ${caseLimits.vcpuId}`,
    ),
});

export type Machine = z.output<typeof machineSchema>;

/** Whether a vCPU can be a sender. */
export function canRun({ vcpus }: Machine, position: number): boolean {
  const { idle } = vcpus[position]!;
  return idle === 'parked' || idle === 'halted';
}

/** The fence of a halted vCPU is an NMI to the APIC ID of its position, behind which everything has been taken. */
export function canHalt(
  { vcpuId, tpr, irr, isr, lacks }: Machine['vcpus'][number],
  irqchip: Machine['irqchip'],
): boolean {
  const isPlain = vcpuId === null && tpr === 0 && irr.length + isr.length === 0 && !lacks.includes('hyperv');
  return isPlain && irqchip === 'kernel';
}
