/** Edits that change nothing that a guest could see: whoever reports one of these is wrong. */
import { type Mutant, type MutantEntry, mutantsOf } from '../mutant.ts';

const equivalent = (entry: Omit<MutantEntry, 'grade' | 'expect'>): MutantEntry => ({
  ...entry,
  grade: 'easy',
  expect: 'equivalent',
});

export const equivalentMutants: readonly Mutant[] = [
  ...mutantsOf(
    'hyperv.c',
    [
      {
        name: 'same-header-cap',
        find: 'if (hc->var_cnt > HV_MAX_SPARSE_VCPU_BANKS)\n\t\treturn -EINVAL;',
        replace: '',
        mechanism: 'the second check of the header is gone',
        needs: 'the header equals a popcount of at most 64 by then',
      },
      {
        name: 'same-bank-bound',
        find: 'if (valid_bit_nr >= HV_MAX_SPARSE_VCPU_BANKS)\n\t\treturn false;',
        replace: '',
        mechanism: 'the bound of 4721f8160f17 is gone',
        needs: 'VP indexes are below 4096; only the nested flush passes others',
      },
      {
        name: 'same-bank-cap',
        find: 'u16 cnt = min(orig_cnt, cnt_cap);',
        replace: 'u16 cnt = orig_cnt;',
        mechanism: 'bank reads are not capped (before 79661c3766f8)',
        needs: 'the cap is 64 where KVM_MAX_VCPUS is 4096, and so is the largest count',
      },
      {
        name: 'same-level',
        find: '.vector = vector\n\t};',
        replace: '.vector = vector,\n\t\t.level = 1\n\t};',
        mechanism: 'an edge interrupt says level 1',
        needs: 'the level of an edge interrupt is not looked at',
      },
      {
        name: 'same-lowest-priority',
        find: 'APIC_DM_FIXED,\n\t\t.vector = vector\n',
        replace: 'APIC_DM_LOWEST,\n\t\t.vector = vector\n',
        mechanism: 'the interrupt is sent as lowest priority',
        needs: 'the target is chosen already; only the arbitration count rises',
      },
      {
        name: 'same-destination',
        find: '.vector = vector\n\t};',
        replace: '.vector = vector,\n\t\t.dest_id = 5,\n\t\t.shorthand = APIC_DEST_ALLINC\n\t};',
        mechanism: 'the interrupt names another destination',
        needs: 'delivery is by vCPU; the destination is not looked at',
      },
      {
        name: 'same-mismatch-count',
        find: 'atomic_inc(&hv->num_mismatched_vp_indexes);',
        replace: ';',
        mechanism: 'the count of unusual VP indexes stays 0',
        needs: 'only TLB flushes use it',
      },
      {
        name: 'same-index-mask',
        find: 'hv_vcpu->vp_index = new_vp_index;',
        replace: 'hv_vcpu->vp_index = new_vp_index & 0xfff;',
        mechanism: 'the VP index is cut to 12 bits',
        needs: 'it is below 4096 already',
      },
      {
        name: 'same-index-written-again',
        find: 'if (new_vp_index == hv_vcpu->vp_index)\n\t\t\treturn 0;',
        replace: '',
        mechanism: 'the same VP index is stored again',
        needs: 'nothing changes but the count for TLB flushes',
      },
      {
        name: 'same-format-order',
        find: 'all_cpus = send_ipi_ex.vp_set.format == HV_GENERIC_SET_ALL;',
        replace: 'all_cpus = !(send_ipi_ex.vp_set.format ^ HV_GENERIC_SET_ALL);',
        mechanism: 'the comparison is written otherwise',
        needs: 'it means the same',
      },
      {
        name: 'same-vector-range',
        find: '(vector < HV_IPI_LOW_VECTOR) || (vector > HV_IPI_HIGH_VECTOR)',
        replace: 'vector - HV_IPI_LOW_VECTOR > HV_IPI_HIGH_VECTOR - HV_IPI_LOW_VECTOR',
        mechanism: 'the range check is one comparison',
        needs: 'it means the same for unsigned numbers',
      },
      {
        name: 'same-reserved-order',
        find: 'hc->ingpa >> 32 != 0',
        replace: '(u64)hc->ingpa > U32_MAX',
        mechanism: 'the check of the upper half is written otherwise',
        needs: 'it means the same',
      },
      {
        name: 'same-event-id',
        find: 'if (hc->ingpa & 0xffff00000000ULL)',
        replace: 'if (hc->ingpa & 0xff0000000000ULL)',
        mechanism: 'another hypercall checks less',
        needs: 'the cases make no other hypercall',
      },
    ].map(equivalent),
  ),
  ...mutantsOf(
    'lapic.c',
    [
      {
        name: 'same-pending-hint',
        find: 'if (!apic->irr_pending)\n\t\treturn -1;',
        replace: '',
        mechanism: 'IRR is always searched',
        needs: 'irr_pending is a hint only',
      },
      {
        name: 'same-isr-cache',
        find: 'apic->highest_isr_cache = vec;',
        replace: 'apic->highest_isr_cache = -1;',
        mechanism: 'the highest vector in service is never remembered',
        needs: 'ISR is searched instead',
      },
      {
        name: 'same-eoi-event',
        find: 'kvm_ioapic_send_eoi(apic, vector);\n\tkvm_make_request(KVM_REQ_EVENT, apic->vcpu);\n\treturn vector;\n}\n\n/*\n * this',
        replace: 'kvm_ioapic_send_eoi(apic, vector);\n\treturn vector;\n}\n\n/*\n * this',
        mechanism: 'EOI does not ask for events',
        needs: 'the update of PPR asks when something is pending',
      },
      {
        name: 'same-tmr-twice',
        find: 'apic_test_vector(vector, apic->regs + APIC_TMR) != !!trig_mode',
        replace: '1',
        mechanism: 'TMR is written even when it is right',
        needs: 'writing the same bit again changes nothing',
      },
    ].map(equivalent),
  ),
];

const moreLapic = mutantsOf('lapic.c', [
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

const moreWords = mutantsOf('lapic.h', [
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

const moreSvm = mutantsOf('svm/svm.c', [
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

const moreHyperv = mutantsOf('hyperv.c', [
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

const moreX86 = mutantsOf('x86.c', [
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

export const moreEquivalentMutants = [...moreLapic, ...moreWords, ...moreSvm, ...moreHyperv, ...moreX86];
