#!/bin/sh
# KVM_SET_CLOCK, which api.rst says sets the timestamp of kvmclock, in a VM whose guest uses Hyper-V's reference counter.
# Guess:  the two clocks have nothing to do with each other: TLFS has the counter begin at 0 with the partition and go up by 10 MHz.
# Found:  the counter is kvmclock divided by 100 (get_time_ref_counter). KVM_SET_CLOCK takes it forward, and back. And a VMM that
#         restores a Windows guest has to restore a clock that the guest does not know. 6.1 and 7.3 do the same.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

static void set(unsigned long long seconds)
{
	struct kvm_clock_data clock = { .clock = seconds * 1000000000 };
	int result = ioctl(vm, KVM_SET_CLOCK, &clock);
	printf("seen: KVM_SET_CLOCK %llu s: %d, TIME_REF_COUNT %llu s\n", seconds, result, get_msr(0x40000020) / 10000000);
}

int main(void)
{
	open_kvm();
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	printf("seen: TIME_REF_COUNT %llu s\n", get_msr(0x40000020) / 10000000);
	set(3600);
	set(60);
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"KVM_SET_CLOCK sets Hyper-V's reference counter" <<'END'
TIME_REF_COUNT 0 s
KVM_SET_CLOCK 3600 s: 0, TIME_REF_COUNT 3600 s
KVM_SET_CLOCK 60 s: 0, TIME_REF_COUNT 60 s
END
