#!/bin/sh
# KVM_GET_MP_STATE of a vCPU for which an INIT is pending.
# Guess:  it reads. The INIT is done by the next KVM_RUN, as other events are, and until then the registers stay.
# Found:  it does the INIT: RIP is that of a reset afterwards, although nothing was set and no guest has run. KVM_GET_REGS and
#         KVM_GET_VCPU_EVENTS do not. Whoever saves registers first and the MP state behind them saves two different vCPUs.
#         (kvm_arch_vcpu_ioctl_get_mpstate calls kvm_apic_accept_events.) 6.1 and 7.3 do the same.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

static void tell(const char *when)
{
	struct kvm_regs regs;
	ioctl(vcpu, KVM_GET_REGS, &regs);
	printf("seen: %s: RIP 0x%llx, RBX 0x%llx\n", when, regs.rip, regs.rbx);
}

int main(void)
{
	struct kvm_lapic_state lapic;
	struct kvm_regs regs = { .rip = 0x1234, .rbx = 0x77, .rflags = 2 };
	struct kvm_vcpu_events events;
	struct kvm_mp_state state;
	open_kvm();
	make_lapic(&lapic);
	ioctl(vcpu, KVM_SET_LAPIC, &lapic);
	ioctl(vcpu, KVM_SET_REGS, &regs);
	struct kvm_msi init = { .address_lo = 0xfee00000, .data = 0x4500 };
	printf("seen: MSI with INIT: %d\n", ioctl(vm, KVM_SIGNAL_MSI, &init));
	tell("KVM_GET_REGS");
	ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events);
	tell("after KVM_GET_VCPU_EVENTS");
	ioctl(vcpu, KVM_GET_MP_STATE, &state);
	tell("after KVM_GET_MP_STATE");
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"KVM_GET_MP_STATE resets a vCPU for which an INIT is pending" <<'END'
MSI with INIT: 1
KVM_GET_REGS: RIP 0x1234, RBX 0x77
after KVM_GET_VCPU_EVENTS: RIP 0x1234, RBX 0x77
after KVM_GET_MP_STATE: RIP 0xfff0, RBX 0x0
END
