/** More of what callers with IF or TF see behind a call. */
import { mutantsOf } from '../../mutant.ts';

const x86 = mutantsOf('x86.c', [
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

const hyperv = mutantsOf('hyperv.c', [
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

export const moreCallerFlagMutants = [...x86, ...hyperv];
