/** More of what a restored state needs: KVM_SET_LAPIC, registers, MP states. */
import { mutantsOf } from '../../mutant.ts';

const lapic = mutantsOf('lapic.c', [
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

const registers = mutantsOf('regs.c', [
  {
    name: 'restored-interrupt-flag-lost',
    find: 'kvm_set_rflags(vcpu, regs->rflags | X86_EFLAGS_FIXED);',
    replace: 'kvm_set_rflags(vcpu, (regs->rflags & ~X86_EFLAGS_IF) | X86_EFLAGS_FIXED);',
    mechanism: 'interrupts are off when registers are restored',
    grade: 'medium',
    needs: 'a vCPU that waits with interrupts on and migrates, or registers set with IF',
  },
]);

export const moreMigrationMutants = [...lapic, ...registers];
