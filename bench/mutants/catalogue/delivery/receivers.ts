/** What a receiver's LAPIC makes of an accepted vector: service, priority, TPR, EOI, auto-EOI, disabling, INIT. */
import { type Mutant, mutantsOf } from '../../mutant.ts';

const inLapic = mutantsOf('lapic.c', [
  {
    name: 'in-service-refused',
    find: 'if (unlikely(!apic_enabled(apic)))\n\t\t\tbreak;\n\n\t\tresult = 1;',
    replace:
      'if (unlikely(!apic_enabled(apic)) || apic_test_vector(vector, apic->regs + APIC_ISR))\n\t\t\tbreak;\n\n\t\tresult = 1;',
    mechanism: 'a vector that is in service is not accepted',
    grade: 'medium',
    needs: 'a vector that is in service when it is sent',
  },
  {
    name: 'never-in-service',
    find: 'if (__apic_test_and_set_vector(vec, apic->regs + APIC_ISR))\n\t\treturn;\n\n\t/*\n\t * With',
    replace: 'return;\n\n\t/*\n\t * With',
    mechanism: 'a vector that is taken is not in service',
    grade: 'easy',
    needs: 'a vector that is taken',
  },
  {
    name: 'priority-without-service',
    find: 'isrv = (isr != -1) ? isr : 0;',
    replace: 'isrv = 0;',
    mechanism: 'PPR does not count what is in service',
    grade: 'medium',
    needs: 'something in service',
  },
  {
    name: 'priority-without-task',
    find: 'if ((tpr & 0xf0) >= (isrv & 0xf0))',
    replace: 'if (!isrv)',
    mechanism: 'PPR does not count TPR while something is in service',
    grade: 'hard',
    needs: 'something in service below TPR',
  },
  {
    name: 'priority-of-8-bit',
    find: 'ppr = isrv & 0xf0;',
    replace: 'ppr = isrv & 0xff;',
    mechanism: 'PPR shows the vector in service and not its class',
    grade: 'medium',
    needs: 'a vector in service whose lower bits are not 0',
  },
  {
    name: 'class-in-service-taken',
    find: '(highest_irr & 0xF0) <= ppr',
    replace: '(highest_irr & 0xF0) < ppr',
    mechanism: 'a vector of the class in service is taken',
    grade: 'medium',
    needs: 'a vector of the class of PPR',
  },
  {
    name: 'vector-against-priority',
    find: '(highest_irr & 0xF0) <= ppr',
    replace: 'highest_irr <= ppr',
    mechanism: 'all but the lowest vector of the class in service are taken',
    grade: 'medium',
    needs: 'a vector of the class of PPR whose lower bits are not 0',
  },
  {
    name: 'all-auto-eoi',
    find: 'if (kvm_hv_synic_auto_eoi_set(vcpu, vector)) {',
    replace: 'if (1) {',
    mechanism: 'every vector is one with auto-EOI',
    grade: 'easy',
    needs: 'a vector that is taken',
  },
  {
    name: 'auto-eoi-forgotten',
    find: 'if (kvm_hv_synic_auto_eoi_set(vcpu, vector)) {',
    replace: 'if (0) {',
    mechanism: 'auto-EOI of a SINT is ignored',
    grade: 'medium',
    needs: 'a vector of an auto-EOI SINT that is taken',
  },
  {
    name: 'task-priority-unwritten',
    find: 'apic_set_tpr(apic, val & 0xff);\n\t\tbreak;',
    replace: 'break;',
    mechanism: "TPR cannot be written through the APIC's registers and Hyper-V's",
    grade: 'medium',
    needs: 'a receiver that changes its TPR',
  },
  {
    name: 'task-priority-unnoticed',
    find: 'kvm_lapic_set_reg(apic, APIC_TASKPRI, tpr);\n\tapic_update_ppr(apic);',
    replace: 'kvm_lapic_set_reg(apic, APIC_TASKPRI, tpr);',
    mechanism: 'what a lower TPR lets in is not noticed',
    grade: 'hard',
    needs: 'a receiver with something pending that lowers its TPR with interrupts on',
  },
  {
    name: 'cr8-3-bit',
    find: '(cr8 & 0x0f) << 4',
    replace: '(cr8 & 0x07) << 4',
    mechanism: 'the top bit of CR8 is ignored',
    grade: 'medium',
    needs: 'a receiver that sets a TPR of 8 or above by CR8',
  },
  {
    name: 'assist-eoi-ignored',
    find: 'vector = apic_set_eoi(apic);\n\ttrace_kvm_pv_eoi(apic, vector);',
    replace: 'vector = -1;',
    mechanism: 'an EOI through the VP assist page is ignored',
    grade: 'medium',
    needs: 'a handler that acknowledges through the assist page',
  },
  {
    name: 'assist-eoi-early',
    find: 'if (pv_eoi_test_and_clr_pending(vcpu))\n\t\treturn;',
    replace: 'pv_eoi_test_and_clr_pending(vcpu);',
    mechanism: 'any exit counts as an EOI once the assist page was offered',
    grade: 'medium',
    needs: 'an assist page, and an exit inside of a handler',
  },
  {
    name: 'assist-offered-with-pending',
    find: '/* IRR set or many bits in ISR: could be nested. */\n\t    apic->irr_pending ||',
    replace: '',
    mechanism: 'the assist page is offered although something is pending, which then waits for the next exit',
    grade: 'hard',
    needs: 'an assist page, and a second vector that its handler blocks',
  },
  {
    name: 'hardware-disabled-takes',
    find: 'if (!kvm_apic_present(vcpu))\n\t\treturn -1;\n\n\t__apic_update_ppr(apic, &ppr);',
    replace: 'if (!apic)\n\t\treturn -1;\n\n\t__apic_update_ppr(apic, &ppr);',
    mechanism: 'a hardware-disabled APIC delivers what was pending',
    grade: 'hard',
    needs: 'a vector pending at an APIC that is hardware-disabled and runs',
  },
  {
    name: 'software-disabled-keeps',
    find: 'if (!kvm_apic_present(vcpu))\n\t\treturn -1;\n\n\t__apic_update_ppr(apic, &ppr);',
    replace:
      'if (!kvm_apic_present(vcpu) || !kvm_apic_sw_enabled(apic))\n\t\treturn -1;\n\n\t__apic_update_ppr(apic, &ppr);',
    mechanism: 'a software-disabled APIC does not deliver what was pending',
    grade: 'hard',
    needs: 'a vector pending at an APIC that is software-disabled and runs',
  },
  {
    name: 'init-keeps-irr',
    find: 'kvm_lapic_set_reg(apic, APIC_IRR + 0x10 * i, 0);',
    replace: 'if (!init_event)\n\t\t\tkvm_lapic_set_reg(apic, APIC_IRR + 0x10 * i, 0);',
    mechanism: 'INIT does not clear IRR',
    grade: 'hard',
    needs: 'INIT with a vector pending',
  },
  {
    name: 'init-keeps-task-priority',
    find: 'apic_set_spiv(apic, 0xff);\n\tkvm_lapic_set_reg(apic, APIC_TASKPRI, 0);',
    replace: 'apic_set_spiv(apic, 0xff);',
    mechanism: 'INIT does not clear TPR',
    grade: 'hard',
    needs: 'INIT with a raised TPR',
  },
]);

const inHyperv = mutantsOf('hyperv.c', [
  {
    name: 'hv-task-priority-ignored',
    find: 'return kvm_hv_vapic_msr_write(vcpu, APIC_TASKPRI, data);',
    replace: 'return 0;',
    mechanism: 'TPR cannot be written through the Hyper-V MSR',
    grade: 'medium',
    needs: 'a receiver that changes its TPR by the Hyper-V MSR',
  },
]);

const inSvm = mutantsOf('svm/svm.c', [
  {
    name: 'cr8-not-intercepted',
    find: 'if (tpr >= irr)\n\t\tsvm_set_intercept(svm, INTERCEPT_CR8_WRITE);',
    replace: '',
    mechanism: 'what a lower CR8 lets in is not noticed',
    grade: 'hard',
    needs: 'a receiver with something pending that lowers its TPR by CR8 with interrupts on',
  },
]);

export const receiverMutants: readonly Mutant[] = [...inLapic, ...inHyperv, ...inSvm];
