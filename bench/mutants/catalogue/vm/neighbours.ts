/** What one VM configures shows in another: the static keys of lapic.h and xen.h, and state that is not a VM's own. */
import { type Mutant, mutantsOf } from '../../mutant.ts';

export const neighbourMutants: readonly Mutant[] = [
  ...mutantsOf('lapic.h', [
    {
      name: 'no-lapic-beside-one-without',
      find: 'if (static_branch_unlikely(&kvm_has_noapic_vcpu))\n\t\treturn vcpu->arch.apic;\n\treturn true;',
      replace: 'return !static_branch_unlikely(&kvm_has_noapic_vcpu);',
      mechanism: 'while any VM of the host has no LAPIC in the kernel, no vCPU has one',
      grade: 'medium',
      needs: 'a VM without LAPICs beside one with',
    },
  ]),
  ...mutantsOf('lapic.c', [
    {
      name: 'lapic-key-off-with-first',
      find: 'static_branch_dec(&kvm_has_noapic_vcpu);\n\t\treturn;',
      replace: 'static_branch_disable(&kvm_has_noapic_vcpu);\n\t\treturn;',
      mechanism: 'with the first vCPU without a LAPIC that goes, those that stay count as having one',
      grade: 'hard',
      needs: 'two VMs without LAPICs, one of which goes while the other calls',
      expect: 'warning',
    },
    {
      name: 'hardware-disabled-not-counted',
      find: 'static_branch_inc(&apic_hw_disabled.key);\n\t\t\tatomic_set_release',
      replace: 'atomic_set_release',
      mechanism: 'a hardware-disabled APIC counts as enabled, unless somebody else turned the key on',
      grade: 'medium',
      needs: 'a hardware-disabled APIC on a host where nothing else holds the static key',
    },
  ]),
  ...mutantsOf('xen.h', [
    {
      name: 'xen-for-all-beside-one',
      find: 'return static_branch_unlikely(&kvm_xen_enabled.key) &&\n\t\t(kvm->arch.xen_hvm_config.flags &\n\t\t KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL);',
      replace: 'return static_branch_unlikely(&kvm_xen_enabled.key);',
      mechanism: 'while any VM of the host has Xen, the hypercalls of all are intercepted',
      grade: 'medium',
      needs: 'a VM with Xen beside one without, or just gone',
    },
  ]),
  ...mutantsOf('hyperv.c', [
    {
      name: 'banks-shared-by-all',
      find: 'u64 *sparse_banks = hv_vcpu->sparse_banks;\n\tstruct kvm *kvm = vcpu->kvm;\n\tstruct hv_send_ipi_ex',
      replace:
        'static u64 shared[64];\n\tu64 *sparse_banks = hv_vcpu ? shared : NULL;\n\tstruct kvm *kvm = vcpu->kvm;\n\tstruct hv_send_ipi_ex',
      mechanism: 'the banks of a call are read into a buffer that all vCPUs of all VMs share',
      grade: 'hard',
      needs: 'calls with different sets at once, by two senders or by two VMs',
    },
  ]),
];
