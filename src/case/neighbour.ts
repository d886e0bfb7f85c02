/**
 * A second VM on the same host, with another configuration. It must not affect the VM under test. KVM keeps some
 * configuration in static keys of the whole kernel (kvm_has_noapic_vcpu, apic_hw_disabled and apic_sw_disabled in
 * lapic.c, kvm_xen_enabled in xen.c). A key goes on with the first VM that needs it and off with the last, sometimes a
 * second later.
 */
import { z } from 'zod';
import { apicStates, irqchips } from './limits.ts';

/** How a VM has Xen hypercalls intercepted: not at all; by KVM_XEN_HVM_CONFIG with an MSR; by its flag alone, with MSR 0. */
export const xenKinds = ['none', 'msr', 'flag'] as const;
/**
 * `beside`: it lives while the case runs. `gone`: it was made and is gone when the first step is done. `long-gone`: so long ago
 * that what KVM turns off late (`static_branch_slow_dec_deferred`, after a second) is off.
 */
export const neighbourLives = ['beside', 'gone', 'long-gone'] as const;

/** Two vCPUs, the first of which has a plain x2APIC. */
export const neighbourSchema = z.strictObject({
  life: z.enum(neighbourLives).default('beside'),
  irqchip: z.enum(irqchips).default('kernel'),
  xen: z.enum(xenKinds).default('none'),
  /** Whether its vCPUs have Hyper-V in their CPUID, and GUEST_OS_ID is set. */
  hyperv: z.boolean().default(true),
  /** The local APIC of its second vCPU. */
  apic: z.enum(apicStates).default('x2apic'),
  /**
   * Whether it sends IPIs to itself: between the steps, in a concurrent case on a thread of its own meanwhile, and before it
   * goes.
   */
  busy: z.boolean().default(false),
});

export type Neighbour = z.output<typeof neighbourSchema>;

export const plainNeighbour: Neighbour = neighbourSchema.parse({});

/** Its fields that are not as a plain one has them. */
export function oddNeighbourFields(neighbour: Neighbour): (keyof Neighbour)[] {
  const fields = Object.keys(plainNeighbour) as (keyof Neighbour)[];
  return fields.filter((name) => neighbour[name] !== plainNeighbour[name]);
}

/** `a second VM beside it, quiet: irqchip none`. */
export function describeNeighbour({ life, irqchip, xen, hyperv, apic, busy }: Neighbour): string {
  const time = { beside: 'beside it', gone: 'just gone', 'long-gone': 'gone for more than a second' }[life];
  const xenText = {
    none: null,
    msr: 'Xen hypercalls intercepted',
    flag: 'the flag for Xen hypercalls without its MSR',
  };
  const parts = [
    `irqchip ${irqchip}`,
    ...(apic === 'x2apic' ? [] : [`one APIC ${apic}`]),
    ...(hyperv ? [] : ['no Hyper-V']),
    ...(xenText[xen] === null ? [] : [xenText[xen]]),
  ];
  return `a second VM ${time}, ${busy ? 'sending IPIs' : 'quiet'}: ${parts.join(', ')}`;
}
