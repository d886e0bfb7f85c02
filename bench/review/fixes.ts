/**
 * Changes that `review` is measured with: real fixes taken back (by the commit that each one names), and changes
 * that no guest can see. Each is an edit of Debian's 6.12 source, from which a patch is made when it is measured.
 */
import type { Edit } from '../../src/system/edit.ts';

export interface ReviewSample {
  readonly name: string;
  /** Subject of the patch. */
  readonly subject: string;
  readonly edits: readonly Edit[];
  readonly isVisible: boolean;
  /** False where no case runs what is changed, so that nothing can be known. */
  readonly isExercised?: false;
}

const hyperv = 'arch/x86/kvm/hyperv.c';
const edit = (find: string, replace: string): Edit => ({ file: hyperv, find, replace });

const reverts: readonly ReviewSample[] = [
  {
    name: '3244867af8c0-all-with-zero-banks',
    subject: 'Revert "do not ignore IPIs to all with zero banks"',
    isVisible: true,
    edits: [
      edit(
        '\t\tif (all_cpus)\n\t\t\tgoto check_and_send_ipi;\n\n\t\tif (!hc->var_cnt)\n\t\t\tgoto ret_success;\n',
        '\t\tif (!hc->var_cnt)\n\t\t\tgoto ret_success;\n\n\t\tif (all_cpus)\n\t\t\tgoto check_and_send_ipi;\n',
      ),
    ],
  },
  {
    name: 'bd1ba5732bb9-bank-count',
    subject: 'Revert "take the number of banks from the variable header"',
    isVisible: true,
    edits: [
      edit(
        '\t\tif (hc->var_cnt != hweight64(valid_bank_mask))\n\t\t\treturn HV_STATUS_INVALID_HYPERCALL_INPUT;\n\n\t\tif (all_cpus)',
        '\t\thc->var_cnt = hweight64(valid_bank_mask);\n\n\t\tif (all_cpus)',
      ),
    ],
  },
  {
    name: '40421f38f637-header-on-fixed-call',
    subject: 'Revert "refuse a variable header on calls of fixed size"',
    isVisible: true,
    edits: [
      edit(
        '\tcase HVCALL_SEND_IPI:\n\t\tif (unlikely(hc.var_cnt)) {\n\t\t\tret = HV_STATUS_INVALID_HYPERCALL_INPUT;\n\t\t\tbreak;\n\t\t}\n\t\tfallthrough;\n',
        '\tcase HVCALL_SEND_IPI:\n',
      ),
    ],
  },
  {
    name: '47d3e5cdfe60-xmm-fast-ipi',
    subject: 'Revert "XMM-fast HvCallSendSyntheticClusterIpiEx"',
    isVisible: true,
    edits: [
      edit(
        '\t\t\tsend_ipi_ex.vector = (u32)hc->ingpa;\n\t\t\tsend_ipi_ex.vp_set.format = hc->outgpa;\n\t\t\tsend_ipi_ex.vp_set.valid_bank_mask = sse128_lo(hc->xmm[0]);\n',
        '\t\t\treturn HV_STATUS_INVALID_HYPERCALL_INPUT;\n',
      ),
    ],
  },
  {
    name: '7321f47eada5-xmm-bank-limit',
    subject: 'Revert "count sparse banks in halves of XMM registers"',
    isVisible: true,
    edits: [
      edit(
        'if (orig_cnt > 2 * HV_HYPERCALL_MAX_XMM_REGISTERS - hc->consumed_xmm_halves)',
        'if (orig_cnt > HV_HYPERCALL_MAX_XMM_REGISTERS - hc->consumed_xmm_halves)',
      ),
    ],
  },
  {
    name: '9170200ec0eb-vp-index-limit',
    subject: 'Revert "VP indexes are below KVM_MAX_VCPUS"',
    isVisible: true,
    edits: [edit('if (!host || new_vp_index >= KVM_MAX_VCPUS)', 'if (!host)')],
  },
];

const manyStart = '\tkvm_for_each_vcpu(i, vcpu, kvm) {\n\t\tif (sparse_banks &&\n';
const invisible: readonly ReviewSample[] = [
  {
    name: 'whitespace',
    subject: 'Blank lines and blanks',
    isVisible: false,
    edits: [
      edit(
        '\tif (!lapic_in_kernel(vcpu))\n\t\treturn HV_STATUS_INVALID_HYPERCALL_INPUT;\n\n\tif (hc->code',
        '\tif (!lapic_in_kernel(vcpu))\n\t\treturn HV_STATUS_INVALID_HYPERCALL_INPUT;\n\n\n\tif (hc->code',
      ),
    ],
  },
  {
    name: 'refactoring',
    subject: 'Give the selection of IPI targets a function of its own',
    isVisible: false,
    edits: [
      edit(
        'static void kvm_hv_send_ipi_to_many(struct kvm *kvm, u32 vector,\n',
        'static bool kvm_hv_is_ipi_target(struct kvm_vcpu *vcpu, u64 *sparse_banks,\n\t\t\t\t u64 valid_bank_mask)\n{\n\tif (!sparse_banks)\n\t\treturn true;\n\n\treturn hv_is_vp_in_sparse_set(kvm_hv_get_vpindex(vcpu), valid_bank_mask,\n\t\t\t\t      sparse_banks);\n}\n\nstatic void kvm_hv_send_ipi_to_many(struct kvm *kvm, u32 vector,\n',
      ),
      edit(
        `${manyStart}\t\t    !hv_is_vp_in_sparse_set(kvm_hv_get_vpindex(vcpu),\n\t\t\t\t\t    valid_bank_mask, sparse_banks))\n\t\t\tcontinue;\n\n\t\t/* We fail only when APIC is disabled */\n\t\tkvm_apic_set_irq(vcpu, &irq, NULL);\n\t}\n`,
        '\tkvm_for_each_vcpu(i, vcpu, kvm) {\n\t\t/* We fail only when APIC is disabled */\n\t\tif (kvm_hv_is_ipi_target(vcpu, sparse_banks, valid_bank_mask))\n\t\t\tkvm_apic_set_irq(vcpu, &irq, NULL);\n\t}\n',
      ),
    ],
  },
];

/** What no case of the IPI calls gets to. */
const elsewhere: readonly ReviewSample[] = [
  {
    name: 'flush-of-nobody',
    subject: 'Do not take an empty processor mask for all processors in flushes',
    isVisible: false,
    isExercised: false,
    edits: [
      edit(
        '\t\tall_cpus = (flush.flags & HV_FLUSH_ALL_PROCESSORS) ||\n\t\t\tflush.processor_mask == 0;\n',
        '\t\tall_cpus = !!(flush.flags & HV_FLUSH_ALL_PROCESSORS);\n',
      ),
    ],
  },
];

export const reviewSamples: readonly ReviewSample[] = [...reverts, ...invisible, ...elsewhere];
