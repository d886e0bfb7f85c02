/** Ids of vCPUs: arguments of KVM_CREATE_VCPU, and APIC IDs. */
import type { VcpuSetup } from './vcpu.ts';

/** The highest ID that an xAPIC can have. */
export const xapicIdMax = 254;
/** An MSI to this ID reaches every xAPIC. */
export const xapicBroadcast = 255;
export const broadcastComplaint = 'a message to APIC ID 255 is a broadcast to xAPICs';

type WithId = Pick<VcpuSetup, 'vcpuId'>;

export function vcpuIdOf({ vcpuId }: WithId, position: number): number {
  return vcpuId ?? position;
}

/**
 * Whether a machine has IDs that only x2APICs can have. Its VM then has them in full in MSIs and in LAPIC pages
 * (KVM_X2APIC_API_USE_32BIT_IDS).
 */
export function hasWideIds(vcpus: readonly WithId[]): boolean {
  return vcpus.some((vcpu, position) => vcpuIdOf(vcpu, position) > xapicIdMax);
}

/** The ID register of an APIC page: the ID in the top byte, or all of it in an x2APIC of a machine with wide IDs. */
export function idRegister(id: number, isX2apic: boolean, isWide: boolean): number {
  return isX2apic && isWide ? id : (id << 24) >>> 0;
}
