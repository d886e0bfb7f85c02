/** How a vCPU is set up. */
import { z } from 'zod';
import { list, words } from '../fields.ts';
import { apicStates, caseLimits, cpuidFeatures, eoiKinds, idleKinds } from '../limits.ts';

export const vcpuSchema = z.strictObject({
  /** Value that the host writes to HV_X64_MSR_VP_INDEX. */
  vpIndex: z.number().int().min(0).max(caseLimits.vpIndex),
  apic: z.enum(apicStates).default('x2apic'),
  eoi: z.enum(eoiKinds).default('hv-msr'),
  idle: z.enum(idleKinds).default('parked'),
  /** Argument of KVM_CREATE_VCPU, and so the APIC ID; null is the vCPU's position. */
  vcpuId: z.number().int().min(0).max(caseLimits.vcpuId).nullable().default(null),
  /** What its CPUID does not have. */
  lacks: words(cpuidFeatures).default([]),
  /** KVM_CAP_HYPERV_ENFORCE_CPUID: what CPUID lacks is refused. */
  enforced: z.boolean().default(false),
  /** Class of the task priority: bits 7:4 of TPR. */
  tpr: z.number().int().min(0).max(15).default(0),
  /** Vectors that are pending, and in service, when the case starts. */
  irr: list(caseLimits.vector).default([]),
  isr: list(caseLimits.vector).default([]),
  /** Vectors of unmasked SINTs with auto-EOI (KVM_CAP_HYPERV_SYNIC2), one SINT each. */
  autoEoi: list(caseLimits.vector).default([]),
  /** Handlers read PPR from the APIC when they begin; each reading is a VM exit. */
  logsPpr: z.boolean().default(false),
});

export type VcpuSetup = z.output<typeof vcpuSchema>;
