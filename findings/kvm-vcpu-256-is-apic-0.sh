#!/bin/sh
# A vCPU with the id 256 in a VM that has not asked for 32-bit APIC IDs (KVM_CAP_X2APIC_API).
# Guess:  KVM_CREATE_VCPU refuses an id that does not fit into the eight bits of an xAPIC ID.
# Found:  it is made, and has the APIC ID of vCPU 0. An MSI to APIC ID 0 reaches both.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

int main(void)
{
	struct kvm_lapic_state lapic;
	int ids[] = { 0, 254, 256 }, vcpus[3];
	open_kvm();
	ioctl(vm, KVM_CREATE_IRQCHIP, 0);
	for (int i = 0; i < 3; i++) {
		vcpus[i] = ioctl(vm, KVM_CREATE_VCPU, ids[i]);
		if (vcpus[i] < 0) {
			printf("seen: vCPU %d: %s\n", ids[i], strerror(errno));
			continue;
		}
		ioctl(vcpus[i], KVM_GET_LAPIC, &lapic);
		printf("seen: vCPU %d: APIC ID %d\n", ids[i], (unsigned)*lapic_register(&lapic, 0x20) >> 24);
		*lapic_register(&lapic, 0xf0) = 0x1ff;
		ioctl(vcpus[i], KVM_SET_LAPIC, &lapic);
	}
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x40 };
	printf("seen: MSI to APIC ID 0: %d\n", ioctl(vm, KVM_SIGNAL_MSI, &msi));
	for (int i = 0; i < 3; i++) {
		ioctl(vcpus[i], KVM_GET_LAPIC, &lapic);
		printf("seen: vCPU %d: %s\n", ids[i], *lapic_register(&lapic, 0x220) ? "pending" : "nothing");
	}
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"vCPU 256 shares the APIC ID of vCPU 0" <<'END'
vCPU 0: APIC ID 0
vCPU 254: APIC ID 254
vCPU 256: APIC ID 0
MSI to APIC ID 0: 2
vCPU 0: pending
vCPU 254: nothing
vCPU 256: pending
END
