#!/bin/sh
# KVM_UNREGISTER_COALESCED_MMIO of other ranges than the one that was registered (eight ports from 0x10 on).
# Guess:  a range that covers the zone takes it away; a part of it takes that part away, or is refused; what meets no zone is ENOENT.
# Found:  the other way round. One port of the eight takes the whole zone away. A range around it, and one that reaches over its
#         end, leave it as it is: KVM asks whether the zone holds the range (coalesced_mmio_in_range). The ioctl gives 0 for all of them.
#         6.1 and 7.3 do the same.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

/* The guest writes to three ports of the zone and to one that is not: which of them make an exit. */
static void unregister(const char *what, int port, int size)
{
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	make_guest("\xe6\x10\xe6\x14\xe6\x17\xe6\x20", 8);
	struct kvm_coalesced_mmio_zone zone = { .addr = 0x10, .size = 8, .pio = 1 };
	ioctl(vm, KVM_REGISTER_COALESCED_MMIO, &zone);
	zone.addr = port;
	zone.size = size;
	printf("seen: %s: %d, exits at", what, size ? ioctl(vm, KVM_UNREGISTER_COALESCED_MMIO, &zone) : 0);
	for (int result = run_guest(); result == 0; result = ioctl(vcpu, KVM_RUN, 0)) {
		printf(" 0x%x", run->io.port);
		if (run->io.port == 0x20)
			break;
	}
	printf("\n");
}

int main(void)
{
	open_kvm();
	unregister("nothing", 0, 0);
	unregister("0x10 to 0x17, the zone", 0x10, 8);
	unregister("0x17 alone", 0x17, 1);
	unregister("0x0c to 0x1b, around it", 0x0c, 16);
	unregister("0x14 to 0x1b, over its end", 0x14, 8);
	unregister("0x30, elsewhere", 0x30, 1);
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"a part of a coalesced zone takes all of it away, and a range around it nothing" <<'END'
nothing: 0, exits at 0x20
0x10 to 0x17, the zone: 0, exits at 0x10 0x14 0x17 0x20
0x17 alone: 0, exits at 0x10 0x14 0x17 0x20
0x0c to 0x1b, around it: 0, exits at 0x20
0x14 to 0x1b, over its end: 0, exits at 0x20
0x30, elsewhere: 0, exits at 0x20
END
