#!/bin/sh
# A vCPU with the id 256 in a VM that has not asked for 32-bit APIC IDs (KVM_CAP_X2APIC_API).
# Guess:  KVM_CREATE_VCPU refuses an id that does not fit into the eight bits of an xAPIC ID.
# Found:  it is made, and has the APIC ID of vCPU 0. An MSI to APIC ID 0 reaches both.
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

int main(void)
{
	struct kvm_lapic_state lapic;
	int ids[] = { 0, 254, 256 }, vcpus[3];
	open_kvm();
	ioctl(vm, KVM_CREATE_IRQCHIP, 0);
	for (int i = 0; i < 3; i++) {
		vcpus[i] = ioctl(vm, KVM_CREATE_VCPU, ids[i]);
		if (vcpus[i] < 0) {
			printf("seen: vCPU %d: %s\n", ids[i], strerror(errno));
			continue;
		}
		ioctl(vcpus[i], KVM_GET_LAPIC, &lapic);
		printf("seen: vCPU %d: APIC ID %d\n", ids[i], (unsigned)*(int *)(lapic.regs + 0x20) >> 24);
		*(int *)(lapic.regs + 0xf0) = 0x1ff;
		ioctl(vcpus[i], KVM_SET_LAPIC, &lapic);
	}
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x40 };
	printf("seen: MSI to APIC ID 0: %d\n", ioctl(vm, KVM_SIGNAL_MSI, &msi));
	for (int i = 0; i < 3; i++) {
		ioctl(vcpus[i], KVM_GET_LAPIC, &lapic);
		printf("seen: vCPU %d: %s\n", ids[i], *(int *)(lapic.regs + 0x220) ? "pending" : "nothing");
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
echo "behaviour vCPU 256 shares the APIC ID of vCPU 0"
echo "output"
sed 's/^/  /' seen
cat > expected <<'END'
vCPU 0: APIC ID 0
vCPU 254: APIC ID 254
vCPU 256: APIC ID 0
MSI to APIC ID 0: 2
vCPU 0: pending
vCPU 254: nothing
vCPU 256: pending
END
cmp -s seen expected || { echo "it is otherwise now; expected:"; sed 's/^/  /' expected; exit 1; }
