#!/bin/sh
# KVM_INTERRUPT twice, before the guest has taken the first one, in a VM whose irqchip is the VMM's.
# Guess:  the second is refused with EEXIST, as KVM's api.rst says for x86, and the first one stays.
# Found:  both give 0, and the first one is lost. EEXIST is for VMs with a LAPIC in the kernel and no PIC alone
#         (kvm_vcpu_ioctl_interrupt). 6.1 and 7.3 do the same.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

static void interrupt(int vector)
{
	struct kvm_interrupt interrupt = { .irq = vector };
	struct kvm_vcpu_events events;
	int result = ioctl(vcpu, KVM_INTERRUPT, &interrupt);
	const char *error = result ? strerror(errno) : "no error";
	ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events);
	int next = events.interrupt.injected ? events.interrupt.nr : 0;
	printf("seen: KVM_INTERRUPT 0x%x: %d, %s; to be injected: 0x%x\n", vector, result, error, next);
}

int main(void)
{
	open_kvm();
	printf("seen: no irqchip\n");
	make_guest("\xf4", 1);
	interrupt(0x20);
	interrupt(0x21);
	printf("seen: split irqchip\n");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	ioctl(vm, KVM_ENABLE_CAP, &split);
	make_guest("\xf4", 1);
	interrupt(0x20);
	interrupt(0x21);
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"a second KVM_INTERRUPT replaces the first without an error" <<'END'
no irqchip
KVM_INTERRUPT 0x20: 0, no error; to be injected: 0x20
KVM_INTERRUPT 0x21: 0, no error; to be injected: 0x21
split irqchip
KVM_INTERRUPT 0x20: 0, no error; to be injected: 0x0
KVM_INTERRUPT 0x21: -1, File exists; to be injected: 0x0
END
