#!/bin/sh
# A guest ends in a triple fault, and the VMM reads its registers to tell where.
# Guess:  KVM_GET_REGS behind KVM_EXIT_SHUTDOWN gives the registers at the fault.
# Found:  on AMD they are those of a reset: KVM does an INIT of the vCPU before it leaves to the VMM, because the VMCB is undefined
#         behind a shutdown (shutdown_interception). Nothing says where the guest was. Only memory is as it was. 6.1 and 7.3 do the
#         same; on Intel (handle_triple_fault, read and not run) the registers stay.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

int main(void)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	open_kvm();
	/* mov bx, 0x1234; mov [0x2002], bx; lidt [0x2010], which has the limit 0; int3 */
	make_guest("\xbb\x34\x12\x89\x1e\x02\x20\x0f\x01\x1e\x10\x20\xcc", 13);
	int result = run_guest();
	ioctl(vcpu, KVM_GET_REGS, &regs);
	ioctl(vcpu, KVM_GET_SREGS, &sregs);
	printf("seen: KVM_RUN %d, exit %s\n", result, run->exit_reason == KVM_EXIT_SHUTDOWN ? "KVM_EXIT_SHUTDOWN" : "of another kind");
	printf("seen: memory that the guest wrote 0x%x\n", *(unsigned short *)(memory + 0x2002));
	printf("seen: RIP 0x%llx, RBX 0x%llx, CS 0x%x, limit of the IDT 0x%x\n", regs.rip, regs.rbx, sregs.cs.selector, sregs.idt.limit);
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"on AMD, KVM_EXIT_SHUTDOWN comes with the registers of a reset" <<'END'
KVM_RUN 0, exit KVM_EXIT_SHUTDOWN
memory that the guest wrote 0x1234
RIP 0xfff0, RBX 0x0, CS 0xf000, limit of the IDT 0xffff
END
