#!/bin/sh
# Hyper-V's VP_RUNTIME (MSR 0x40000010), which TLFS defines as the time that a virtual processor ran.
# Guess:  it is 0 for a vCPU that has never run, and does not depend on who asks.
# Found:  it is the CPU time of the thread that asks, since that was started, the VMM's own work included
#         (current_task_runtime_100ns). Two threads read two values of the same vCPU, and it goes back when a vCPU changes threads.
#         6.1 and 7.3 do the same.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"
#include <pthread.h>
#include <time.h>

static void *tell(void *who)
{
	double seconds = get_msr(0x40000010) / 1e7;
	printf("seen: VP_RUNTIME of a vCPU that never ran, asked by %s: %s\n", (char *)who, seconds >= 2 ? "2 s or more" : "less than 2 s");
	return 0;
}

int main(void)
{
	struct timespec used;
	pthread_t other;
	open_kvm();
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	while (used.tv_sec < 2);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	tell("a thread that has worked for 2 s");
	pthread_create(&other, 0, tell, "a new thread");
	pthread_join(other, 0);
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"VP_RUNTIME is the CPU time of the thread that reads it" <<'END'
VP_RUNTIME of a vCPU that never ran, asked by a thread that has worked for 2 s: 2 s or more
VP_RUNTIME of a vCPU that never ran, asked by a new thread: less than 2 s
END
