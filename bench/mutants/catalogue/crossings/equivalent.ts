/** Edits over lives, migration, races and sizes that nobody can see. */
import { mutantsOf } from '../../mutant.ts';

const lapic = mutantsOf('lapic.c', [
  {
    name: 'same-map-twice',
    find: 'kvm_recalculate_apic_map(vcpu->kvm);\n\tkvm_apic_set_version(vcpu);',
    replace:
      'kvm_recalculate_apic_map(vcpu->kvm);\n\tatomic_set_release(&apic->vcpu->kvm->arch.apic_map_dirty, DIRTY);\n\tkvm_recalculate_apic_map(vcpu->kvm);\n\tkvm_apic_set_version(vcpu);',
    mechanism: 'the map is made twice when a LAPIC is set',
    grade: 'medium',
    needs: 'nothing: it is the same map',
    expect: 'equivalent',
  },
  {
    name: 'same-sipi-mask',
    find: 'sipi_vector = apic->sipi_vector;',
    replace: 'sipi_vector = apic->sipi_vector & 0xff;',
    mechanism: 'the page of a start-up IPI is cut to eight bits',
    grade: 'medium',
    needs: 'nothing: it is of eight bits',
    expect: 'equivalent',
  },
]);

const words = mutantsOf('lapic.h', [
  {
    name: 'same-pending-on-both-sides',
    find: 'kvm_lapic_set_vector(vec, apic->regs + APIC_IRR);\n\t/*\n\t * irr_pending must',
    replace:
      'apic->irr_pending = true;\n\tkvm_lapic_set_vector(vec, apic->regs + APIC_IRR);\n\t/*\n\t * irr_pending must',
    mechanism: 'that something is pending is noted in front of it and behind',
    grade: 'hard',
    needs: 'nothing: what is noted too early is looked for in vain',
    expect: 'equivalent',
  },
]);

const svm = mutantsOf('svm/svm.c', [
  {
    name: 'same-request-twice',
    find: 'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_kick(vcpu);\n\t\treturn;',
    replace:
      'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_kick(vcpu);\n\t\tkvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_kick(vcpu);\n\t\treturn;',
    mechanism: 'each receiver is asked and kicked twice',
    grade: 'hard',
    needs: 'nothing: the second look finds nothing new',
    expect: 'equivalent',
  },
  {
    name: 'same-wake-up-too',
    find: 'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_kick(vcpu);\n\t\treturn;',
    replace:
      'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_wake_up(vcpu);\n\t\tkvm_vcpu_kick(vcpu);\n\t\treturn;',
    mechanism: 'each receiver is woken and then kicked',
    grade: 'hard',
    needs: 'nothing: a kick wakes as well',
    expect: 'equivalent',
  },
]);

const hyperv = mutantsOf('hyperv.c', [
  {
    name: 'same-sint-order',
    find: 'synic_update_vector(synic, old_vector);\n\n\tsynic_update_vector(synic, vector);',
    replace: 'synic_update_vector(synic, vector);\n\n\tsynic_update_vector(synic, old_vector);',
    mechanism: 'the new vector of a SINT is looked at before the old one',
    grade: 'medium',
    needs: 'nothing: each is looked at by itself',
    expect: 'equivalent',
  },
  {
    name: 'same-banks-cleared',
    find: 'if (hc->code == HVCALL_SEND_IPI) {\n\t\tif (!hc->fast) {',
    replace:
      'memset(sparse_banks, 0, sizeof(hv_vcpu->sparse_banks));\n\tif (hc->code == HVCALL_SEND_IPI) {\n\t\tif (!hc->fast) {',
    mechanism: 'banks are cleared in front of each call',
    grade: 'medium',
    needs: 'nothing: only those that were read are looked at',
    expect: 'equivalent',
  },
]);

const x86 = mutantsOf('x86.c', [
  {
    name: 'same-selector-read',
    find: 'msr_info->data = vcpu->arch.apic_base;',
    replace: 'msr_info->data = READ_ONCE(vcpu->arch.apic_base);',
    mechanism: 'IA32_APIC_BASE is read once',
    grade: 'medium',
    needs: 'nothing: nobody else writes it',
    expect: 'equivalent',
  },
]);

export const moreEquivalentMutants = [...lapic, ...words, ...svm, ...hyperv, ...x86];
