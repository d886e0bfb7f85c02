/** Callers with IF or TF set: what comes right behind the call, and in which order (x86.c, svm.c, hyperv.c). */
import { type Mutant, mutantsOf } from '../mutant.ts';

export const callerFlagMutants: readonly Mutant[] = [
  ...mutantsOf('x86.c', [
    {
      name: 'no-trap-behind-skipped',
      find: 'if (unlikely(rflags & X86_EFLAGS_TF))\n\t\tr = kvm_vcpu_do_singlestep(vcpu);\n\treturn r;\n}\nEXPORT_SYMBOL_GPL(kvm_skip_emulated_instruction);',
      replace: 'return r;\n}\nEXPORT_SYMBOL_GPL(kvm_skip_emulated_instruction);',
      mechanism: 'a single-stepping guest runs on behind an instruction that KVM answered',
      grade: 'medium',
      needs: 'a caller with TF set',
    },
    {
      name: 'interrupt-over-exception',
      find: 'vcpu->arch.exception.injected = true;\n\n\t\tcan_inject = false;',
      replace: 'vcpu->arch.exception.injected = true;',
      mechanism: 'an interrupt that is pending takes the place of the exception that is being injected',
      grade: 'hard',
      needs: 'a caller with IF set whose call raises an exception or traps, and a vector that it can take',
    },
  ]),
  ...mutantsOf('hyperv.c', [
    {
      name: 'no-trap-behind-hypercall',
      find: 'ret = kvm_skip_emulated_instruction(vcpu);',
      replace: 'ret = kvm_x86_call(skip_emulated_instruction)(vcpu);',
      mechanism: 'a single-stepping guest runs on behind a Hyper-V call, and behind no other instruction',
      grade: 'medium',
      needs: 'a caller with TF set',
    },
  ]),
  ...mutantsOf('svm/svm.c', [
    {
      name: 'own-ipi-without-event',
      find: 'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_kick(vcpu);\n\t\treturn;',
      replace:
        'if (vcpu != kvm_get_running_vcpu())\n\t\t\tkvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_kick(vcpu);\n\t\treturn;',
      mechanism:
        'a caller that is its own target gets the vector into IRR, and takes it only when something else comes',
      grade: 'hard',
      needs: 'a caller with IF set among its own targets',
    },
  ]),
];
