/**
 * Kernels whose findings are exported: of the mutants of KVM those that show in different things (result, exception,
 * receivers, registers, memory, handlers, VP indexes, the kernel's end), and some that need a caller or a machine of
 * their own.
 */
import { catalogue } from '../mutants/catalogue/catalogue.ts';
import { type Mutant, mutantsOf } from '../mutants/mutant.ts';

const fromCatalogue: readonly string[] = [
  'count-unchecked',
  'all-with-zero-banks-skipped',
  'plain-header-unchecked',
  'vector-0f-allowed',
  'xmm-swapped',
  'hw-disabled-accepts',
  'tmr-kept',
  'lowest-of-word',
  'clobbers-rcx',
  'index-11-bit',
];

const own = mutantsOf('hyperv.c', [
  {
    name: 'cpl-unchecked',
    find: 'get_cpl)(vcpu) != 0',
    replace: 'get_cpl)(vcpu) > 3',
    mechanism: 'user mode may make the calls',
    grade: 'easy',
    needs: 'a call with CPL 1 to 3',
  },
  {
    name: 'upper-half-kept',
    find: '(kvm_rcx_read(vcpu) & 0xffffffff)',
    replace: '(kvm_rcx_read(vcpu) & 0xffffffffffff)',
    mechanism: 'bits above the 32-bit register reach the first parameter',
    grade: 'medium',
    needs: 'a call from compatibility mode',
  },
  {
    name: 'enforcement-ignored',
    find: 'hv_vcpu, u16 code)\n{\n\tif (!hv_vcpu->enforce_cpuid)',
    replace: 'hv_vcpu, u16 code)\n{\n\tif (!hv_vcpu->enforce_cpuid || code)',
    mechanism: 'what CPUID lacks is not refused (before d264eb3c14d0)',
    grade: 'medium',
    needs: 'a vCPU with KVM_CAP_HYPERV_ENFORCE_CPUID',
  },
  {
    name: 'lapic-check-dropped',
    find: '\tif (!lapic_in_kernel(vcpu))',
    replace: '\tif (!vcpu)',
    mechanism: 'calls in a VM without LAPICs are taken (before a8de7f100bb5): one that reaches a vCPU ends in an oops',
    grade: 'medium',
    needs: 'a machine with its irqchip in userspace',
  },
]);

/** In the order in which they are run. */
export const brokenKernels: readonly Mutant[] = [
  ...fromCatalogue.map((name) => catalogue.find((mutant) => mutant.name === name)!),
  ...own,
];
