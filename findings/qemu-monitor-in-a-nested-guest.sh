#!/bin/sh
# QEMU (TCG) is stopped while a guest of its guest runs, and the monitor is asked for registers and for the code that they point to.
# Guess:  `info registers` shows the guest of the guest, so `x /2xb` at its EIP shows the code that it executes.
# Found:  the registers are those of the inner guest, and the memory is the outer one's at the same number: the monitor, and gdb with
#         it, translate by the inner guest's CR0 and CR3 alone and leave out the nested page table
#         (x86_cpu_get_phys_page_attrs_debug). What is disassembled there has nothing to do with what runs.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

need mkfifo

make_init <<'END'
#include "kvm.h"

int main(void)
{
	open_kvm();
	make_guest("\xeb\xfe", 2); /* jmp to itself, at 0x1000 */
	printf("seen: code of the inner guest at 0x1000: %02x %02x\n", memory[0x1000], memory[0x1001]);
	run_guest();
	power_off();
}
END

kvm_initramfs 6.12.117+deb12-amd64
mkfifo commands && : > monitor
emulate 6.12.117+deb12-amd64 ram.cpio -serial file:console -monitor stdio < commands > monitor &
exec 3> commands
turns=0
until grep -q '^EIP=00001000' monitor || [ $turns -gt 60 ]; do
	sleep 2
	turns=$((turns + 1))
	grep -q '^seen' console 2> /dev/null || continue
	# Where it was stopped in the outer guest, let it go on.
	printf 'cont\nstop\ninfo registers\nx /2xb 0x1000\n' >&3
	sleep 1
done
echo quit >&3
exec 3>&-
wait || true
{
	tr -d '\r' < console | sed -n 's/^seen: //p'
	tr -d '\r' < monitor > said
	sed -n 's/^\(EIP=00001000\).*/info registers: \1/p' said | tail -n 1
	case $(sed -n 's/^0*1000: //p' said | tail -n 1) in
		'') echo "x /2xb 0x1000: nothing" ;;
		'0xeb 0xfe') echo "x /2xb 0x1000: eb fe" ;;
		*) echo "x /2xb 0x1000: other bytes" ;;
	esac
} > seen

verdict "$(emulator), Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1" \
	"the monitor shows registers of the inner guest, and memory of the outer one" <<'END'
code of the inner guest at 0x1000: eb fe
info registers: EIP=00001000
x /2xb 0x1000: other bytes
END
