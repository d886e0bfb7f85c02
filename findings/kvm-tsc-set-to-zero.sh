#!/bin/sh
# KVM_SET_MSRS of IA32_TSC, to give a guest the TSC of a computer that was just turned on.
# Guess:  each value that is set is where the TSC goes on from.
# Found:  0 does nothing: KVM takes it for "synchronize with what was set last" (kvm_synchronize_tsc), the ioctl says that the MSR was
#         set, and the TSC goes on as if nobody had asked. Other values work, unless they are within a second of where it is
#         anyway. 6.1 and 7.3 do the same.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

static void set(unsigned long long value)
{
	int result = set_msr(0x10, value);
	unsigned long long now = get_msr(0x10);
	printf("seen: set to 0x%llx: %d; bits 63:40 are 0x%llx now\n", value, result, now >> 40);
}

int main(void)
{
	open_kvm();
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	set(1ULL << 40);
	sleep(2);
	set(0);
	sleep(2);
	set(1ULL << 41);
	set(0);
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"a TSC cannot be set to 0" <<'END'
set to 0x10000000000: 1; bits 63:40 are 0x1 now
set to 0x0: 1; bits 63:40 are 0x1 now
set to 0x20000000000: 1; bits 63:40 are 0x2 now
set to 0x0: 1; bits 63:40 are 0x2 now
END
