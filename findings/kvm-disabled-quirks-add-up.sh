#!/bin/sh
# KVM_CAP_DISABLE_QUIRKS2 with a quirk, and then with 0, before the first vCPU.
# Guess:  the argument is the set of what is disabled, so 0 enables everything again, as with other capabilities.
# Found:  so it was in 6.1. In 6.12 and 7.3 quirks add up (kvm_vm_ioctl_enable_cap): both ioctls succeed, and what was disabled
#         stays so for the life of the VM. LINT0 of a new vCPU shows it: 0x700 with the quirk, masked without.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" \
	linux-image-6.1.0-57-amd64=6.1.192-3 \
	linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

int main(void)
{
	unsigned long quirks[] = { 0, KVM_X86_QUIRK_LINT0_REENABLED, KVM_X86_QUIRK_LINT0_REENABLED, 0 };
	open_kvm();
	for (int vms = 0; vms < 2; vms++) {
		struct kvm_lapic_state lapic;
		vm = ioctl(kvm, KVM_CREATE_VM, 0);
		for (int i = 0; i < 2; i++) {
			struct kvm_enable_cap cap = { .cap = KVM_CAP_DISABLE_QUIRKS2, .args = { quirks[2 * vms + i] } };
			printf("seen: disable 0x%lx: %d\n", quirks[2 * vms + i], ioctl(vm, KVM_ENABLE_CAP, &cap));
		}
		make_lapic(&lapic);
		printf("seen: LINT0 0x%x\n", *lapic_register(&lapic, 0x350));
	}
	power_off();
}
END

{ echo 6.1; boot_kvm 6.1.0-57-amd64; echo 6.12; boot_kvm 6.12.117+deb12-amd64; } > seen

verdict "Debian linux-image-6.1.0-57-amd64=6.1.192-3 linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"since after 6.1 a quirk that was disabled cannot be enabled again" <<'END'
6.1
disable 0x0: 0
disable 0x1: 0
LINT0 0x10000
disable 0x1: 0
disable 0x0: 0
LINT0 0x700
6.12
disable 0x0: 0
disable 0x1: 0
LINT0 0x10000
disable 0x1: 0
disable 0x0: 0
LINT0 0x10000
END
