/** Numbers of the MSRs that steps name. */
import {
  HV_X64_MSR_GUEST_OS_ID,
  HV_X64_MSR_HYPERCALL,
  HV_X64_MSR_SINT0,
  HV_X64_MSR_VP_INDEX,
} from '../../abi/hyperv.ts';
import { MSR_IA32_APICBASE } from '../../abi/lapic.ts';
import { isSint, sintOf } from '../../case/limits.ts';
import type { ProgramOf } from '../../program/program.ts';

export function msrIndexOf(msr: ProgramOf<'read-msr'>['msr']): number {
  if (isSint(msr)) return HV_X64_MSR_SINT0 + sintOf(msr);
  if (msr === 'guest-os-id') return HV_X64_MSR_GUEST_OS_ID;
  if (msr === 'hypercall') return HV_X64_MSR_HYPERCALL;
  return msr === 'vp-index' ? HV_X64_MSR_VP_INDEX : MSR_IA32_APICBASE;
}
