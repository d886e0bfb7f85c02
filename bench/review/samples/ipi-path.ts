/** Changes of what the two calls go through. */
import { editor, type ReviewSample } from '../sample.ts';

const edit = editor('arch/x86/kvm/hyperv.c');
const area = 'IPI path';
const manyStart = '\tkvm_for_each_vcpu(i, vcpu, kvm) {\n\t\tif (sparse_banks &&\n';

export const ipiPathSamples: readonly ReviewSample[] = [
  {
    name: 'zero-banks-to-all',
    area,
    origin: '3244867af8c0 taken back',
    subject: 'Revert "do not ignore IPIs to all with zero banks"',
    answer: 'changed',
    truth: 'a call to all with no banks reaches nobody',
    edits: [
      edit(
        '\t\tif (all_cpus)\n\t\t\tgoto check_and_send_ipi;\n\n\t\tif (!hc->var_cnt)\n\t\t\tgoto ret_success;\n',
        '\t\tif (!hc->var_cnt)\n\t\t\tgoto ret_success;\n\n\t\tif (all_cpus)\n\t\t\tgoto check_and_send_ipi;\n',
      ),
    ],
  },
  {
    name: 'bank-count',
    area,
    origin: 'bd1ba5732bb9 taken back',
    subject: 'Revert "take the number of banks from the variable header"',
    answer: 'changed',
    truth: 'a variable header that disagrees with the mask is no error any more',
    edits: [
      edit(
        '\t\tif (hc->var_cnt != hweight64(valid_bank_mask))\n\t\t\treturn HV_STATUS_INVALID_HYPERCALL_INPUT;\n\n\t\tif (all_cpus)',
        '\t\thc->var_cnt = hweight64(valid_bank_mask);\n\n\t\tif (all_cpus)',
      ),
    ],
  },
  {
    name: 'header-on-fixed-call',
    area,
    origin: '40421f38f637 taken back',
    subject: 'Revert "refuse a variable header on calls of fixed size"',
    answer: 'changed',
    truth: '0x000b with a variable header is no error any more',
    edits: [
      edit(
        '\tcase HVCALL_SEND_IPI:\n\t\tif (unlikely(hc.var_cnt)) {\n\t\t\tret = HV_STATUS_INVALID_HYPERCALL_INPUT;\n\t\t\tbreak;\n\t\t}\n\t\tfallthrough;\n',
        '\tcase HVCALL_SEND_IPI:\n',
      ),
    ],
  },
  {
    name: 'xmm-fast-ipi',
    area,
    origin: '47d3e5cdfe60 taken back',
    subject: 'Revert "XMM-fast HvCallSendSyntheticClusterIpiEx"',
    answer: 'changed',
    truth: 'a fast 0x0015 is refused',
    edits: [
      edit(
        '\t\t\tsend_ipi_ex.vector = (u32)hc->ingpa;\n\t\t\tsend_ipi_ex.vp_set.format = hc->outgpa;\n\t\t\tsend_ipi_ex.vp_set.valid_bank_mask = sse128_lo(hc->xmm[0]);\n',
        '\t\t\treturn HV_STATUS_INVALID_HYPERCALL_INPUT;\n',
      ),
    ],
  },
  {
    name: 'xmm-bank-limit',
    area,
    origin: '7321f47eada5 taken back',
    subject: 'Revert "count sparse banks in halves of XMM registers"',
    answer: 'changed',
    truth: 'fast calls with 6 banks and more are refused',
    edits: [
      edit(
        'if (orig_cnt > 2 * HV_HYPERCALL_MAX_XMM_REGISTERS - hc->consumed_xmm_halves)',
        'if (orig_cnt > HV_HYPERCALL_MAX_XMM_REGISTERS - hc->consumed_xmm_halves)',
      ),
    ],
  },
  {
    name: 'vp-index-limit',
    area,
    origin: '9170200ec0eb taken back',
    subject: 'Revert "VP indexes are below KVM_MAX_VCPUS"',
    answer: 'changed',
    truth: 'the host may write a VP index of 1024 and up',
    edits: [edit('if (!host || new_vp_index >= KVM_MAX_VCPUS)', 'if (!host)')],
  },
  {
    name: 'lapic-not-in-kernel',
    area,
    origin: 'a8de7f100bb5 (2025-01) taken back',
    subject: 'Revert "reject SEND_IPI hypercalls if the local APIC is not in the kernel"',
    answer: 'failing',
    truth: 'a VM without an in-kernel LAPIC makes the kernel fail',
    edits: [
      edit(
        '\tif (!lapic_in_kernel(vcpu))\n\t\treturn HV_STATUS_INVALID_HYPERCALL_INPUT;\n\n\tif (hc->code',
        '\tif (hc->code',
      ),
    ],
  },
  {
    name: 'bank-index-bound',
    area,
    origin: 'patch of 2026-06 taken back',
    subject: 'Revert "bound the bank index in hv_is_vp_in_sparse_set()"',
    answer: 'partly',
    truth: 'VP indexes are below 1024, so that no bank is above 15: the check never holds',
    edits: [edit('\tif (valid_bit_nr >= HV_MAX_SPARSE_VCPU_BANKS)\n\t\treturn false;\n\n', '')],
  },
  {
    name: 'raw-registers',
    area,
    origin: 'series of 2026 taken back',
    subject: 'Revert "use 32-bit accessors for the registers of a 32-bit call"',
    answer: 'unchanged',
    truth: 'the upper halves are cut off either way',
    edits: [
      edit(
        '((u64)kvm_ebx_read(vcpu) << 32) | kvm_ecx_read(vcpu)',
        '((u64)kvm_rbx_read_raw(vcpu) << 32) | (u32)kvm_rcx_read_raw(vcpu)',
      ),
      edit(
        '((u64)kvm_edi_read(vcpu) << 32) | kvm_esi_read(vcpu)',
        '((u64)kvm_rdi_read_raw(vcpu) << 32) | (u32)kvm_rsi_read_raw(vcpu)',
      ),
    ],
  },
  {
    name: 'whitespace',
    area,
    origin: 'made for this',
    subject: 'Blank lines and blanks',
    answer: 'unchanged',
    truth: 'a blank line moves the lines that warnings name, and nothing else',
    says: /blanks only/,
    edits: [
      edit(
        '\tif (!lapic_in_kernel(vcpu))\n\t\treturn HV_STATUS_INVALID_HYPERCALL_INPUT;\n\n\tif (hc->code',
        '\tif (!lapic_in_kernel(vcpu))\n\t\treturn HV_STATUS_INVALID_HYPERCALL_INPUT;\n\n\n\tif (hc->code',
      ),
    ],
  },
  {
    name: 'refactoring',
    area,
    origin: 'made for this',
    subject: 'Give the selection of IPI targets a function of its own',
    answer: 'unchanged',
    truth: 'the same targets',
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
