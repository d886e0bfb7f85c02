/** Races of senders with each other: what is a call's own is shared by calls that are made at once (hyperv.c). */
import { mutantsOf } from '../../mutant.ts';

const hyperv = mutantsOf('hyperv.c', [
  {
    name: 'input-shared',
    find: 'struct hv_send_ipi send_ipi;',
    replace: 'static struct hv_send_ipi send_ipi;',
    mechanism: 'the input block of 0x000b is read into a place that all calls share',
    grade: 'hard',
    needs: 'two slow calls of 0x000b at once with different input',
  },
  {
    name: 'ex-input-shared',
    find: 'struct hv_send_ipi_ex send_ipi_ex;\n\tstruct hv_send_ipi send_ipi;',
    replace: 'static struct hv_send_ipi_ex send_ipi_ex;\n\tstruct hv_send_ipi send_ipi;',
    mechanism: 'the header of 0x0015 is read into a place that all calls share',
    grade: 'hard',
    needs: 'two calls of 0x0015 at once with different headers',
  },
  {
    name: 'registers-shared',
    find: 'struct kvm_hv_hcall hc;\n\tu64 ret = HV_STATUS_SUCCESS;',
    replace: 'static struct kvm_hv_hcall hc;\n\tu64 ret = HV_STATUS_SUCCESS;',
    mechanism: 'what the registers say is kept in a place that all calls share',
    grade: 'medium',
    needs: 'two calls at once with different registers',
  },
  {
    name: 'vector-shared',
    find: 'struct kvm_lapic_irq irq = {\n\t\t.delivery_mode = APIC_DM_FIXED,\n\t\t.vector = vector\n\t};',
    replace: 'static struct kvm_lapic_irq irq = {\n\t\t.delivery_mode = APIC_DM_FIXED,\n\t};\n\n\tirq.vector = vector;',
    mechanism: 'the vector of a call is kept in a place that all calls share',
    grade: 'hard',
    needs: 'two calls at once with different vectors',
  },
  {
    name: 'banks-shared-in-vm',
    find: 'u64 *sparse_banks = hv_vcpu->sparse_banks;\n\tstruct kvm *kvm = vcpu->kvm;\n\tstruct hv_send_ipi_ex',
    replace:
      'struct kvm_vcpu_hv *first = to_hv_vcpu(kvm_get_vcpu(vcpu->kvm, 0));\n\tu64 *sparse_banks = (first ?: hv_vcpu)->sparse_banks;\n\tstruct kvm *kvm = vcpu->kvm;\n\tstruct hv_send_ipi_ex',
    mechanism: 'all vCPUs of a VM read the banks of a call into the buffer of the first one',
    grade: 'hard',
    needs: 'two senders of one VM with different sets at once',
  },
  {
    name: 'vp-index-through-0',
    find: 'hv_vcpu->vp_index = new_vp_index;',
    replace:
      'WRITE_ONCE(hv_vcpu->vp_index, 0);\n\t\tcpu_relax();\n\t\tcpu_relax();\n\t\tWRITE_ONCE(hv_vcpu->vp_index, new_vp_index);',
    mechanism: 'a vCPU is VP 0 for an instant when its VP index changes',
    grade: 'hard',
    needs: 'a call to VP 0 while the VP index of another vCPU changes',
  },
]);

export const senderRaceMutants = [...hyperv];
