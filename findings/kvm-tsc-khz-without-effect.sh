#!/bin/sh
# KVM_SET_TSC_KHZ on a CPU that cannot scale the TSC (KVM_CAP_TSC_CONTROL is 0).
# Guess:  any frequency but the CPU's own is refused.
# Found:  a lower one is refused, a higher one is accepted; KVM_GET_TSC_KHZ and Hyper-V's TSC_FREQUENCY give it back. The guest gets it
#         where the host's TSC is of no use as a clock, and does not where it is fine: KVM adds what is missing at each entry, up to
#         the moment of the host's clock, and with a good TSC that moment is one long ago (kvm_guest_time_update, master_kernel_ns).
#         6.1 and 7.3 do the same.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"
#include <sys/stat.h>
#include <time.h>

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* What the guest reads by rdtsc. */
static unsigned long long guest_tsc(void)
{
	struct kvm_regs regs;
	run_guest();
	ioctl(vcpu, KVM_GET_REGS, &regs);
	complete_exit();
	return regs.rdx << 32 | regs.rax;
}

int main(void)
{
	char clock[16] = "";
	open_kvm();
	mkdir("/sys", 0755);
	mount("sys", "/sys", "sysfs", 0, 0);
	read(open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY), clock, sizeof clock - 1);
	strtok(clock, "\n");
	make_guest("\x0f\x31\xe6\x10", 4); /* rdtsc; out 0x10, al */
	int own = ioctl(vcpu, KVM_GET_TSC_KHZ, 0);
	printf("seen: clock source %s, KVM_CAP_TSC_CONTROL %d\n", clock, ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL));
	printf("seen: half the frequency: %d\n", ioctl(vcpu, KVM_SET_TSC_KHZ, own / 2));
	printf("seen: three times the frequency: %d\n", ioctl(vcpu, KVM_SET_TSC_KHZ, 3 * own));
	printf("seen: KVM_GET_TSC_KHZ: %.2f times\n", ioctl(vcpu, KVM_GET_TSC_KHZ, 0) / (double)own);
	printf("seen: TSC_FREQUENCY: %.2f times\n", get_msr(0x40000022) / (own * 1e3));
	guest_tsc();
	double from = seconds();
	unsigned long long tsc = guest_tsc();
	sleep(3);
	tsc = guest_tsc() - tsc;
	printf("seen: what the guest counts in 3 s: %.0f times\n", tsc / (seconds() - from) / (own * 1e3));
	power_off();
}
END

{
	boot_kvm 6.12.117+deb12-amd64
	append=tsc=unstable
	boot_kvm 6.12.117+deb12-amd64
} > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"a higher TSC frequency is accepted and told, and is there only if the host's TSC is bad" <<'END'
clock source tsc, KVM_CAP_TSC_CONTROL 0
half the frequency: -1
three times the frequency: 0
KVM_GET_TSC_KHZ: 3.00 times
TSC_FREQUENCY: 3.00 times
what the guest counts in 3 s: 1 times
clock source hpet, KVM_CAP_TSC_CONTROL 0
half the frequency: -1
three times the frequency: 0
KVM_GET_TSC_KHZ: 3.00 times
TSC_FREQUENCY: 3.00 times
what the guest counts in 3 s: 3 times
END
