/** Edits of the same places that change nothing that a guest could see in this lab. */
import { type Mutant, type MutantEntry, mutantsOf } from '../../mutant.ts';

const equivalent = (entry: Omit<MutantEntry, 'grade' | 'expect'>): MutantEntry => ({
  ...entry,
  grade: 'easy',
  expect: 'equivalent',
});

export const intelEquivalentMutants: readonly Mutant[] = [
  ...mutantsOf(
    'vmx/vmx.c',
    [
      {
        name: 'same-notified-again',
        find: 'if (pi_test_and_set_on(&vmx->pi_desc))\n\t\treturn 0;',
        replace: 'pi_set_on(&vmx->pi_desc);',
        mechanism: 'each posted interrupt is notified, not the first alone',
        needs: 'a notification without anything new in PIR changes nothing',
      },
      {
        name: 'same-eoi-intercepted',
        find: 'vmx_disable_intercept_for_msr(vcpu, X2APIC_MSR(APIC_EOI), MSR_TYPE_W);',
        replace: ';',
        mechanism: 'EOI in x2APIC mode leaves the guest with APICv too',
        needs: 'KVM does the same as the CPU (apic_set_eoi, vmx_hwapic_isr_update)',
      },
    ].map(equivalent),
  ),
  ...mutantsOf(
    'vmx/posted_intr.c',
    [
      {
        name: 'same-destination',
        find: 'new.ndst = dest;',
        replace: ';',
        mechanism: 'the descriptor does not name the CPU',
        needs: 'only devices and IPI virtualization look at it; KVM sends notifications by itself',
      },
    ].map(equivalent),
  ),
  ...mutantsOf(
    'lapic.c',
    [
      {
        name: 'same-eoi-exit-quiet',
        find: 'kvm_ioapic_send_eoi(apic, vector);\n\tkvm_make_request(KVM_REQ_EVENT, apic->vcpu);\n}',
        replace: 'kvm_ioapic_send_eoi(apic, vector);\n}',
        mechanism: 'an exit for EOI does not ask for a look at what is pending',
        needs: 'with APICv the CPU looks by itself',
      },
    ].map(equivalent),
  ),
  ...mutantsOf(
    'hyperv.c',
    [
      {
        name: 'same-inhibition-stays',
        find: 'hv->synic_auto_eoi_used--;',
        replace: ';',
        mechanism: 'APICv stays off when the last auto-EOI vector is masked',
        needs: 'with and without APICv a guest sees the same',
      },
    ].map(equivalent),
  ),
];
