#!/bin/sh
# QEMU (TCG) saves a snapshot while a guest of its guest runs, and loads it again.
# Guess:  the state of SVM is among what is saved, and the inner guest goes on.
# Found:  savevm succeeds, and loadvm refuses: the vCPU is "inconsistent with migrated kernel nested state". A check that is for KVM is
#         compiled into every QEMU that can do KVM, and asks nobody whether it is in use (cpu_post_load). Taken a moment
#         later, when the outer guest happens to run, the same snapshot loads. Nothing tells one from the other when it is saved.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

need mkfifo truncate

make_init <<'END'
#include "kvm.h"

int main(void)
{
	open_kvm();
	make_guest("\xeb\xfe", 2); /* jmp to itself, at 0x1000 */
	printf("seen: the inner guest begins\n");
	run_guest();
	power_off();
}
END

kvm_initramfs 6.12.117+deb12-amd64
# With -snapshot a disk of any format can hold a state, for as long as QEMU runs.
truncate -s 1M disk
mkfifo commands && : > said
emulate 6.12.117+deb12-amd64 ram.cpio -serial file:console -monitor stdio -snapshot -drive file=disk,format=raw,if=virtio \
	< commands > said 2>&1 &
exec 3> commands
turns=0
until tr -d '\r' < said | grep -q '^EIP=00001000' || [ $turns -gt 60 ]; do
	sleep 2
	turns=$((turns + 1))
	grep -q '^seen' console 2> /dev/null || continue
	# Where it was stopped in the outer guest, let it go on.
	printf 'cont\nstop\ninfo registers\n' >&3
	sleep 1
done
printf 'savevm inner\ninfo snapshots\nloadvm inner\nquit\n' >&3
exec 3>&-
wait || true
tr -d '\r' < said > lines
{
	sed -n 's/^\(EIP=00001000\).*/stopped at \1/p' lines | tail -n 1
	echo "snapshots: $(grep -c '^--.* inner ' lines)"
	sed -n '/nested state/p' lines
	sed -n '/^Error/p' lines
} > seen

verdict "$(emulator), Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1" \
	"a snapshot of a moment in which a nested guest runs is saved, and cannot be loaded" <<'END'
stopped at EIP=00001000
snapshots: 1
vCPU set in guest-mode inconsistent with migrated kernel nested state
Error: Error -22 while loading VM state
END
