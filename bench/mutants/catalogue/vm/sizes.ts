/** Many vCPUs, and ids far from their positions. */
import { type Mutant, mutantsOf } from '../../mutant.ts';

const deliver = 'kvm_apic_set_irq(vcpu, &irq, NULL);\n\t}\n}\n\nstatic u64 kvm_hv_send_ipi(';

export const sizeMutants: readonly Mutant[] = mutantsOf('hyperv.c', [
  {
    name: 'vcpu-256-left-out',
    find: deliver,
    replace: `if (i < 256)\n\t\t\t${deliver}`,
    mechanism: 'no vCPU behind the first 256 gets an IPI',
    grade: 'hard',
    needs: 'a machine of more than 256 vCPUs',
  },
  {
    name: 'id-4095-left-out',
    find: deliver,
    replace: `if (vcpu->vcpu_id != 4095)\n\t\t\t${deliver}`,
    mechanism: 'the vCPU with the last id of a KVM for 1,024 vCPUs gets no IPI',
    grade: 'hard',
    needs: 'a vCPU with id 4,095',
  },
]);

export const moreSizeMutants: readonly Mutant[] = mutantsOf('hyperv.c', [
  {
    name: 'bank-15-left-out',
    find: 'if (!test_bit(valid_bit_nr, (unsigned long *)&valid_bank_mask))\n\t\treturn false;',
    replace:
      'if (valid_bit_nr == 15 ||\n\t    !test_bit(valid_bit_nr, (unsigned long *)&valid_bank_mask))\n\t\treturn false;',
    mechanism: 'no VP of bank 15 is in any set',
    grade: 'medium',
    needs: 'a VP with an index of 960 or above',
  },
  {
    name: 'banks-before-3-bit',
    find: 'sbank = hweight64(valid_bank_mask & GENMASK_ULL(valid_bit_nr - 1, 0));',
    replace: 'sbank = hweight64(valid_bank_mask & GENMASK_ULL(valid_bit_nr - 1, 0)) & 7;',
    mechanism: 'where more than seven banks lie in front, another one is looked into',
    grade: 'hard',
    needs: 'a set of nine banks or more, the ninth of which names a VP that exists',
  },
  {
    name: 'vcpu-256-alone-left-out',
    find: 'kvm_apic_set_irq(vcpu, &irq, NULL);\n\t}\n}\n\nstatic u64 kvm_hv_send_ipi(',
    replace: 'if (i != 256)\n\t\t\tkvm_apic_set_irq(vcpu, &irq, NULL);\n\t}\n}\n\nstatic u64 kvm_hv_send_ipi(',
    mechanism: 'the vCPU at position 256 gets no IPI',
    grade: 'hard',
    needs: 'a machine of 257 vCPUs or more',
  },
  {
    name: 'id-above-255-left-out',
    find: 'kvm_apic_set_irq(vcpu, &irq, NULL);\n\t}\n}\n\nstatic u64 kvm_hv_send_ipi(',
    replace:
      'if (vcpu->vcpu_id < 256 || i > 8)\n\t\t\tkvm_apic_set_irq(vcpu, &irq, NULL);\n\t}\n}\n\nstatic u64 kvm_hv_send_ipi(',
    mechanism: 'the first vCPUs get no IPI if their id is above 255',
    grade: 'hard',
    needs: 'a vCPU with an id above 255 in a small machine',
  },
  {
    name: 'all-255-alone',
    find: 'all_cpus = send_ipi_ex.vp_set.format == HV_GENERIC_SET_ALL;',
    replace:
      'all_cpus = send_ipi_ex.vp_set.format == HV_GENERIC_SET_ALL &&\n\t\t\tatomic_read(&kvm->online_vcpus) <= 256;',
    mechanism: 'ALL reaches nobody where there are more than 256 vCPUs',
    grade: 'hard',
    needs: 'a call to ALL in a machine of more than 256 vCPUs',
  },
  {
    name: 'sixteen-banks-refused',
    find: 'if (hc->var_cnt > HV_MAX_SPARSE_VCPU_BANKS)\n\t\treturn -EINVAL;',
    replace: 'if (hc->var_cnt > 15)\n\t\treturn -EINVAL;',
    mechanism: 'a set of sixteen banks is refused',
    grade: 'medium',
    needs: 'a set of sixteen banks or more',
  },
]);
