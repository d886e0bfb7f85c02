/** MSIs by which a VMM sends NMI, INIT and start-up IPIs. */
import { APIC_DEFAULT_PHYS_BASE } from '../../abi/lapic.ts';
import { sizes } from '../../hand/uapi.ts';

/**
 * NMI, INIT or a start-up IPI to the vCPU with that APIC ID, as an MSI: unlike KVM_NMI that does not wait for a running KVM_RUN to end. A
 * hardware-disabled APIC does not get it. IDs above 255 need KVM_X2APIC_API_USE_32BIT_IDS.
 */
export function msiTo(apicId: number, data: number): Buffer {
  const msi = Buffer.alloc(sizes.kvm_msi);
  msi.writeUInt32LE(Number(APIC_DEFAULT_PHYS_BASE) + ((apicId & 0xff) << 12), 0);
  msi.writeUInt32LE(apicId & ~0xff, 4);
  msi.writeUInt32LE(data, 8);
  return msi;
}
