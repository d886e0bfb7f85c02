/** What KVM does around an entry, and what switches APICv off: x86.c and hyperv.c. */
import { type Mutant, mutantsOf } from '../../mutant.ts';

const changed =
  'if (!apic->apicv_active)\n\t\tkvm_make_request(KVM_REQ_EVENT, vcpu);\n\telse\n\t\tkvm_apic_update_hwapic_isr(vcpu);';

export const intelEntryMutants: readonly Mutant[] = [
  ...mutantsOf('x86.c', [
    {
      name: 'entry-without-sync',
      find: 'if (kvm_lapic_enabled(vcpu))\n\t\tkvm_x86_call(sync_pir_to_irr)(vcpu);\n\n\tif (kvm_vcpu_exit_request',
      replace: 'if (kvm_vcpu_exit_request',
      mechanism: 'what was posted outside of the guest is not taken',
      grade: 'medium',
      needs: 'a target, then run',
    },
    {
      name: 'page-without-posted',
      find: 'kvm_x86_call(sync_pir_to_irr)(vcpu);\n\n\treturn kvm_apic_get_state',
      replace: 'return kvm_apic_get_state',
      mechanism: 'KVM_GET_LAPIC does not have what was posted',
      grade: 'easy',
      needs: 'any target',
    },
    {
      name: 'page-set-keeps-state',
      find: 'r = kvm_apic_set_state(vcpu, s);\n\tif (r)\n\t\treturn r;',
      replace:
        'if (vcpu->arch.apic->apicv_active)\n\t\ts->regs[APIC_TASKPRI] = 0;\n\tr = kvm_apic_set_state(vcpu, s);\n\tif (r)\n\t\treturn r;',
      mechanism: 'KVM_SET_LAPIC makes TPR 0 where APICv is active',
      grade: 'medium',
      needs: 'a TPR when the case begins',
    },
    {
      name: 'apicv-update-ignored',
      find: 'if (kvm_check_request(KVM_REQ_APICV_UPDATE, vcpu))\n\t\t\tkvm_vcpu_update_apicv(vcpu);',
      replace: 'kvm_check_request(KVM_REQ_APICV_UPDATE, vcpu);',
      mechanism: 'APICv stays as it is',
      grade: 'medium',
      needs: 'an auto-EOI vector in the VM',
      expect: 'warning',
    },
    {
      name: 'inhibition-not-told',
      find: 'kvm_make_all_cpus_request(kvm, KVM_REQ_APICV_UPDATE);',
      replace: ';',
      mechanism: 'vCPUs that are there already are not told that APICv is off',
      grade: 'medium',
      needs: 'an auto-EOI vector in the VM',
      expect: 'warning',
    },
    {
      name: 'activated-svi-old',
      find: changed,
      replace: 'if (!apic->apicv_active)\n\t\tkvm_make_request(KVM_REQ_EVENT, vcpu);',
      mechanism: 'SVI is not set when APICv goes on',
      grade: 'hard',
      needs: 'a vector in service while the last auto-EOI vector is masked or the APIC enabled again, then EOI',
    },
    {
      name: 'inhibited-event-not-requested',
      find: changed,
      replace: 'if (apic->apicv_active)\n\t\tkvm_apic_update_hwapic_isr(vcpu);',
      mechanism: 'what was posted before APICv went off is not injected',
      grade: 'hard',
      needs: 'a vector pending, then an auto-EOI vector in the VM, then run',
    },
    {
      name: 'active-without-apic',
      find: 'activate = kvm_vcpu_apicv_activated(vcpu) &&\n\t\t   (kvm_get_apic_mode(vcpu) != LAPIC_MODE_DISABLED);',
      replace: 'activate = kvm_vcpu_apicv_activated(vcpu);',
      mechanism: 'APICv stays active for a vCPU whose APIC is hardware-disabled',
      grade: 'hard',
      needs: 'a vector pending, the APIC hardware-disabled, then run',
    },
  ]),
  ...mutantsOf('hyperv.c', [
    {
      name: 'auto-eoi-inhibits-nothing',
      find: 'APICV_INHIBIT_REASON_HYPERV,\n\t\t\t\t\t !!hv->synic_auto_eoi_used);',
      replace: 'APICV_INHIBIT_REASON_HYPERV, false);',
      mechanism: 'auto-EOI vectors stay in service, because the CPU delivers them',
      grade: 'medium',
      needs: 'an auto-EOI vector that is sent, then run',
    },
    {
      name: 'auto-eoi-inhibits-once',
      find: '!!hv->synic_auto_eoi_used);',
      replace: 'hv->synic_auto_eoi_used == 1);',
      mechanism: 'with auto-EOI vectors on two vCPUs APICv is on again',
      grade: 'hard',
      needs: 'auto-EOI vectors of two vCPUs, one of them sent, then run',
    },
  ]),
];
