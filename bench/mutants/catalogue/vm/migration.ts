/** What KVM gives of a VM's state, and what it takes: shown by migrations, and by MSRs that are read back. */
import { mutantsOf } from '../../mutant.ts';

const readSint = '*pdata = atomic64_read(&synic->sint[msr - HV_X64_MSR_SINT0]);';

const hyperv = mutantsOf('hyperv.c', [
  {
    name: 'os-id-unread',
    find: 'data = hv->hv_guest_os_id;',
    replace: 'data = 0;',
    mechanism: 'GUEST_OS_ID reads as 0',
    grade: 'medium',
    needs: 'GUEST_OS_ID read back, or a call behind a migration',
  },
  {
    name: 'page-read-off',
    find: 'data = hv->hv_hypercall;',
    replace: 'data = hv->hv_hypercall & ~1ull;',
    mechanism: 'HYPERCALL reads as if the page were off',
    grade: 'hard',
    needs: 'HYPERCALL read with the page on, or a page that is overwritten before a migration',
  },
  {
    name: 'sint-read-without-auto-eoi',
    find: readSint,
    replace: '*pdata = atomic64_read(&synic->sint[msr - HV_X64_MSR_SINT0]) & ~HV_SYNIC_SINT_AUTO_EOI;',
    mechanism: 'SINTs read without their auto-EOI bit',
    grade: 'hard',
    needs: 'a SINT read back, or a vector of an auto-EOI SINT that is taken behind a migration',
  },
  {
    name: 'sint-old-vector-kept',
    find: 'synic_update_vector(synic, old_vector);',
    replace: '(void)old_vector;',
    mechanism: 'a vector stays auto-EOI when its SINT gets another one',
    grade: 'hard',
    needs: 'a SINT that changes its vector, and the old one taken',
  },
  {
    name: 'sint-masked-all-the-same',
    find: 'if (sint_value & HV_SYNIC_SINT_MASKED)',
    replace: 'if (0)',
    mechanism: 'masked SINTs count',
    grade: 'hard',
    needs: 'a vector that a masked auto-EOI SINT alone has',
  },
  {
    name: 'hypercall-off-forgets',
    find: 'hv->hv_hypercall &= ~HV_X64_MSR_HYPERCALL_ENABLE;',
    replace: 'hv->hv_hypercall = 0;',
    mechanism: 'GUEST_OS_ID 0 makes HYPERCALL 0',
    grade: 'medium',
    needs: 'HYPERCALL read back behind GUEST_OS_ID 0',
  },
]);

const lapic = mutantsOf('lapic.c', [
  {
    name: 'restored-irr-unseen',
    find: 'apic->irr_pending = true;\n\n\t',
    replace: 'apic->irr_pending = false;\n\n\t',
    mechanism: 'what KVM_SET_LAPIC makes pending is not looked for',
    grade: 'medium',
    needs: 'a vector that is pending when a LAPIC is set, and taken behind that',
  },
]);

export const migrationMutants = [...hyperv, ...lapic];

const moreLapic = mutantsOf('lapic.c', [
  {
    name: 'restored-isr-uncounted',
    find: 'apic->isr_count = count_vectors(apic->regs + APIC_ISR);',
    replace: 'apic->isr_count = 0;',
    mechanism: 'what KVM_SET_LAPIC puts in service does not count',
    grade: 'medium',
    needs: 'something in service when a LAPIC is set, and EOI behind that',
  },
  {
    name: 'restored-isr-cache-kept',
    find: 'apic->isr_count = count_vectors(apic->regs + APIC_ISR);\n\n\tapic->highest_isr_cache = -1;',
    replace: 'apic->isr_count = count_vectors(apic->regs + APIC_ISR);',
    mechanism: 'the highest vector in service is still that from before KVM_SET_LAPIC',
    grade: 'hard',
    needs: 'something in service when a LAPIC is set, and something else before',
  },
  {
    name: 'restored-event-unrequested',
    find: 'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\tif (ioapic_in_kernel',
    replace: 'if (ioapic_in_kernel',
    mechanism: 'nobody looks at what KVM_SET_LAPIC makes pending',
    grade: 'hard',
    needs: 'something pending when a LAPIC is set, and nothing else that asks for a look',
  },
  {
    name: 'restored-sw-state-kept',
    find: 'apic_set_spiv(apic, *((u32 *)(s->regs + APIC_SPIV)));',
    replace: '',
    mechanism: 'whether an APIC is enabled in software is still what it was before KVM_SET_LAPIC',
    grade: 'medium',
    needs: 'a software-disabled APIC that is set',
  },
  {
    name: 'x2apic-ldr-8-bit',
    find: 'return ((id >> 4) << 16) | (1 << (id & 0xf));',
    replace: 'return (((id & 0xff) >> 4) << 16) | (1 << (id & 0xf));',
    mechanism: 'the cluster of an x2APIC is made of eight bits of its ID',
    grade: 'hard',
    needs: 'an APIC ID above 255, and a look at LDR',
  },
]);

const moreRegisters = mutantsOf('regs.c', [
  {
    name: 'restored-interrupt-flag-lost',
    find: 'kvm_set_rflags(vcpu, regs->rflags | X86_EFLAGS_FIXED);',
    replace: 'kvm_set_rflags(vcpu, (regs->rflags & ~X86_EFLAGS_IF) | X86_EFLAGS_FIXED);',
    mechanism: 'interrupts are off when registers are restored',
    grade: 'medium',
    needs: 'a vCPU that waits with interrupts on and migrates, or registers set with IF',
  },
]);

export const moreMigrationMutants = [...moreLapic, ...moreRegisters];
