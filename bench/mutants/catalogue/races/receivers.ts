/** Races of receivers with who sends to them: entering the guest, and going to sleep (x86.c, kvm_main.c). */
import { mutantsOf } from '../../mutant.ts';

const x86 = mutantsOf('x86.c', [
  {
    name: 'requests-unchecked-at-entry',
    find: 'return vcpu->mode == EXITING_GUEST_MODE || kvm_request_pending(vcpu) ||',
    replace: 'return vcpu->mode == EXITING_GUEST_MODE ||',
    mechanism: 'a request that is made while a vCPU is about to enter the guest waits for the next exit',
    grade: 'hard',
    needs: 'a vector that comes while its receiver enters the guest',
  },
  {
    name: 'looked-then-cleared',
    find: 'if (req_int_win)\n\t\t\tkvm_x86_call(enable_irq_window)(vcpu);',
    replace:
      'if (req_int_win)\n\t\t\tkvm_x86_call(enable_irq_window)(vcpu);\n\t\tif (kvm_lapic_enabled(vcpu) && kvm_lapic_find_highest_irr(vcpu) == -1)\n\t\t\tkvm_clear_request(KVM_REQ_EVENT, vcpu);',
    mechanism: 'where nothing is pending, the request that has just come is cleared',
    grade: 'hard',
    needs: 'a vector that comes while its receiver enters the guest',
  },
  {
    name: 'sleeper-needs-request',
    find: 'if (kvm_arch_interrupt_allowed(vcpu) && kvm_cpu_has_interrupt(vcpu))\n\t\treturn true;\n\n\tif (kvm_hv_has_stimer_pending(vcpu))',
    replace:
      'if (kvm_test_request(KVM_REQ_EVENT, vcpu) &&\n\t    kvm_arch_interrupt_allowed(vcpu) && kvm_cpu_has_interrupt(vcpu))\n\t\treturn true;\n\n\tif (kvm_hv_has_stimer_pending(vcpu))',
    mechanism: 'who sleeps looks for an interrupt only where a request says so',
    grade: 'medium',
    needs: 'a vCPU that halts in the shadow of sti with something pending',
  },
]);

const block = mutantsOf('../../../virt/kvm/kvm_main.c', [
  {
    name: 'block-checked-first',
    find: 'set_current_state(TASK_INTERRUPTIBLE);\n\n\t\tif (kvm_vcpu_check_block(vcpu) < 0)\n\t\t\tbreak;\n',
    replace: 'if (kvm_vcpu_check_block(vcpu) < 0)\n\t\t\tbreak;\n\t\tset_current_state(TASK_INTERRUPTIBLE);\n',
    mechanism: 'a vCPU looks for something to do and then says that it sleeps',
    grade: 'hard',
    needs: 'a vector that comes while its receiver goes to sleep',
  },
  {
    name: 'block-unchecked',
    find: 'if (kvm_vcpu_check_block(vcpu) < 0)\n\t\t\tbreak;\n\n\t\twaited = true;',
    replace: 'if (waited && kvm_vcpu_check_block(vcpu) < 0)\n\t\t\tbreak;\n\n\t\twaited = true;',
    mechanism: 'a vCPU goes to sleep without looking',
    grade: 'medium',
    needs: 'a vector that comes between hlt and the sleep',
  },
]);

export const receiverRaceMutants = [...x86, ...block];
