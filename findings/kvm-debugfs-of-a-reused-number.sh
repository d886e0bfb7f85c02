#!/bin/sh
# A VMM closes the descriptor of a VM, while one of a vCPU is still open, and makes the next VM.
# Guess:  each VM has its folder of statistics under /sys/kernel/debug/kvm.
# Found:  the second has none, for all of its life: folders are named by process and descriptor, the second VM gets the number of the
#         first, and that one lives on by its vCPU. KVM_CREATE_VM succeeds; the kernel's log has a line
#         (kvm_create_vm_debugfs). 6.1 and 7.3 do the same.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"
#include <dirent.h>
#include <sys/stat.h>

static void count_folders(const char *when)
{
	DIR *folder = opendir("/sys/kernel/debug/kvm");
	int count = 0;
	for (struct dirent *entry; (entry = readdir(folder)); )
		count += strchr(entry->d_name, '-') != 0;
	closedir(folder);
	printf("seen: %s: %d folder(s) of VMs\n", when, count);
}

int main(void)
{
	open_kvm();
	mkdir("/sys", 0755);
	mount("sys", "/sys", "sysfs", 0, 0);
	mount("debug", "/sys/kernel/debug", "debugfs", 0, 0);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	count_folders("one VM");
	int number = vm;
	close(vm);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	printf("seen: the second VM has %s\n", vm == number ? "the same number" : "another number");
	count_folders("two VMs");
	close(vcpu);
	count_folders("the second alone");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	printf("seen: it is a VM: vCPU %s\n", vcpu < 0 ? strerror(errno) : "made");
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"a VM with the number of one that still lives has no statistics in debugfs" <<'END'
one VM: 1 folder(s) of VMs
the second VM has the same number
two VMs: 1 folder(s) of VMs
the second alone: 0 folder(s) of VMs
it is a VM: vCPU made
END
