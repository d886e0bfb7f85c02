#!/bin/sh
# A process that starts no thread, opens /dev/kvm and runs a guest once, and then wants a user namespace of its own.
# Guess:  KVM_RUN leaves the process as it is: one thread, and unshare(CLONE_NEWUSER) works.
# Found:  on 6.12 the first KVM_RUN adds a thread to the process, for as long as the VM lives; unshare() fails with EINVAL.
#         On 6.1 the guess holds: the worker was a thread of the kernel there.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" \
	linux-image-6.1.0-57-amd64=6.1.192-3 \
	linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"
#include <dirent.h>
#include <sched.h>

static int threads(void)
{
	DIR *folder = opendir("/proc/self/task");
	int count = -2; /* . and .. */
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

int main(void)
{
	open_kvm();
	make_guest("\xe6\x10", 2); /* out 0x10, al */
	printf("seen: %d thread before the first KVM_RUN\n", threads());
	int result = run_guest();
	printf("seen: KVM_RUN gives %d, %d threads\n", result, threads());
	result = unshare(CLONE_NEWUSER);
	printf("seen: unshare(CLONE_NEWUSER): %s\n", result ? strerror(errno) : "done");
	power_off();
}
END

{ echo 6.1; boot_kvm 6.1.0-57-amd64; echo 6.12; boot_kvm 6.12.117+deb12-amd64; } > seen

verdict "Debian linux-image-6.1.0-57-amd64=6.1.192-3 linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"from 6.12 on, a process with one thread has two after its first KVM_RUN" <<'END'
6.1
1 thread before the first KVM_RUN
KVM_RUN gives 0, 1 threads
unshare(CLONE_NEWUSER): done
6.12
1 thread before the first KVM_RUN
KVM_RUN gives 0, 2 threads
unshare(CLONE_NEWUSER): Invalid argument
END
