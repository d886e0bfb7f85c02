/** Callers with IF or TF set: what comes right behind the call, and in which order (x86.c, svm.c, hyperv.c). */
import { type Mutant, mutantsOf } from '../../mutant.ts';

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

const moreX86 = mutantsOf('x86.c', [
  {
    name: 'trap-clears-flag',
    find: 'if (unlikely(rflags & X86_EFLAGS_TF))\n\t\tr = kvm_vcpu_do_singlestep(vcpu);\n\treturn r;\n}\nEXPORT_SYMBOL_GPL(kvm_skip_emulated_instruction);',
    replace:
      'if (unlikely(rflags & X86_EFLAGS_TF)) {\n\t\tkvm_set_rflags(vcpu, rflags & ~X86_EFLAGS_TF);\n\t\tr = kvm_vcpu_do_singlestep(vcpu);\n\t}\n\treturn r;\n}\nEXPORT_SYMBOL_GPL(kvm_skip_emulated_instruction);',
    mechanism: 'the trap behind a call clears TF in the flags that it pushes',
    grade: 'medium',
    needs: 'a caller with TF set, and the flags pushed',
  },
  {
    name: 'trap-by-interrupts',
    find: 'if (unlikely(rflags & X86_EFLAGS_TF))\n\t\tr = kvm_vcpu_do_singlestep(vcpu);\n\treturn r;\n}\nEXPORT_SYMBOL_GPL(kvm_skip_emulated_instruction);',
    replace:
      'if (unlikely((rflags & (X86_EFLAGS_TF | X86_EFLAGS_IF)) == X86_EFLAGS_TF))\n\t\tr = kvm_vcpu_do_singlestep(vcpu);\n\treturn r;\n}\nEXPORT_SYMBOL_GPL(kvm_skip_emulated_instruction);',
    mechanism: 'a single-stepping guest with interrupts on runs on behind a call',
    grade: 'medium',
    needs: 'a caller with TF and IF set',
  },
  {
    name: 'trap-in-front',
    find: 'if (unlikely(rflags & X86_EFLAGS_TF))\n\t\tr = kvm_vcpu_do_singlestep(vcpu);\n\treturn r;\n}\nEXPORT_SYMBOL_GPL(kvm_skip_emulated_instruction);',
    replace:
      'if (unlikely(rflags & X86_EFLAGS_TF)) {\n\t\tkvm_rip_write(vcpu, kvm_rip_read(vcpu) - 3);\n\t\tr = kvm_vcpu_do_singlestep(vcpu);\n\t}\n\treturn r;\n}\nEXPORT_SYMBOL_GPL(kvm_skip_emulated_instruction);',
    mechanism: 'the trap of a call points at the call',
    grade: 'medium',
    needs: 'a caller with TF set, and RIP pushed',
  },
]);

const moreHyperv = mutantsOf('hyperv.c', [
  {
    name: 'call-turns-interrupts-off',
    find: 'ret = kvm_skip_emulated_instruction(vcpu);',
    replace:
      'kvm_set_rflags(vcpu, kvm_get_rflags(vcpu) & ~X86_EFLAGS_IF);\n\tret = kvm_skip_emulated_instruction(vcpu);',
    mechanism: 'interrupts are off behind a call',
    grade: 'medium',
    needs: 'a caller with IF set',
  },
  {
    name: 'call-turns-interrupts-on',
    find: 'ret = kvm_skip_emulated_instruction(vcpu);',
    replace:
      'if (kvm_get_rflags(vcpu) & X86_EFLAGS_TF)\n\t\tkvm_set_rflags(vcpu, kvm_get_rflags(vcpu) | X86_EFLAGS_IF);\n\tret = kvm_skip_emulated_instruction(vcpu);',
    mechanism: 'interrupts are on behind a call that is stepped',
    grade: 'medium',
    needs: 'a caller with TF set and IF clear',
  },
]);

export const moreCallerFlagMutants = [...moreX86, ...moreHyperv];
