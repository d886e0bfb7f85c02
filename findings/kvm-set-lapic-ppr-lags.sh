#!/bin/sh
# KVM_SET_LAPIC of a page with a vector in service, and the processor priority (PPR) that KVM_GET_LAPIC then gives.
# Guess:  PPR follows TPR and ISR, as everywhere; the page that comes back has the class of the vector in service.
# Found:  PPR is 0. The same page set a second time gives the right one: KVM computes PPR before it has counted what is in service
#         (kvm_apic_set_state, apic_find_highest_isr), so each setting goes by the count of the one before it.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

/* Sets a page and tells what PPR comes back. */
static void set(struct kvm_lapic_state *lapic, const char *what)
{
	struct kvm_lapic_state back;
	int result = ioctl(vcpu, KVM_SET_LAPIC, lapic);
	ioctl(vcpu, KVM_GET_LAPIC, &back);
	printf("seen: %s: %d, PPR 0x%02x\n", what, result, *lapic_register(&back, 0xa0));
}

int main(void)
{
	struct kvm_lapic_state lapic;
	open_kvm();
	make_lapic(&lapic);
	*lapic_register(&lapic, 0x100 + 0x20) = 1 << 16; /* ISR: 0x50 */
	set(&lapic, "0x50 in service");
	set(&lapic, "the same once more");
	*lapic_register(&lapic, 0x100 + 0x20) = 0;
	set(&lapic, "nothing in service");
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"KVM_SET_LAPIC computes PPR before it has counted what is in service" <<'END'
0x50 in service: 0, PPR 0x00
the same once more: 0, PPR 0x50
nothing in service: 0, PPR 0x00
END
