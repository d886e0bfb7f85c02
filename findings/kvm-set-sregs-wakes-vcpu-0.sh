#!/bin/sh
# KVM_SET_SREGS of what KVM_GET_SREGS has just given, on a vCPU that waits or sleeps.
# Guess:  it sets the special registers, and the MP state stays what KVM_SET_MP_STATE made it.
# Found:  vCPU 0 becomes runnable from whatever state, as long as it has the registers of a reset (__set_sregs_common, for VMMs that
#         know no MP states). vCPU 1 stays as it was. The other order of the two ioctls gives another VM. 6.1 and 7.3 do the same.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

int main(void)
{
	struct { int number; const char *name; } states[] = {
		{ KVM_MP_STATE_UNINITIALIZED, "waits for INIT" },
		{ KVM_MP_STATE_INIT_RECEIVED, "waits for SIPI" },
		{ KVM_MP_STATE_HALTED, "halted" },
	};
	open_kvm();
	ioctl(vm, KVM_CREATE_IRQCHIP, 0);
	for (int id = 0; id < 2; id++) {
		vcpu = ioctl(vm, KVM_CREATE_VCPU, id);
		for (int i = 0; i < 3; i++) {
			struct kvm_mp_state state = { states[i].number };
			struct kvm_sregs sregs;
			ioctl(vcpu, KVM_SET_MP_STATE, &state);
			ioctl(vcpu, KVM_GET_MP_STATE, &state);
			int before = state.mp_state;
			ioctl(vcpu, KVM_GET_SREGS, &sregs);
			int result = ioctl(vcpu, KVM_SET_SREGS, &sregs);
			ioctl(vcpu, KVM_GET_MP_STATE, &state);
			printf("seen: vCPU %d %s (%d): KVM_SET_SREGS %d, then %d\n", id, states[i].name, before, result, state.mp_state);
		}
	}
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"KVM_SET_SREGS makes vCPU 0 runnable" <<'END'
vCPU 0 waits for INIT (1): KVM_SET_SREGS 0, then 0
vCPU 0 waits for SIPI (2): KVM_SET_SREGS 0, then 0
vCPU 0 halted (3): KVM_SET_SREGS 0, then 0
vCPU 1 waits for INIT (1): KVM_SET_SREGS 0, then 1
vCPU 1 waits for SIPI (2): KVM_SET_SREGS 0, then 2
vCPU 1 halted (3): KVM_SET_SREGS 0, then 3
END
