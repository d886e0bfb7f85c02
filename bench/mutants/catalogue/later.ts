/**
 * Mutations that today's cases cannot express, so that they are no part of the denominator, each with what is missing.
 * When a case can express one, it moves to the catalogue.
 */
export const laterMutants: readonly { readonly what: string; readonly missing: string }[] = [
  { what: 'branches for APICv and AVIC (`apicv_active`), posted interrupts', missing: 'a CPU that has them' },
  { what: 'kvm_intel.ko', missing: 'a lab with VMX' },
  { what: 'calls of a nested guest (`is_guest_mode`)', missing: 'nested guests in a case' },
  { what: "PPR where TPR and what is in service have one class: TPR's lower bits", missing: 'a TPR below its class' },
  { what: 'timer, IOAPIC and LVT interrupts beside IPIs', missing: 'other sources of interrupts in a case' },
];
