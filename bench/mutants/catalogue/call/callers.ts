/** Who may call and from where: CPL and mode, the registers of each mode, CPUID, the platform around the calls. */
import { type Mutant, mutantsOf } from '../../mutant.ts';

const environment = 'kvm_x86_call(get_cpl)(vcpu) != 0 || !is_protmode(vcpu)';
const illegal = 'kvm_queue_exception(vcpu, UD_VECTOR);\n\t\treturn 1;\n\t}\n\n#ifdef';
const exMasks =
  'case HVCALL_SEND_IPI_EX:\n\t\tif (!(hv_vcpu->cpuid_cache.enlightenments_eax &\n' +
  '\t\t      HV_X64_EX_PROCESSOR_MASKS_RECOMMENDED))\n\t\t\treturn false;\n';
const clusterIpi =
  'case HVCALL_SEND_IPI:\n\t\treturn hv_vcpu->cpuid_cache.enlightenments_eax &\n' +
  '\t\t\tHV_X64_CLUSTER_IPI_RECOMMENDED;';
const xmmInput = '!(hv_vcpu->cpuid_cache.features_edx &\n\t\t\t       HV_X64_HYPERCALL_XMM_INPUT_AVAILABLE)';

const inHyperv = mutantsOf('hyperv.c', [
  {
    name: 'cpl-unchecked',
    find: environment,
    replace: '!is_protmode(vcpu)',
    mechanism: 'callers above CPL 0 are served (before 696ca779a928)',
    grade: 'medium',
    needs: 'a caller above CPL 0',
  },
  {
    name: 'cpl-3-refused-alone',
    find: environment,
    replace: 'kvm_x86_call(get_cpl)(vcpu) == 3 || !is_protmode(vcpu)',
    mechanism: 'callers at CPL 1 and 2 are served',
    grade: 'medium',
    needs: 'a caller at CPL 1 or 2',
  },
  {
    name: 'real-mode-served',
    find: environment,
    replace: 'kvm_x86_call(get_cpl)(vcpu) != 0',
    mechanism: 'callers in real mode are served',
    grade: 'medium',
    needs: 'a caller in real mode',
  },
  {
    name: 'illegal-environment-gp',
    find: illegal,
    replace: 'kvm_queue_exception_e(vcpu, GP_VECTOR, 0);\n\t\treturn 1;\n\t}\n\n#ifdef',
    mechanism: 'an illegal environment raises #GP',
    grade: 'medium',
    needs: 'a caller above CPL 0 or in real mode',
  },
  {
    name: 'illegal-environment-behind',
    find: illegal,
    replace: `kvm_skip_emulated_instruction(vcpu);\n\t\t${illegal}`,
    mechanism: '#UD is raised behind the instruction',
    grade: 'medium',
    needs: 'a caller above CPL 0 or in real mode, and the pushed RIP',
  },
  {
    name: 'narrow-control-32-bit',
    find: 'hc.param = ((u64)kvm_rdx_read(vcpu) << 32) |',
    replace: 'hc.param =',
    mechanism: 'EDX is no part of the control word of a 32-bit caller',
    grade: 'medium',
    needs: 'a 32-bit caller with rep fields or high reserved bits',
  },
  {
    name: 'narrow-input-without-ebx',
    find: 'hc.ingpa = ((u64)kvm_rbx_read(vcpu) << 32) |',
    replace: 'hc.ingpa =',
    mechanism: 'EBX is no part of the first parameter of a 32-bit caller',
    grade: 'medium',
    needs: 'a fast call of a 32-bit caller with VTL or padding, or a block above 4 GiB',
  },
  {
    name: 'narrow-input-halves-swapped',
    find: 'hc.ingpa = ((u64)kvm_rbx_read(vcpu) << 32) |\n\t\t\t    (kvm_rcx_read(vcpu)',
    replace: 'hc.ingpa = ((u64)kvm_rcx_read(vcpu) << 32) |\n\t\t\t    (kvm_rbx_read(vcpu)',
    mechanism: 'EBX and ECX are swapped for a 32-bit caller',
    grade: 'easy',
    needs: 'a 32-bit caller',
  },
  {
    name: 'narrow-output-without-edi',
    find: 'hc.outgpa = ((u64)kvm_rdi_read(vcpu) << 32) |',
    replace: 'hc.outgpa =',
    mechanism: 'EDI is no part of the second parameter of a 32-bit caller',
    grade: 'medium',
    needs: 'a fast call of a 32-bit caller with a VP of 32 and above',
  },
  {
    name: 'narrow-output-esi-unread',
    find: '(kvm_rsi_read(vcpu) & 0xffffffff);\n\t}',
    replace: '(kvm_rdi_read(vcpu) & 0xffffffff);\n\t}',
    mechanism: 'ESI is not read for a 32-bit caller',
    grade: 'medium',
    needs: 'a fast call of a 32-bit caller with a VP below 32',
  },
  {
    name: 'narrow-as-wide',
    find: 'if (is_64_bit_hypercall(vcpu)) {',
    replace: 'if (hv_vcpu) {',
    mechanism: 'the registers of a 64-bit caller are read in every mode',
    grade: 'easy',
    needs: 'a 32-bit caller',
  },
  {
    name: 'narrow-result-without-edx',
    find: 'kvm_rdx_write(vcpu, result >> 32);',
    replace: '',
    mechanism: "EDX keeps what it was behind a 32-bit caller's call",
    grade: 'medium',
    needs: 'a 32-bit caller with a bit above 31 in the control word',
  },
  {
    name: 'same-narrow-result',
    find: 'kvm_rax_write(vcpu, result & 0xffffffff);',
    replace: 'kvm_rax_write(vcpu, (u32)result);',
    mechanism: 'the lower half of the result is taken by a cast',
    grade: 'easy',
    needs: 'nothing: it is the same number',
    expect: 'equivalent',
  },
  {
    name: 'ex-masks-unasked',
    find: exMasks,
    replace: 'case HVCALL_SEND_IPI_EX:\n',
    mechanism: '0x0015 is allowed without ExProcessorMasks (before d264eb3c14d0)',
    grade: 'medium',
    needs: 'an enforced CPUID without ex-masks and with cluster-ipi',
  },
  {
    name: 'cluster-ipi-unasked',
    find: clusterIpi,
    replace: 'case HVCALL_SEND_IPI:\n\t\treturn true;',
    mechanism: 'the calls are allowed without ClusterIpi',
    grade: 'medium',
    needs: 'an enforced CPUID without cluster-ipi',
  },
  {
    name: 'ex-needs-masks-alone',
    find: `return false;\n\t\tfallthrough;\n\t${clusterIpi}`,
    replace: `return false;\n\t\treturn true;\n\t${clusterIpi}`,
    mechanism: '0x0015 is allowed without ClusterIpi',
    grade: 'hard',
    needs: '0x0015 under an enforced CPUID without cluster-ipi and with ex-masks',
  },
  {
    name: 'cpuid-always-enforced',
    find: 'if (!hv_vcpu->enforce_cpuid)\n\t\treturn true;\n\n\tswitch (code)',
    replace: 'switch (code)',
    mechanism: 'what CPUID lacks is denied although nothing is enforced',
    grade: 'medium',
    needs: 'a CPUID without cluster-ipi or ex-masks that is not enforced',
  },
  {
    name: 'denied-status',
    find: 'ret = HV_STATUS_ACCESS_DENIED;',
    replace: 'ret = HV_STATUS_INVALID_HYPERCALL_CODE;',
    mechanism: 'what CPUID lacks is answered with status 2',
    grade: 'medium',
    needs: 'an enforced CPUID that lacks a call',
  },
  {
    name: 'xmm-input-unasked',
    find: xmmInput,
    replace: '0',
    mechanism: 'XMM registers are read although CPUID lacks it (before 4e62aa96d6e5)',
    grade: 'medium',
    needs: 'fast 0x0015 under an enforced CPUID without xmm-input',
  },
  {
    name: 'xmm-input-enforced',
    find: `hv_vcpu->enforce_cpuid &&\n\t\t\t     ${xmmInput}`,
    replace: xmmInput,
    mechanism: 'XMM input raises #UD although nothing is enforced',
    grade: 'medium',
    needs: 'fast 0x0015 under a CPUID without xmm-input that is not enforced',
  },
  {
    name: 'xmm-input-of-slow',
    find: 'if (hc.fast && is_xmm_fast_hypercall(&hc)) {',
    replace: 'if (is_xmm_fast_hypercall(&hc)) {',
    mechanism: 'slow 0x0015 raises #UD where CPUID lacks XMM input',
    grade: 'hard',
    needs: 'slow 0x0015 under an enforced CPUID without xmm-input',
  },
  {
    name: 'xmm-input-of-plain',
    find: 'case HVCALL_SEND_IPI_EX:\n\t\treturn true;',
    replace: 'case HVCALL_SEND_IPI:\n\tcase HVCALL_SEND_IPI_EX:\n\t\treturn true;',
    mechanism: 'fast 0x000b raises #UD where CPUID lacks XMM input',
    grade: 'hard',
    needs: 'fast 0x000b under an enforced CPUID without xmm-input',
  },
  {
    name: 'call-code-15-bit',
    find: 'hc.code = hc.param & 0xffff;',
    replace: 'hc.code = hc.param & 0x7fff;',
    mechanism: 'bit 15 of the call code is ignored',
    grade: 'hard',
    needs: 'bit 15 alone',
  },
  {
    name: 'lapic-unasked',
    find: 'if (!lapic_in_kernel(vcpu))\n\t\treturn HV_STATUS_INVALID_HYPERCALL_INPUT;\n\n\tif (hc->code == HVCALL_SEND_IPI)',
    replace: 'if (hc->code == HVCALL_SEND_IPI)',
    mechanism: 'the calls are served where there is no LAPIC in the kernel (before a8de7f100bb5)',
    grade: 'medium',
    needs: 'a machine without irqchip, and a call that succeeds',
    expect: 'oops',
  },
  {
    name: 'default-index-is-id',
    find: 'hv_vcpu->vp_index = vcpu->vcpu_idx;',
    replace: 'hv_vcpu->vp_index = vcpu->vcpu_id;',
    mechanism: "a VP index that nobody writes is the vCPU's id",
    grade: 'hard',
    needs: 'a vCPU whose id is not its position and whose VP index is refused',
  },
  {
    name: 'page-without-or',
    find: 'if (kvm_xen_hypercall_enabled(kvm)) {\n\t\t\t/* orl',
    replace: 'if (0) {\n\t\t\t/* orl',
    mechanism: 'the hypercall page does not mark the call where Xen hypercalls are intercepted',
    grade: 'medium',
    needs: 'a call through the page of a machine with Xen',
  },
  {
    name: 'page-enabled-without-os-id',
    find: 'if (!hv->hv_guest_os_id)\n\t\t\tbreak;\n\t\tif (!(data & HV_X64_MSR_HYPERCALL_ENABLE)) {',
    replace: 'if (!(data & HV_X64_MSR_HYPERCALL_ENABLE)) {',
    mechanism: 'the hypercall page is written although GUEST_OS_ID is 0',
    grade: 'hard',
    needs: 'the page enabled while GUEST_OS_ID is 0',
  },
]);

const inHeader = mutantsOf('hyperv.h', [
  {
    name: 'index-without-context',
    find: 'return hv_vcpu ? hv_vcpu->vp_index : vcpu->vcpu_idx;',
    replace: 'return hv_vcpu ? hv_vcpu->vp_index : 0;',
    mechanism: 'a vCPU without Hyper-V is VP 0',
    grade: 'medium',
    needs: 'a second vCPU without Hyper-V',
  },
  {
    name: 'context-needed',
    find: 'return hv_vcpu ? hv_vcpu->vp_index : vcpu->vcpu_idx;',
    replace: 'return hv_vcpu->vp_index;',
    mechanism: 'a vCPU without Hyper-V context is looked into all the same (before f2bc14b69c38)',
    grade: 'medium',
    needs: 'a vCPU without Hyper-V, and a set',
    expect: 'oops',
  },
  {
    name: 'os-id-unasked',
    find: 'vcpu->arch.hyperv_enabled && to_kvm_hv(vcpu->kvm)->hv_guest_os_id;',
    replace: 'vcpu->arch.hyperv_enabled;',
    mechanism: 'the calls are served although GUEST_OS_ID is 0',
    grade: 'medium',
    needs: 'GUEST_OS_ID 0',
  },
]);

const inXen = mutantsOf('xen.c', [
  {
    name: 'xen-takes-marked',
    find: '(input & 0x80000000) &&\n\t    kvm_hv_hypercall_enabled(vcpu)',
    replace: 'false',
    mechanism: 'a marked call of a machine with Xen is a Xen hypercall',
    grade: 'medium',
    needs: 'a marked call of a machine with Xen',
  },
]);

const inX86 = mutantsOf('x86.c', [
  {
    name: 'xen-unasked',
    find: 'if (kvm_xen_hypercall_enabled(vcpu->kvm))\n\t\treturn kvm_xen_hypercall(vcpu);',
    replace: '',
    mechanism: 'nothing is a Xen hypercall',
    grade: 'medium',
    needs: 'an unmarked call of a machine with Xen',
  },
]);

export const callerMutants: readonly Mutant[] = [...inHyperv, ...inHeader, ...inXen, ...inX86];
