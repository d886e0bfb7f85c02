/** Many vCPUs, and ids far from their positions. */
import { type Mutant, mutantsOf } from '../mutant.ts';

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
