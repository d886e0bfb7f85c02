#!/bin/sh
# KVM_SIGNAL_MSI with a vector below 16, which the SDM calls illegal for a fixed interrupt.
# Guess:  the ioctl refuses it, or the local APIC notes "received illegal vector" (ESR bit 6) and drops it.
# Found:  it is delivered: the ioctl gives 1, ESR stays 0, and the vector is pending in IRR. No guest can ever take it, because its
#         class is 0 and PPR is never below that.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

int main(void)
{
	struct kvm_lapic_state lapic;
	open_kvm();
	make_lapic(&lapic);
	ioctl(vcpu, KVM_SET_LAPIC, &lapic);
	for (int vector = 5; vector <= 0x15; vector += 0x10) {
		struct kvm_msi msi = { .address_lo = 0xfee00000, .data = vector };
		int result = ioctl(vm, KVM_SIGNAL_MSI, &msi);
		ioctl(vcpu, KVM_GET_LAPIC, &lapic);
		printf("seen: vector 0x%02x: %d, ESR 0x%x, IRR 0x%08x\n", vector, result, *lapic_register(&lapic, 0x280), *lapic_register(&lapic, 0x200));
	}
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"an MSI with an illegal vector is accepted and stays pending for ever" <<'END'
vector 0x05: 1, ESR 0x0, IRR 0x00000020
vector 0x15: 1, ESR 0x0, IRR 0x00200020
END
