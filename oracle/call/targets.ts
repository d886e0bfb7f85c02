/** Which vCPUs a call names: KVM walks all of them in creation order, the sender included (kvm_hv_send_ipi_to_many). */
import { bankCountMax } from '../../src/abi/hypercall.ts';
import type { VcpuSetup } from '../../src/case/case.ts';
import type { Contract } from '../contract.ts';
import { bankHalf, type Call } from './decode.ts';
import type { Reach } from './rules.ts';
import { hasBit, popcountBelow } from '../words.ts';

/**
 * VP index of each vCPU: what the host wrote to HV_X64_MSR_VP_INDEX (32 bits of it) when KVM took it, else the vCPU's
 * position (TLFS "Virtual Processor Indices"; kvm_hv_set_msr, kvm_hv_get_vpindex; docs/semantics.md 5.12).
 */
export function effectiveVpIndexes(vcpus: readonly VcpuSetup[], contract: Contract): number[] {
  return vcpus.map(({ vpIndex }, position) => {
    const written = vpIndex >>> 0;
    return written < contract.vpIndexLimit ? written : position;
  });
}

/** Positions of the vCPUs that a call reaches, ascending. Whether their APICs accept is another question. */
export function selectTargets(call: Call, reach: Reach, vpIndexes: readonly number[]): number[] {
  const positions: number[] = [];
  if (reach === 'nobody') return positions;
  for (let position = 0; position < vpIndexes.length; position++) {
    if (reach === 'all' || namesVp(call, vpIndexes[position]!)) positions.push(position);
  }
  return positions;
}

/** Whether the call's set names a VP (TLFS HV_VP_SET; hv_is_vp_in_sparse_set: the slot counts the lower valid banks). */
export function namesVp(call: Call, vpIndex: number): boolean {
  const bank = vpIndex >>> 6;
  if (bank >= bankCountMax || !hasBit(call.mask, bank)) return false;
  return isInSlot(call, popcountBelow(call.mask, bank), vpIndex);
}

/** Whether the bank in a slot has a VP's bit. */
export function isInSlot(call: Call, slot: number, vpIndex: number): boolean {
  return ((bankHalf(call, slot, (vpIndex >>> 5) & 1) >>> (vpIndex & 31)) & 1) === 1;
}
