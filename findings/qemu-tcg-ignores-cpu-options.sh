#!/bin/sh
# QEMU without KVM (TCG) with options for the CPU that it cannot give: Hyper-V enlightenments, and a frequency of the TSC.
# Guess:  it refuses them, or warns as it does for features of the CPU that TCG lacks, or the guest gets them.
# Found:  it takes them without a word, and the guest finds TCG's own CPUID leaves and the host's TSC. `hv-vpindex` alone is refused, in
#         the name of a kernel that has nothing to do with it.
. "$(dirname "$0")/common/setup.sh"
. "$common/boot.sh"
debian_packages "bookworm-security" linux-image-6.12.117+deb12-amd64=6.12.117-1~deb12u1

make_init <<'END'
#include "init.h"
#include <cpuid.h>
#include <time.h>
#include <x86intrin.h>

int main(void)
{
	unsigned eax, name[3], low, high, features;
	struct timespec from, to;
	open_console();
	__cpuid(0x40000000, eax, name[0], name[1], name[2]);
	printf("seen: hypervisor: %.12s\n", (char *)name);
	__cpuid(0x40000001, eax, low, high, features);
	printf("seen: interface: %s\n", eax == 0x31237648 ? "Hyper-V's" : "not Hyper-V's");
	clock_gettime(CLOCK_MONOTONIC, &from);
	unsigned long long tsc = __rdtsc();
	sleep(1);
	tsc = __rdtsc() - tsc;
	clock_gettime(CLOCK_MONOTONIC, &to);
	double mhz = tsc / ((to.tv_sec - from.tv_sec) * 1e6 + (to.tv_nsec - from.tv_nsec) / 1e3);
	printf("seen: TSC: %s\n", mhz > 90 && mhz < 110 ? "100 MHz" : mhz > 500 ? "more than 500 MHz" : "another frequency");
	power_off();
}
END

mkdir -p ram/dev && cp init ram/init
(cd ram && find . | cpio -o -H newc --quiet) > ram.cpio
{
	cpu=max,hv-relaxed,hv-time,hv-synic,hv-ipi,tsc-frequency=100000000
	boot 6.12.117+deb12-amd64 ram.cpio 2> log
	echo "lines that QEMU says: $(grep -c . log)"
	cpu=max,hv-vpindex
	boot 6.12.117+deb12-amd64 ram.cpio 2> log
	echo "hv-vpindex: $(sed 's/^[^:]*: //' log)"
} > seen || true

verdict "$(emulator)" \
	"TCG takes hv-* and tsc-frequency without a word, and ignores them" <<'END'
hypervisor: TCGTCGTCGTCG
interface: not Hyper-V's
TSC: more than 500 MHz
lines that QEMU says: 0
hv-vpindex: kernel doesn't allow setting HyperV VP_INDEX
END
