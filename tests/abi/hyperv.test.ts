/** Hyper-V MSRs and CPUID leaves in literal numbers from TLFS and `hyperv-tlfs.h`. */
import { describe, expect, it } from 'vitest';
import * as hyperv from '../../src/abi/hyperv.ts';

describe('MSRs', () => {
  it('should be the numbers of TLFS', () => {
    expect(hyperv.HV_X64_MSR_GUEST_OS_ID).toBe(0x40000000);
    expect(hyperv.HV_X64_MSR_HYPERCALL).toBe(0x40000001);
    expect(hyperv.HV_X64_MSR_VP_INDEX).toBe(0x40000002);
    expect(hyperv.HV_X64_MSR_EOI).toBe(0x40000070);
  });
});

describe('CPUID', () => {
  it('should know the bits that gate the calls', () => {
    expect(hyperv.hypervCpuidBits).toEqual({
      HV_X64_HYPERCALL_XMM_INPUT_AVAILABLE: { leaf: 0x40000003, register: 'edx', bit: 4 },
      HV_X64_CLUSTER_IPI_RECOMMENDED: { leaf: 0x40000004, register: 'eax', bit: 10 },
      HV_X64_EX_PROCESSOR_MASKS_RECOMMENDED: { leaf: 0x40000004, register: 'eax', bit: 11 },
    });
  });
});
