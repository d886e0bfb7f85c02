/** Changes of the local APIC and of how interrupts are delivered, APICv included. */
import { editor, type ReviewSample } from '../sample.ts';

const lapic = editor('arch/x86/kvm/lapic.c');
const svm = editor('arch/x86/kvm/svm/svm.c');
const entry = editor('arch/x86/kvm/svm/vmenter.S');

export const lapicSamples: readonly ReviewSample[] = [
  {
    name: 'in-service-bug',
    area: 'LAPIC',
    origin: 'KVM_BUG_ON of 2025 taken back',
    subject: 'Revert "kill the VM, not the host, when vectors in service are miscounted"',
    answer: 'unchanged',
    truth: 'the count is right, so that neither check fires',
    edits: [
      lapic(
        'KVM_BUG_ON(apic->isr_count > MAX_APIC_VECTOR, apic->vcpu->kvm);',
        'BUG_ON(apic->isr_count > MAX_APIC_VECTOR);',
      ),
      lapic('KVM_BUG_ON(apic->isr_count < 0, apic->vcpu->kvm);', 'BUG_ON(apic->isr_count < 0);'),
    ],
  },
  {
    name: 'same-apic-base',
    area: 'LAPIC',
    origin: 'early return of 2025 taken back',
    subject: 'Revert "do nothing when the APIC base does not change"',
    answer: 'unchanged',
    truth: 'the same base again changes nothing',
    edits: [lapic('\tif (vcpu->arch.apic_base == value)\n\t\treturn 0;\n\n', '')],
  },
  {
    name: 'map-free',
    area: 'LAPIC',
    origin: 'kvfree_rcu of 2025 taken back',
    subject: 'Revert "free the APIC map by kvfree_rcu()"',
    answer: 'unchanged',
    truth: 'when memory is freed is nothing that a guest sees',
    edits: [
      lapic(
        'static int kvm_recalculate_phys_map(',
        'static void kvm_apic_map_free(struct rcu_head *rcu)\n{\n\tkvfree(container_of(rcu, struct kvm_apic_map, rcu));\n}\n\nstatic int kvm_recalculate_phys_map(',
      ),
      lapic('\t\tkvfree_rcu(old, rcu);\n', '\t\tcall_rcu(&old->rcu, kvm_apic_map_free);\n'),
    ],
  },
  {
    name: 'timer-lvt-name',
    area: 'LAPIC',
    origin: 'LVT_TIMER of 2025 taken back',
    subject: 'Revert "name the timer in the table of LVT masks"',
    answer: 'unchanged',
    truth: 'the modules are the same but for their build IDs',
    says: /the same but for the build ID/,
    edits: [lapic('apic_lvt_mask[LVT_TIMER] | apic->lapic_timer', 'apic_lvt_mask[0] | apic->lapic_timer')],
  },
  {
    name: 'pv-ipi-speculation',
    area: 'LAPIC',
    origin: 'array_index_nospec of 2026 taken back',
    subject: 'Revert "bound the index into the APIC map for each bit of a KVM IPI"',
    answer: 'not-exercised',
    truth: "KVM's own IPI hypercall is none of the two",
    edits: [
      lapic('\t\tmap_index = array_index_nospec(min + i, map->max_apic_id + 1);\n', '\t\tmap_index = min + i;\n'),
    ],
  },
  {
    name: 'wait-for-sipi-warning',
    area: 'LAPIC',
    origin: 'WARN of 2026 taken back',
    subject: 'Revert "do not warn about INIT_RECEIVED while INIT is blocked"',
    answer: 'not-exercised',
    truth: 'INIT is only blocked in SMM and in nested states',
    edits: [
      lapic(
        '\t\tclear_bit(KVM_APIC_SIPI, &apic->pending_events);\n\t\treturn 0;\n',
        '\t\tWARN_ON_ONCE(vcpu->arch.mp_state == KVM_MP_STATE_INIT_RECEIVED);\n\t\tclear_bit(KVM_APIC_SIPI, &apic->pending_events);\n\t\treturn 0;\n',
      ),
    ],
  },
  {
    name: 'mp-state-helper',
    area: 'LAPIC',
    origin: 'kvm_set_mp_state() of 2025 taken back',
    subject: 'Revert "clear pv_unhalted whenever a vCPU becomes runnable"',
    answer: 'unchanged',
    truth: 'nobody kicks a vCPU by KVM_HC_KICK_CPU here',
    edits: [
      lapic(
        '\t\t\tkvm_set_mp_state(vcpu, KVM_MP_STATE_RUNNABLE);\n\t\telse\n',
        '\t\t\tvcpu->arch.mp_state = KVM_MP_STATE_RUNNABLE;\n\t\telse\n',
      ),
      lapic('kvm_set_mp_state(vcpu, KVM_MP_STATE_INIT_RECEIVED);', 'vcpu->arch.mp_state = KVM_MP_STATE_INIT_RECEIVED;'),
    ],
  },
  {
    name: 'sti-shadow',
    area: 'LAPIC',
    origin: 'be45bc4eff33 (2025-02) taken back',
    subject: 'Revert "set RFLAGS.IF in C code, to get VMRUN out of the STI shadow"',
    answer: 'unchanged',
    truth: 'only an event that is injected into a shadow shows it, on real CPUs; QEMU 7.2 is known to get it wrong',
    edits: [
      svm('\traw_local_irq_enable();\n\n\tamd_clear_divider();\n', '\tamd_clear_divider();\n'),
      svm(
        '\t\t__svm_vcpu_run(svm, enter_flags);\n\n\traw_local_irq_disable();\n',
        '\t\t__svm_vcpu_run(svm, enter_flags);\n',
      ),
      entry('3:\tvmrun %_ASM_AX\n4:\n', '\tsti\n3:\tvmrun %_ASM_AX\n4:\n\tcli\n'),
    ],
  },
  {
    name: 'tpr-with-avic',
    area: 'APICv',
    origin: 'd02e48830e3f (2025-08) taken back',
    subject: 'Revert "sync TPR from LAPIC into V_TPR even if AVIC is active"',
    answer: 'unchanged',
    truth: 'AVIC is off, so that the same is done',
    edits: [
      svm(
        '\tif (nested_svm_virtualize_tpr(vcpu))\n\t\treturn;\n\n\tcr8 = kvm_get_cr8(vcpu);\n',
        '\tif (nested_svm_virtualize_tpr(vcpu) || kvm_vcpu_apicv_active(vcpu))\n\t\treturn;\n\n\tcr8 = kvm_get_cr8(vcpu);\n',
      ),
    ],
  },
  {
    name: 'svi-when-activated',
    area: 'APICv',
    origin: 'SVI update of 2025-12 taken back',
    subject: 'Revert "update SVI when APICv is activated"',
    answer: 'not-exercised',
    truth: 'the line is only reached with APICv',
    edits: [
      lapic(
        '\t\tkvm_x86_call(hwapic_isr_update)(vcpu, apic_find_highest_isr(apic));\n\t} else {\n\t\tapic->isr_count = count',
        '\t} else {\n\t\tapic->isr_count = count',
      ),
    ],
  },
  {
    name: 'posted-interrupts',
    area: 'APICv',
    origin: 'READ_ONCE of 2025-06 taken back',
    subject: 'Revert "read IRR once when posted interrupts are harvested"',
    answer: 'not-exercised',
    truth: 'there are no posted interrupts without APICv',
    edits: [lapic('irr_val = READ_ONCE(*p_irr);', 'irr_val = *p_irr;')],
  },
  {
    name: 'avic-cr8-intercept',
    area: 'APICv',
    origin: '87d0f901a9bd (2026-02) taken back',
    subject: 'Revert "set and clear the CR8 intercept when AVIC is toggled"',
    answer: 'not-exercised',
    truth: 'AVIC is off',
    edits: [
      {
        file: 'arch/x86/kvm/svm/avic.c',
        find: '\tsvm_clr_intercept(svm, INTERCEPT_CR8_WRITE);\n\n\t/*\n',
        replace: '\t/*\n',
      },
    ],
  },
];
