#!/bin/sh
# A process that starts no thread, opens /dev/kvm and runs a guest once, and then wants a user namespace of its own.
# Guess:  KVM_RUN leaves the process as it is: one thread, and unshare(CLONE_NEWUSER) works.
# Found:  on 6.12 the first KVM_RUN adds a thread to the process, for as long as the VM lives; unshare() fails with EINVAL.
#         On 6.1 the guess holds: the worker was a thread of the kernel there.
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
for package in linux-image-6.1.0-57-amd64=6.1.192-3 linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1; do
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

{ echo 6.1; boot 6.1.0-57-amd64; echo 6.12; boot 6.12.117+deb12-amd64; } > seen

echo "version   Debian linux-image-6.1.0-57-amd64=6.1.192-3 linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1 (SVM of $(qemu-system-x86_64 --version | head -n 1))"
echo "behaviour from 6.12 on, a process with one thread has two after its first KVM_RUN"
echo "output"
sed 's/^/  /' seen
cat > expected <<'END'
6.1
1 thread before the first KVM_RUN
KVM_RUN gives 0, 1 threads
unshare(CLONE_NEWUSER): done
6.12
1 thread before the first KVM_RUN
KVM_RUN gives 0, 2 threads
unshare(CLONE_NEWUSER): Invalid argument
END
cmp -s seen expected || { echo "it is otherwise now; expected:"; sed 's/^/  /' expected; exit 1; }
