#!/bin/sh
# KVM_RUN that comes back with EINTR, by a signal and by immediate_exit, behind an exit for I/O.
# Guess:  exit_reason is KVM_EXIT_INTR both times: it is the same error.
# Found:  by a signal it is. By immediate_exit nothing is written: exit_reason, port and data are those of the I/O that the VMM has already
#         answered. One that looks at exit_reason without looking at the error does it twice. 6.1 and 7.3 do the same.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "kvm.h"
#include <signal.h>

static void wake_up(int signal) { (void)signal; }

static void tell(const char *how, int result)
{
	const char *reason = run->exit_reason == KVM_EXIT_IO ? "KVM_EXIT_IO" : run->exit_reason == KVM_EXIT_INTR ? "KVM_EXIT_INTR" : "another";
	printf("seen: %s: %s, %s", how, result ? strerror(errno) : "no error", reason);
	if (run->exit_reason == KVM_EXIT_IO)
		printf(" port 0x%x", run->io.port);
	printf("\n");
}

int main(void)
{
	struct sigaction action = { .sa_handler = wake_up };
	open_kvm();
	make_guest("\xe6\x10\xeb\xfe", 4); /* out 0x10, al; jmp to itself */
	tell("first run", run_guest());
	run->immediate_exit = 1;
	tell("immediate_exit", ioctl(vcpu, KVM_RUN, 0));
	run->immediate_exit = 0;
	sigaction(SIGALRM, &action, 0);
	alarm(1);
	tell("signal", ioctl(vcpu, KVM_RUN, 0));
	power_off();
}
END

boot_kvm 6.12.117+deb12-amd64 > seen

verdict "Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(emulator))" \
	"immediate_exit leaves the exit before it in kvm_run" <<'END'
first run: no error, KVM_EXIT_IO port 0x10
immediate_exit: Interrupted system call, KVM_EXIT_IO port 0x10
signal: Interrupted system call, KVM_EXIT_INTR
END
