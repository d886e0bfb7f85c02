/** Receivers that sleep or run: svm_complete_interrupt_delivery, and the delivery loop that looks at what they do. */
import { type Mutant, mutantsOf } from '../../mutant.ts';

const kick = 'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_kick(vcpu);';
const deliver = 'kvm_apic_set_irq(vcpu, &irq, NULL);\n\t}\n}\n\nstatic u64 kvm_hv_send_ipi(';

export const runningMutants: readonly Mutant[] = [
  ...mutantsOf('svm/svm.c', [
    {
      name: 'wake-up-dropped',
      find: kick,
      replace: kick.replace('kvm_vcpu_kick', 'if (vcpu->arch.mp_state != KVM_MP_STATE_HALTED)\n\t\t\tkvm_vcpu_kick'),
      mechanism: 'a halted receiver gets its IRR bit and sleeps on',
      grade: 'medium',
      needs: 'a receiver that sleeps in hlt while nothing else wakes it',
    },
    {
      name: 'kick-dropped',
      find: kick,
      replace: kick.replace('kvm_vcpu_kick', 'kvm_vcpu_wake_up'),
      mechanism: 'a receiver in guest mode goes on until something else makes it exit',
      grade: 'hard',
      needs: 'a receiver that runs on another CPU while the sender calls',
    },
  ]),
  ...mutantsOf('hyperv.c', [
    {
      name: 'halted-skipped',
      find: deliver,
      replace: `if (vcpu->arch.mp_state != KVM_MP_STATE_HALTED)\n\t\t\t${deliver}`,
      mechanism: 'a halted receiver is skipped',
      grade: 'medium',
      needs: 'a receiver that sleeps in hlt',
    },
  ]),
];
