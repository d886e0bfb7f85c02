/** VP indexes, the result register, and whose hypercalls are Hyper-V's. */
import { type Mutant, mutantsOf } from '../../mutant.ts';

const indexLimit = 'new_vp_index >= KVM_MAX_VCPUS';
const indexWritten = 'hv_vcpu->vp_index = new_vp_index;';
const writeRax = 'kvm_rax_write(vcpu, result);';

const hyperv = mutantsOf('hyperv.c', [
  {
    name: 'result-bit-63',
    find: writeRax,
    replace: 'kvm_rax_write(vcpu, result | BIT_ULL(63));',
    mechanism: 'the top bit of the result is set',
    grade: 'easy',
    needs: 'any call',
  },
  {
    name: 'result-16-bit',
    find: writeRax,
    replace: 'kvm_rax_write(vcpu, (kvm_rax_read(vcpu) & ~0xffffULL) | result);',
    mechanism: 'the upper bits of RAX stay as they were',
    grade: 'easy',
    needs: 'any call',
  },
  {
    name: 'result-32-bit-mode',
    find: 'longmode = is_64_bit_hypercall(vcpu);',
    replace: 'longmode = false;',
    mechanism: 'the result is written as for a 32-bit caller: RDX is lost',
    grade: 'easy',
    needs: 'any call',
  },
  {
    name: 'rip-not-advanced',
    find: 'ret = kvm_skip_emulated_instruction(vcpu);',
    replace: 'ret = 1;',
    mechanism: 'the call is repeated for ever',
    grade: 'easy',
    needs: 'any call',
    expect: 'hang',
  },
  {
    name: 'index-limit-inclusive',
    find: indexLimit,
    replace: 'new_vp_index > KVM_MAX_VCPUS',
    mechanism: 'VP index 4096 is accepted',
    grade: 'hard',
    needs: 'VP index 4096',
  },
  {
    name: 'index-unlimited',
    find: indexLimit,
    replace: '0',
    mechanism: 'any VP index is accepted (before 9170200ec0eb)',
    grade: 'medium',
    needs: 'a VP index of 4096 or above',
  },
  {
    name: 'index-limit-1024',
    find: indexLimit,
    replace: 'new_vp_index >= 1024',
    mechanism: 'VP indexes of 1024 and above are refused',
    grade: 'medium',
    needs: 'a VP index of 1024 or above',
  },
  {
    name: 'index-16-bit',
    find: 'u32 new_vp_index = (u32)data;',
    replace: 'u32 new_vp_index = (u16)data;',
    mechanism: 'VP index 65536 is accepted as 0',
    grade: 'hard',
    needs: 'a VP index of 65536 or above with small low bits',
  },
  {
    name: 'index-11-bit',
    find: indexWritten,
    replace: 'hv_vcpu->vp_index = new_vp_index & 0x7ff;',
    mechanism: 'VP indexes of 2048 and above are stored as lower ones',
    grade: 'medium',
    needs: 'a VP index of 2048 or above',
  },
  {
    name: 'index-not-stored',
    find: indexWritten,
    replace: '(void)new_vp_index;',
    mechanism: 'a VP index is accepted and not stored',
    grade: 'easy',
    needs: 'a VP index other than the position',
  },
  {
    name: 'index-read-wrong',
    find: 'data = hv_vcpu->vp_index;',
    replace: 'data = vcpu->vcpu_idx;',
    mechanism: 'reading the VP index gives the position',
    grade: 'easy',
    needs: 'a VP index other than the position',
  },
  {
    name: 'hyperv-on-first-only',
    find: 'vcpu->arch.hyperv_enabled = hyperv_enabled;',
    replace: 'vcpu->arch.hyperv_enabled = hyperv_enabled && !vcpu->vcpu_idx;',
    mechanism: 'only vCPU 0 may make the calls',
    grade: 'medium',
    needs: 'another sender than vCPU 0',
  },
]);

export const vpIndexMutants: readonly Mutant[] = [
  ...hyperv,
  ...mutantsOf('cpuid.c', [
    {
      name: 'signature-inverted',
      find: 'entry->eax == HYPERV_CPUID_SIGNATURE_EAX;',
      replace: 'entry->eax != HYPERV_CPUID_SIGNATURE_EAX;',
      mechanism: 'Hyper-V is not recognised in CPUID',
      grade: 'easy',
      needs: 'any call',
    },
  ]),
  ...mutantsOf('x86.c', [
    {
      name: 'hyperv-not-asked',
      find: 'if (kvm_hv_hypercall_enabled(vcpu))',
      replace: 'if (0)',
      mechanism: 'all calls go to the KVM-native interface',
      grade: 'easy',
      needs: 'any call',
    },
  ]),
];
