#!/bin/sh
# KVM_SET_FPU on a vCPU that has not run yet.
# Guess:  the guest starts with the XMM registers that were set, since KVM_GET_FPU gives them back.
# Found:  the guest sees zeros. After its first KVM_RUN the same ioctl works (no bit of XSTATE_BV says that SSE is in use before).
# Exit code: 0 as found, 1 it is otherwise now, 2 it could not be run.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 2' INT TERM
cd "$dir"
cannot() { echo "cannot run: $*" >&2; exit 2; }

# Packages come from the system's own mirror, through lists of our own: nothing of the system is changed.
mirror=$(apt-get indextargets --format '$(REPO_URI)' | sed -n 's,/debian/*$,/debian,p' | head -n 1)
[ -n "$mirror" ] || cannot "apt knows no mirror of Debian"
mkdir -p lists/partial archives/partial root
by='[arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
echo "deb $by $mirror-security bookworm-security main" > sources
cat > apt.conf <<END
Dir::State "$dir";
Dir::State::Status "$dir/status";
Dir::Cache "$dir";
Dir::Etc::SourceList "$dir/sources";
Dir::Etc::SourceParts "/dev/null";
Acquire::Languages "none";
APT::Sandbox::User "root";
END
touch status
APT_CONFIG=$dir/apt.conf apt-get -qq update || cannot "apt-get update failed"
for package in linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1; do
	APT_CONFIG=$dir/apt.conf apt-get -qq download "$package" || cannot "$package is not on the mirror any more"
done
for deb in *.deb; do dpkg-deb -x "$deb" root; done

# An emulated computer: the installed QEMU, or one that is unpacked here with what it needs.
for tool in gcc cpio xz; do command -v $tool > need || cannot "$tool is missing"; done
if ! command -v qemu-system-x86_64 > need; then
	mkdir qemu && cd qemu
	list=$(apt-get -s install --no-install-recommends qemu-system-x86 | awk '$1 == "Inst" { print $2 }')
	apt-get -qq download $list || cannot "QEMU cannot be had"
	for deb in *.deb; do dpkg-deb -x "$deb" .; done
	cd ..
	export PATH="$dir/qemu/usr/bin:$PATH" LD_LIBRARY_PATH="$dir/qemu/usr/lib/x86_64-linux-gnu:$dir/qemu/lib/x86_64-linux-gnu"
	data="-L $dir/qemu/usr/share/qemu -L $dir/qemu/usr/share/seabios"
fi

cat > init.c <<'END'
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static int kvm, vm, vcpu;
static unsigned char *memory;
static struct kvm_run *run;

static void load(const char *file)
{
	if (syscall(SYS_finit_module, open(file, O_RDONLY), "", 0))
		printf("seen: %s: %s\n", file, strerror(errno));
}

static void open_kvm(void)
{
	mount("proc", "/proc", "proc", 0, 0);
	mount("dev", "/dev", "devtmpfs", 0, 0);
	dup2(open("/dev/console", O_RDWR), 1);
	setvbuf(stdout, 0, _IONBF, 0);
	printf("\n");
	load("/irqbypass.ko");
	load("/ccp.ko");
	load("/kvm.ko");
	load("/kvm-amd.ko");
	kvm = open("/dev/kvm", O_RDWR);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
}

/* One vCPU in real mode at 0x1000 of 64 KiB. */
static void make_guest(const char *code, int bytes)
{
	memory = mmap(0, 0x10000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = { .memory_size = 0x10000, .userspace_addr = (unsigned long)memory };
	ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
	memcpy(memory + 0x1000, code, bytes);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	run = mmap(0, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
}

static int run_guest(void)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = 0x1000, .rflags = 2 };
	ioctl(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = sregs.cs.selector = 0;
	sregs.cr4 |= 0x200; /* OSFXSR */
	ioctl(vcpu, KVM_SET_SREGS, &sregs);
	ioctl(vcpu, KVM_SET_REGS, &regs);
	return ioctl(vcpu, KVM_RUN, 0);
}

int main(void)
{
	struct kvm_fpu fpu;
	open_kvm();
	make_guest("\x0f\x11\x06\x00\x20\xe6\x10", 7); /* movups [0x2000], xmm0; out 0x10, al */
	for (int turn = 1; turn <= 2; turn++) {
		ioctl(vcpu, KVM_GET_FPU, &fpu);
		fpu.fcw = 0x37f;
		fpu.mxcsr = 0x1f80;
		memset(fpu.xmm[0], 0xab, 16);
		ioctl(vcpu, KVM_SET_FPU, &fpu);
		memset(&fpu, 0, sizeof fpu);
		ioctl(vcpu, KVM_GET_FPU, &fpu);
		run_guest();
		printf("seen: run %d: set 0xab, KVM_GET_FPU gives 0x%02x, the guest sees 0x%02x\n", turn, fpu.xmm[0][0], memory[0x2000]);
		if (turn == 1) /* Completes the OUT of the first run. */
			run->immediate_exit = 1, ioctl(vcpu, KVM_RUN, 0), run->immediate_exit = 0;
	}
	sync();
	reboot(RB_POWER_OFF);
}
END

gcc -O1 -static -o init init.c || cannot "init.c does not compile"

# boot RELEASE: boots that kernel with our program as its init, and prints what the program says.
boot() {
	rm -rf ram && mkdir -p ram/dev ram/proc && cp init ram/init
	for name in irqbypass ccp kvm kvm-amd; do
		module=$(find root -path "*/$1/*" -name "$name.ko*")
		case $module in *.xz) xz -dc "$module" > "ram/$name.ko" ;; *) cp "$module" ram/ ;; esac
	done
	(cd ram && find . | cpio -o -H newc --quiet) > ram.cpio
	timeout 300 qemu-system-x86_64 ${data:-} -accel tcg -cpu max -m 512 -nodefaults -display none -no-reboot -serial stdio \
		-kernel "root/boot/vmlinuz-$1" -initrd ram.cpio -append 'console=ttyS0 quiet panic=-1' < /dev/null > console || true
	tr -d '\r' < console | sed -n 's/^seen: //p'
}

boot 6.12.117+deb12-amd64 > seen

echo "version   Debian linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(qemu-system-x86_64 --version | head -n 1))"
echo "behaviour KVM_SET_FPU is lost on a vCPU that has not run, and KVM_GET_FPU does not show it"
echo "output"
sed 's/^/  /' seen
cat > expected <<'END'
run 1: set 0xab, KVM_GET_FPU gives 0xab, the guest sees 0x00
run 2: set 0xab, KVM_GET_FPU gives 0xab, the guest sees 0xab
END
cmp -s seen expected || { echo "it is otherwise now; expected:"; sed 's/^/  /' expected; exit 1; }
