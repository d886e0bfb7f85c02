/* A VM of the kernel that boot_kvm booted, and a guest of a few bytes. */
#include "init.h"
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

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
	open_console();
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

/* A register of the local APIC, by its offset. */
static int *lapic_register(struct kvm_lapic_state *lapic, int offset)
{
	return (int *)(lapic->regs + offset);
}

/* One vCPU with a local APIC in the kernel, and the page that enables it. */
static void make_lapic(struct kvm_lapic_state *lapic)
{
	ioctl(vm, KVM_CREATE_IRQCHIP, 0);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	ioctl(vcpu, KVM_GET_LAPIC, lapic);
	*lapic_register(lapic, 0xf0) = 0x1ff; /* SPIV */
}

/* One MSR of the vCPU, by the host; what the ioctl gives is the number of MSRs that it took. */
static int one_msr(unsigned long request, unsigned index, unsigned long long *value)
{
	struct { struct kvm_msrs head; struct kvm_msr_entry entry; } msrs = { .head.nmsrs = 1, .entry = { .index = index, .data = *value } };
	int result = ioctl(vcpu, request, &msrs);
	*value = msrs.entry.data;
	return result;
}

static int set_msr(unsigned index, unsigned long long value)
{
	return one_msr(KVM_SET_MSRS, index, &value);
}

static unsigned long long get_msr(unsigned index)
{
	unsigned long long value = 0;
	if (one_msr(KVM_GET_MSRS, index, &value) != 1)
		printf("seen: MSR 0x%x cannot be read\n", index);
	return value;
}

/* Has the next KVM_RUN do no more than what the last exit left to do. */
static void complete_exit(void)
{
	run->immediate_exit = 1;
	ioctl(vcpu, KVM_RUN, 0);
	run->immediate_exit = 0;
}
