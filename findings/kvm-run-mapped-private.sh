#!/bin/sh
# kvm_run, the page by which KVM and a VMM speak of each exit, mapped with MAP_PRIVATE.
# Guess:  mmap refuses it, since the page is shared by its purpose, or it makes no difference.
# Found:  it is accepted and works until the VMM writes to the page for the first time. From then on the VMM has a copy: every exit looks
#         like the last one before, and KVM_RUN does not see immediate_exit. KVM refuses such a mapping for the pages of the
#         dirty ring, and for no other (kvm_vcpu_mmap). 6.1 and 7.3 do the same.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

static void tell(const char *when, int result)
{
	printf("seen: %s: KVM_RUN %d, port in kvm_run 0x%x\n", when, result, run->io.port);
}

int main(void)
{
	open_kvm();
	make_guest("\xe6\x10\xe6\x11\xe6\x12\xe6\x13", 8); /* out to 0x10, 0x11, 0x12, 0x13 */
	run = mmap(0, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_PRIVATE, vcpu, 0);
	printf("seen: mmap: %s\n", run == MAP_FAILED ? strerror(errno) : "done");
	tell("out to 0x10", run_guest());
	tell("out to 0x11", ioctl(vcpu, KVM_RUN, 0));
	run->request_interrupt_window = 0;
	tell("out to 0x12, behind a write of 0 to a field that is 0", ioctl(vcpu, KVM_RUN, 0));
	run->immediate_exit = 1;
	tell("immediate_exit", ioctl(vcpu, KVM_RUN, 0));
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"a private mapping of kvm_run works until the first write to it" <<'END'
mmap: done
out to 0x10: KVM_RUN 0, port in kvm_run 0x10
out to 0x11: KVM_RUN 0, port in kvm_run 0x11
out to 0x12, behind a write of 0 to a field that is 0: KVM_RUN 0, port in kvm_run 0x11
immediate_exit: KVM_RUN 0, port in kvm_run 0x11
END
