/**
 * Mutants whose place 7.2 and later write otherwise: the same edit for those, by the mutant's name. It is taken where the
 * pattern in the catalogue is not found.
 */
import type { Edit } from '../../../src/system/edit.ts';

/** `file` only where the place has moved. */
export type NewerEdit = Pick<Edit, 'find' | 'replace'> & { readonly file?: string };

const searchedFile = '../include/asm/apic.h';

export const newerEdits: Readonly<Record<string, NewerEdit>> = {
  'input-from-rax': { find: 'hc.param = kvm_rcx_read_raw(vcpu);', replace: 'hc.param = kvm_rax_read_raw(vcpu);' },
  'input-gpa-from-r8': { find: 'hc.ingpa = kvm_rdx_read_raw(vcpu);', replace: 'hc.ingpa = kvm_r8_read_raw(vcpu);' },
  'output-gpa-from-r9': { find: 'hc.outgpa = kvm_r8_read_raw(vcpu);', replace: 'hc.outgpa = kvm_r9_read_raw(vcpu);' },
  'control-word-32-bit': { find: 'hc.param = kvm_rcx_read_raw(vcpu);', replace: 'hc.param = kvm_ecx_read(vcpu);' },
  'input-gpa-32-bit': { find: 'hc.ingpa = kvm_rdx_read_raw(vcpu);', replace: 'hc.ingpa = kvm_edx_read(vcpu);' },
  'second-parameter-32-bit': {
    find: 'hc.outgpa = kvm_r8_read_raw(vcpu);',
    replace: 'hc.outgpa = (u32)kvm_r8_read_raw(vcpu);',
  },
  'result-bit-63': {
    find: 'kvm_rax_write_raw(vcpu, result);',
    replace: 'kvm_rax_write_raw(vcpu, result | BIT_ULL(63));',
  },
  'result-16-bit': {
    find: 'kvm_rax_write_raw(vcpu, result);',
    replace: 'kvm_rax_write_raw(vcpu, (kvm_rax_read_raw(vcpu) & ~0xffffULL) | result);',
  },
  'lowest-of-word': { file: searchedFile, find: 'return __fls(*reg) + vec;', replace: 'return __ffs(*reg) + vec;' },
  'first-word-unsearched': {
    file: searchedFile,
    find: 'vec >= 0; vec -= APIC_VECTORS_PER_REG',
    replace: 'vec > 0; vec -= APIC_VECTORS_PER_REG',
  },
  'irr-not-cleared': {
    find: 'apic->irr_pending = false;\n\t\tapic_clear_vector(vec, apic->regs + APIC_IRR);',
    replace: 'apic->irr_pending = true;',
  },
  'narrow-control-32-bit': { find: 'hc.param = ((u64)kvm_edx_read(vcpu) << 32) |', replace: 'hc.param =' },
  'narrow-input-without-ebx': { find: 'hc.ingpa = ((u64)kvm_ebx_read(vcpu) << 32) |', replace: 'hc.ingpa =' },
  'narrow-input-halves-swapped': {
    find: 'hc.ingpa = ((u64)kvm_ebx_read(vcpu) << 32) | kvm_ecx_read(vcpu);',
    replace: 'hc.ingpa = ((u64)kvm_ecx_read(vcpu) << 32) | kvm_ebx_read(vcpu);',
  },
  'narrow-output-without-edi': { find: 'hc.outgpa = ((u64)kvm_edi_read(vcpu) << 32) |', replace: 'hc.outgpa =' },
  'narrow-output-esi-unread': {
    find: '(u64)kvm_edi_read(vcpu) << 32) | kvm_esi_read(vcpu);',
    replace: '(u64)kvm_edi_read(vcpu) << 32) | kvm_edi_read(vcpu);',
  },
  'narrow-result-without-edx': { find: 'kvm_edx_write(vcpu, result >> 32);', replace: '' },
  'same-narrow-result': { find: 'kvm_eax_write(vcpu, result);', replace: 'kvm_rax_write_raw(vcpu, (u32)result);' },
  'xen-takes-marked': {
    find: '(kvm_rax_read_raw(vcpu) & 0x80000000) &&\n\t    kvm_hv_hypercall_enabled(vcpu)',
    replace: 'false',
  },
  'never-in-service': {
    find: 'if (__test_and_set_bit(APIC_VECTOR_TO_BIT_NUMBER(vec),\n\t\t\t       apic_vector_to_isr(vec, apic)))\n\t\treturn;',
    replace: 'return;',
  },
  'hardware-disabled-takes': {
    find: 'if (!kvm_apic_present(vcpu))\n\t\treturn -1;\n\n\tif (apic->guest_apic_protected)',
    replace: 'if (!apic)\n\t\treturn -1;\n\n\tif (apic->guest_apic_protected)',
  },
  'software-disabled-keeps': {
    find: 'if (!kvm_apic_present(vcpu))\n\t\treturn -1;\n\n\tif (apic->guest_apic_protected)',
    replace:
      'if (!kvm_apic_present(vcpu) || !kvm_apic_sw_enabled(apic))\n\t\treturn -1;\n\n\tif (apic->guest_apic_protected)',
  },
};
