/**
 * Mutations that today's cases cannot express, so that they are no part of the denominator, each with what is missing.
 * When a case can express one, it moves to the catalogue.
 */
export const laterMutants: readonly { readonly what: string; readonly missing: string }[] = [
  { what: '#UD check of CPL dropped; pushed RIP of #UD (696ca779a928)', missing: 'callers at CPL 3' },
  { what: '#UD check of protected mode dropped', missing: 'callers in real mode' },
  { what: 'EDX:EAX, EBX:ECX, EDI:ESI decode; result in EDX:EAX', missing: 'callers in 32-bit modes' },
  {
    what: 'bits 10 and 11 of 0x40000004.EAX not looked at (d264eb3c14d0); #UD without XMM input (4e62aa96d6e5)',
    missing: 'enforced CPUID',
  },
  { what: 'no check for a LAPIC in the kernel (a8de7f100bb5)', missing: 'VMs without an in-kernel irqchip' },
  { what: 'targets without a Hyper-V context (f2bc14b69c38)', missing: 'vCPUs without Hyper-V CPUID' },
  { what: 'default VP index other than the position', missing: 'vCPUs whose VP index nobody writes' },
  { what: 'GUEST_OS_ID not looked at', missing: 'VMs with GUEST_OS_ID 0' },
  { what: 'bit 15 of the call code ignored', missing: 'call codes of 0x8001 and above, which exit to user space' },
  { what: 'a vector that is in service is dropped', missing: 'IPIs that arrive while a handler runs' },
  {
    what: 'ISR not set, PPR not raised, auto-EOI for everything',
    missing: 'a look at the LAPIC from inside of a handler',
  },
  { what: 'vectors of the class in service injected', missing: 'handlers that enable interrupts before EOI' },
  { what: 'TPR ignored, or compared wrongly', missing: 'a TPR other than 0' },
  { what: 'auto-EOI of a SINT, EOI assist page', missing: 'SynIC and VP assist page in the machine' },
  { what: 'IRR kept by a disabled APIC, lost by an enabled one', missing: 'APIC states that change within a case' },
];
