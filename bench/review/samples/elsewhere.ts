/** Changes of Hyper-V code that the two calls do not go through, or hardly. */
import { editor, type ReviewSample } from '../sample.ts';

const edit = editor('arch/x86/kvm/hyperv.c');

export const elsewhereSamples: readonly ReviewSample[] = [
  {
    name: 'flush-of-nobody',
    area: 'TLB flush',
    origin: 'made for this',
    subject: 'Do not take an empty processor mask for all processors in flushes',
    answer: 'not-exercised',
    truth: 'no case makes flushes',
    edits: [
      edit(
        '\t\tall_cpus = (flush.flags & HV_FLUSH_ALL_PROCESSORS) ||\n\t\t\tflush.processor_mask == 0;\n',
        '\t\tall_cpus = !!(flush.flags & HV_FLUSH_ALL_PROCESSORS);\n',
      ),
    ],
  },
  {
    name: 'flush-non-canonical',
    area: 'TLB flush',
    origin: 'fa787ac07b3c (2025-06) and thread of 2026-02 taken back',
    subject: 'Revert "skip non-canonical addresses during PV TLB flush"',
    answer: 'not-exercised',
    truth: 'no case makes flushes',
    edits: [edit('\t\t\tif (is_noncanonical_invlpg_address(gva + j * PAGE_SIZE, vcpu))\n\t\t\t\tcontinue;\n\n', '')],
  },
  {
    name: 'flush-mask-on-stack',
    area: 'TLB flush',
    origin: 'series of 2025 taken back',
    subject: 'Revert "use the preallocated buffer for masks of vCPUs in flushes"',
    answer: 'not-exercised',
    truth: 'no case makes flushes',
    edits: [
      edit('\tunsigned long *vcpu_mask = hv_vcpu->vcpu_mask;\n', '\tDECLARE_BITMAP(vcpu_mask, KVM_MAX_VCPUS);\n'),
    ],
  },
  {
    name: 'flush-translation',
    area: 'nested',
    origin: 'series of 2026 taken back',
    subject: 'Revert "translate the address of a flush\'s input for every vCPU"',
    answer: 'not-exercised',
    truth: 'no case makes flushes, and no guest is nested',
    edits: [
      edit(
        '\tif (!hc->fast) {\n\t\thc->ingpa = kvm_translate_gpa(',
        '\tif (!hc->fast && mmu_is_nested(vcpu)) {\n\t\thc->ingpa = kvm_translate_gpa(',
      ),
    ],
  },
  {
    name: 'nested-exit-after-flush',
    area: 'nested',
    origin: 'made for this',
    subject: 'Do not leave the nested guest after a flush that found the partition locked',
    answer: 'partly',
    truth: 'the condition runs at the end of each call, what it guards does not',
    says: /kvm_hv_hypercall_complete/,
    edits: [
      edit('\tif (tlb_lock_count)\n\t\tkvm_nested_call(hv_inject_synthetic_vmexit_post_tlb_flush)(vcpu);\n\n', ''),
    ],
  },
  {
    name: 'stimer-deadline',
    area: 'SynIC, stimers',
    origin: 'thread of 2026-07 taken back',
    subject: 'Revert "clamp the deadline of a synthetic timer"',
    answer: 'not-exercised',
    truth: 'no case has a synthetic timer',
    edits: [
      edit(
        '\tif (delta_100ns >= KTIME_MAX / 100)\n\t\treturn KTIME_MAX;\n\n\treturn ktime_add_safe(now, 100 * delta_100ns);\n',
        '\treturn ktime_add_ns(now, 100 * delta_100ns);\n',
      ),
    ],
  },
  {
    name: 'synic-order',
    area: 'SynIC, stimers',
    origin: 'series of 2026 taken back',
    subject: 'Revert "publish the Hyper-V context of a vCPU when it is complete"',
    answer: 'unchanged',
    truth: 'vCPUs get their context before another one asks for it',
    edits: [edit('\tsmp_store_release(&vcpu->arch.hyperv, hv_vcpu);\n', '\tvcpu->arch.hyperv = hv_vcpu;\n')],
  },
  {
    name: 'synic-active-once',
    area: 'SynIC, stimers',
    origin: 'series of 2026 taken back',
    subject: 'Revert "read whether a SynIC is active once"',
    answer: 'not-exercised',
    truth: 'no case raises a SINT from the host',
    edits: [edit('\treturn READ_ONCE(synic->active) ? synic : NULL;\n', '\treturn synic->active ? synic : NULL;\n')],
  },
  {
    name: 'assist-page-put-user',
    area: 'PV EOI',
    origin: 'change of 2026 taken back',
    subject: 'Revert "check the address of the VP assist page when it is cleared"',
    answer: 'unchanged',
    truth: 'the address comes from a memslot, so that the check passes',
    edits: [edit('\t\tif (put_user(0, (u32 __user *)addr))\n', '\t\tif (__put_user(0, (u32 __user *)addr))\n')],
  },
  {
    name: 'assist-page-pending',
    area: 'PV EOI',
    origin: 'made for this',
    subject: 'Offer EOI by the assist page while another interrupt is pending',
    answer: 'changed',
    truth: 'what is pending is not taken when the handler ends',
    edits: [
      {
        file: 'arch/x86/kvm/lapic.c',
        find: '\t    /* IRR set or many bits in ISR: could be nested. */\n\t    apic->irr_pending ||\n',
        replace: '',
      },
    ],
  },
  {
    name: 'evmcs-version',
    area: 'nested',
    origin: 'kvm_nested_ops of 2026 taken back',
    subject: 'Do not ask for the version of the enlightened VMCS where nesting is off',
    answer: 'unchanged',
    truth: 'on AMD there is none either way; what KVM offers is compared',
    edits: [
      edit(
        '\tif (kvm_nested_ops.enabled)\n\t\tevmcs_ver',
        '\tif (kvm_nested_ops.enabled && kvm_nested_ops.enable_evmcs)\n\t\tevmcs_ver',
      ),
    ],
  },
];
