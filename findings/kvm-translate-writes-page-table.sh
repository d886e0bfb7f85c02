#!/bin/sh
# KVM_TRANSLATE, by which a debugger asks where an address of the guest is, on a page that is read-only and one that is the user's.
# Guess:  it only looks, and `writeable` and `usermode` follow the page table.
# Found:  `writeable` is 1 and `usermode` 0 for every address, also for one that is not mapped
#         (kvm_arch_vcpu_ioctl_translate sets them so). And it sets the accessed bit in the guest's page table, as a walk of the
#         guest's own would: a look from outside is a write to guest memory. 6.1 and 7.3 do the same.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"

int main(void)
{
	struct kvm_sregs sregs;
	open_kvm();
	make_guest("\xf4", 1);
	/* 32-bit paging: one directory, one table. */
	unsigned *directory = (unsigned *)(memory + 0x3000), *table = (unsigned *)(memory + 0x4000);
	unsigned entries[] = { 0x6005, 0x6003, 0 };
	const char *names[] = { "user, read-only", "supervisor, writable", "not mapped" };
	directory[0] = 0x4007;
	ioctl(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cr3 = 0x3000;
	sregs.cr0 = 0x80000011; /* PG, ET, PE */
	ioctl(vcpu, KVM_SET_SREGS, &sregs);
	for (int i = 0; i < 3; i++) {
		struct kvm_translation translation = { .linear_address = (5 + i) << 12 };
		table[5 + i] = entries[i];
		int result = ioctl(vcpu, KVM_TRANSLATE, &translation);
		printf("seen: %s: %d, valid %d, writeable %d, usermode %d; entry 0x%x became 0x%x\n", names[i], result, translation.valid,
			translation.writeable, translation.usermode, entries[i], table[5 + i]);
	}
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"KVM_TRANSLATE tells no rights, and writes to the guest's page table" <<'END'
user, read-only: 0, valid 1, writeable 1, usermode 0; entry 0x6005 became 0x6025
supervisor, writable: 0, valid 1, writeable 1, usermode 0; entry 0x6003 became 0x6023
not mapped: 0, valid 0, writeable 1, usermode 0; entry 0x0 became 0x0
END
