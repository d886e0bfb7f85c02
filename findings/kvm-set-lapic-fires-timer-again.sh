#!/bin/sh
# KVM_SET_LAPIC of the page that KVM_GET_LAPIC has just given, long after the guest's one-shot timer has fired and was acknowledged.
# Guess:  nothing comes of it: the current count is 0, the timer is over, and nothing is pending.
# Found:  the timer fires once more, at each KVM_SET_LAPIC. KVM starts the timer for what is left of the count, and takes 0 as "now"
#         (set_target_expiration) where the initial count is not 0. A guest that is saved and restored gets a tick that it
#         did not ask for. 6.1 and 7.3 do the same.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"
#include <signal.h>
#include <sys/time.h>

static struct kvm_lapic_state lapic;

static void wake_up(int signal) { (void)signal; }

/* Runs the guest for half a second; each exit is a tick. */
static void count_ticks(const char *when)
{
	struct itimerval half = { { 0, 500000 }, { 0, 500000 } }, off = { { 0, 0 }, { 0, 0 } };
	int ticks = 0;
	setitimer(ITIMER_REAL, &half, 0);
	while (!ioctl(vcpu, KVM_RUN, 0))
		ticks++;
	setitimer(ITIMER_REAL, &off, 0);
	ioctl(vcpu, KVM_GET_LAPIC, &lapic);
	printf("seen: %s: %d tick(s); initial count %d, current count %d, IRR 0x%x, ISR 0x%x\n", when, ticks, *lapic_register(&lapic, 0x380),
		*lapic_register(&lapic, 0x390), *lapic_register(&lapic, 0x220), *lapic_register(&lapic, 0x120));
}

int main(void)
{
	struct sigaction action = { .sa_handler = wake_up };
	struct { struct kvm_cpuid2 head; struct kvm_cpuid_entry2 entries[150]; } cpuid = { .head.nent = 150 };
	sigaction(SIGALRM, &action, 0);
	open_kvm();
	ioctl(vm, KVM_CREATE_IRQCHIP, 0);
	make_guest("\xe6\x10\xfb\xf4\xeb\xfd", 6); /* out 0x10, al; sti; hlt; jmp to the hlt */
	/* The handler of vector 0x40: EOI (x2APIC), out 0x30, al, iret. */
	memcpy(memory + 0x1100, "\x66\xb9\x0b\x08\x00\x00\x66\x31\xc0\x66\x31\xd2\x0f\x30\xe6\x30\xcf", 17);
	*(int *)(memory + 4 * 0x40) = 0x1100;
	ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);
	ioctl(vcpu, KVM_SET_CPUID2, &cpuid);
	set_msr(0x1b, 0xfee00d00); /* IA32_APIC_BASE: x2APIC */
	run_guest();
	ioctl(vcpu, KVM_GET_LAPIC, &lapic);
	*lapic_register(&lapic, 0xf0) = 0x1ff;
	*lapic_register(&lapic, 0x320) = 0x40; /* LVT timer: one-shot */
	*lapic_register(&lapic, 0x3e0) = 0xb; /* divided by 1 */
	*lapic_register(&lapic, 0x380) = *lapic_register(&lapic, 0x390) = 1000000;
	ioctl(vcpu, KVM_SET_LAPIC, &lapic);
	count_ticks("armed");
	count_ticks("half a second more");
	for (int turn = 0; turn < 2; turn++) {
		ioctl(vcpu, KVM_GET_LAPIC, &lapic);
		ioctl(vcpu, KVM_SET_LAPIC, &lapic);
		count_ticks("after KVM_SET_LAPIC of what KVM_GET_LAPIC gave");
	}
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"a one-shot timer that is over fires again at each KVM_SET_LAPIC" <<'END'
armed: 1 tick(s); initial count 1000000, current count 0, IRR 0x0, ISR 0x0
half a second more: 0 tick(s); initial count 1000000, current count 0, IRR 0x0, ISR 0x0
after KVM_SET_LAPIC of what KVM_GET_LAPIC gave: 1 tick(s); initial count 1000000, current count 0, IRR 0x0, ISR 0x0
after KVM_SET_LAPIC of what KVM_GET_LAPIC gave: 1 tick(s); initial count 1000000, current count 0, IRR 0x0, ISR 0x0
END
