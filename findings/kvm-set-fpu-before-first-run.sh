#!/bin/sh
# KVM_SET_FPU on a vCPU that has not run yet.
# Guess:  the guest starts with the XMM registers that were set, since KVM_GET_FPU gives them back.
# Found:  the guest sees zeros. After its first KVM_RUN the same ioctl works (no bit of XSTATE_BV says that SSE is in use before).
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

int main(void)
{
	struct kvm_fpu fpu;
	open_kvm();
	make_guest("\x0f\x11\x06\x00\x20\xe6\x10", 7); /* movups [0x2000], xmm0; out 0x10, al */
	for (int turn = 1; turn <= 2; turn++) {
		ioctl(vcpu, KVM_GET_FPU, &fpu);
		fpu.fcw = 0x37f;
		fpu.mxcsr = 0x1f80;
		memset(fpu.xmm[0], 0xab, 16);
		ioctl(vcpu, KVM_SET_FPU, &fpu);
		memset(&fpu, 0, sizeof fpu);
		ioctl(vcpu, KVM_GET_FPU, &fpu);
		run_guest();
		printf("seen: run %d: set 0xab, KVM_GET_FPU gives 0x%02x, the guest sees 0x%02x\n", turn, fpu.xmm[0][0], memory[0x2000]);
		if (turn == 1) /* Completes the OUT of the first run. */
			run->immediate_exit = 1, ioctl(vcpu, KVM_RUN, 0), run->immediate_exit = 0;
	}
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"KVM_SET_FPU is lost on a vCPU that has not run, and KVM_GET_FPU does not show it" <<'END'
run 1: set 0xab, KVM_GET_FPU gives 0xab, the guest sees 0x00
run 2: set 0xab, KVM_GET_FPU gives 0xab, the guest sees 0xab
END
