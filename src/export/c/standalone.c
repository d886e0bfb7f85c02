// SPDX-License-Identifier: MIT
/*
 * @title@
 *
 * Needs only libc and the kernel's headers, and a /dev/kvm to open:
 *
 *	gcc -O2 -Wall -Wextra -o @name@ @name@.c && ./@name@
 *
 * Exit status: 0 everything is as expected, 1 it is not, 4 this KVM cannot be
 * tested, 3 something else failed.
 *
 * The vCPUs that receive do not run: KVM sets a vector's IRR bit and clears
 * its TMR bit before the call returns, and that is what is looked at.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/kvm.h>

/* Hyper-V's interface, by the names of the kernel's hyperv-tlfs.h */
#define HV_X64_MSR_GUEST_OS_ID		0x40000000
#define HV_X64_MSR_HYPERCALL		0x40000001
#define HV_X64_MSR_VP_INDEX		0x40000002
#define HV_X64_MSR_EOI			0x40000070
#define HVCALL_SEND_IPI			0x000b
#define HVCALL_SEND_IPI_EX		0x0015
#define HV_HYPERCALL_FAST_BIT		(1ull << 16)
#define HV_HYPERCALL_VARHEAD_OFFSET	17
#define HV_HYPERCALL_REP_COMP_OFFSET	32
#define HV_HYPERCALL_REP_START_OFFSET	48
#define HV_GENERIC_SET_SPARSE_4K	0
#define HV_GENERIC_SET_ALL		1
#define HV_STATUS_SUCCESS			0
#define HV_STATUS_INVALID_HYPERCALL_CODE	2
#define HV_STATUS_INVALID_HYPERCALL_INPUT	3
#define HV_STATUS_INVALID_ALIGNMENT		4
#define HV_STATUS_INVALID_PARAMETER		5
#define HV_STATUS_ACCESS_DENIED			6

/* The local APIC's page, as KVM_GET_LAPIC gives it */
#define MSR_IA32_APICBASE	0x1b
#define APICBASE_BSP		(1ull << 8)
#define APICBASE_X2APIC		(1ull << 10)
#define APICBASE_ENABLE		(1ull << 11)
#define APIC_BASE_GPA		0xfee00000ull
#define APIC_ID			0x20
#define APIC_TASKPRI		0x80
#define APIC_SPIV		0xf0
#define APIC_SPIV_ENABLE	0x100
#define APIC_ISR		0x100
#define APIC_TMR		0x180
#define APIC_IRR		0x200
#define X2APIC_MSR_EOI		0x80b

/* Guest memory: everything from RAM_END to the APIC's page is a hole. */
#define PML4		0x1000
#define PDPT		0x2000
#define LOW_PD		0x3000
#define APIC_PD		0x4000
#define GDT		0x5000
#define IDT		0x6000
#define CODE		0x8000
#define VCPU_DATA(i)	(0x20000ull + 0x4000 * (i))	/* log, XMM, TSS, stack */
#define XMM_OFFSET	0x1000
#define TSS_OFFSET	0x2000
#define STACK_OFFSET	0x4000
#define ARENA		0xe0000ull
#define RAM_END		0x100000ull
/*[ROM]*/
#define ROM		0x200000ull	/* readable, and writes to it fail */
#define ROM_BYTES	0x2000
/*[/]*/
/*[enter]*/
#define ENTRY_TABLES	0x0ull
#define ENTRY_CODE	0x7000ull
#define ENTRY_PML4	0x10000ull
/*[/]*/

/*@setup@*/

/*@machine@*/

struct vcpu {
	int fd;
	struct kvm_run *run;
	int needs_completion;
};

static int kvm_fd, vm_fd, is_amd, failures, step;
static uint8_t *ram;
static struct vcpu vcpus[NR_VCPUS];
static uint64_t result __attribute__((unused));
static int exception __attribute__((unused));
/*[ROM]*/
static uint8_t *rom;
/*[/]*/

/*
 * What runs in the guest, copied to CODE. A call comes with all of its
 * registers from KVM_SET_REGS but XMM0 to XMM5, which RBX points to. R14 is
 * the vCPU's log of interrupts, R13 the MSR for EOI, or 0 for the APIC's page.
 */
asm(".pushsection .rodata\n"
    "guest_code:\n"
    "guest_call_intel:\n"
    "	call guest_load_xmm\n"
    "guest_vmcall: vmcall\n"
    "	out %al, $0x10\n"
    "guest_call_amd:\n"
    "	call guest_load_xmm\n"
    "guest_vmmcall: vmmcall\n"
    "	out %al, $0x10\n"
    "guest_load_xmm:\n"
    "	movdqu 0x00(%rbx), %xmm0\n"
    "	movdqu 0x10(%rbx), %xmm1\n"
    "	movdqu 0x20(%rbx), %xmm2\n"
    "	movdqu 0x30(%rbx), %xmm3\n"
    "	movdqu 0x40(%rbx), %xmm4\n"
    "	movdqu 0x50(%rbx), %xmm5\n"
    "	ret\n"
    /* Whatever is pending and not blocked is taken before cli retires. */
    "guest_window: sti; nop; nop; cli\n"
    "	out %al, $0x10\n"
    /* Stack: vector, RIP, CS, RFLAGS, RSP, SS; an exception may have an error code. */
    "guest_common:\n"
    "	cmpq $0x10, (%rsp)\n"
    "	jb guest_exception\n"
    "	push %rax\n"
    "	push %rcx\n"
    "	push %rdx\n"
    "	mov (%r14), %eax\n"
    "	mov 24(%rsp), %rcx\n"
    "	mov %cl, 4(%r14, %rax)\n"
    "	incl (%r14)\n"
    "	xor %eax, %eax\n"
    "	xor %edx, %edx\n"
    "	mov %r13d, %ecx\n"
    "	test %ecx, %ecx\n"
    "	jz 1f\n"
    "	wrmsr\n"
    "	jmp 2f\n"
    "1:	mov $0xfee000b0, %ecx\n"
    "	mov %eax, (%rcx)\n"
    "2:	pop %rdx\n"
    "	pop %rcx\n"
    "	pop %rax\n"
    "	add $8, %rsp\n"
    "	iretq\n"
    "guest_exception:\n"
    "	out %al, $0x11\n"
    ".balign 16\n"
    "guest_stubs:\n"
    ".set vector, 0\n"
    ".rept 256\n"
    ".balign 16\n"
    "	pushq $vector\n"
    "	jmp guest_common\n"
    ".set vector, vector + 1\n"
    ".endr\n"
    "guest_code_end:\n"
    ".popsection\n");

extern const uint8_t guest_code[], guest_call_intel[], guest_call_amd[], guest_vmcall[], guest_vmmcall[];
extern const uint8_t guest_window[], guest_stubs[], guest_code_end[];

#define GUEST_ADDRESS(label) (CODE + (uint64_t)((label) - guest_code))

__attribute__((format(printf, 2, 3), noreturn))
static void give_up(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

static int checked(int value, const char *what)
{
	if (value < 0) {
		perror(what);
		exit(3);
	}
	return value;
}

#define kvm_ioctl(fd, request, argument) checked(ioctl(fd, request, argument), #request)

__attribute__((format(printf, 1, 2)))
static void fail(const char *format, ...)
{
	va_list args;

	failures++;
	printf("FAIL step %d: ", step);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/*[ROM]*/
static void *guest_memory(uint64_t gpa)
{
	return gpa >= ROM ? rom + (gpa - ROM) : ram + gpa;
}

/*[/]*/
/*[!ROM]*/
#define guest_memory(gpa) (ram + (gpa))

/*[/]*/
static void put64(uint64_t gpa, uint64_t value)
{
	memcpy(ram + gpa, &value, sizeof(value));
}

static void make_memory(void)
{
	struct kvm_userspace_memory_region region = { .memory_size = RAM_END };
	uint64_t stub;
	int i;

	ram = mmap(NULL, RAM_END, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED)
		checked(-1, "mmap");
	region.userspace_addr = (uintptr_t)ram;
	kvm_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
/*[ROM]*/
	rom = mmap(NULL, ROM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (rom == MAP_FAILED)
		checked(-1, "mmap");
	region = (struct kvm_userspace_memory_region){
		.slot = 1, .flags = KVM_MEM_READONLY, .guest_phys_addr = ROM, .memory_size = ROM_BYTES,
		.userspace_addr = (uintptr_t)rom,
	};
	kvm_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
/*[/]*/

	/* Identity mapping of the first 2 MiB and of the APIC's page, all bits preset. */
	put64(PML4, PDPT | 0x63);
	put64(PDPT, LOW_PD | 0x63);
	put64(PDPT + 3 * 8, APIC_PD | 0x63);
	put64(LOW_PD, 0xe3);
	put64(APIC_PD + 0x1f7 * 8, APIC_BASE_GPA | 0xf3);
	put64(GDT + 0x08, 0x00af9b000000ffffull);
	put64(GDT + 0x10, 0x00cf93000000ffffull);
	memcpy(ram + CODE, guest_code, guest_code_end - guest_code);
	for (i = 0; i < 256; i++) {
		stub = GUEST_ADDRESS(guest_stubs) + 16 * i;
		/* Interrupt gate, code selector 8, on the stack of IST 1 */
		put64(IDT + 16 * i, (stub & 0xffff) | 0x8 << 16 | 1ull << 32 | 0x8eull << 40 | (stub >> 16) << 48);
	}
}

/* What KVM supports, with its own hypervisor leaves replaced by the Hyper-V ones */
static void set_cpuid(int vcpu_fd, unsigned int lacks)
{
	enum { MAX = 256 };
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[MAX];
	} own, hyperv, all;
	const uint32_t *vendor;
	unsigned int i;

	own.head.nent = hyperv.head.nent = MAX;
	kvm_ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, &own);
	kvm_ioctl(kvm_fd, KVM_GET_SUPPORTED_HV_CPUID, &hyperv);
	all.head.nent = 0;
	for (i = 0; i < own.head.nent; i++) {
		if (own.entries[i].function >> 16 != 0x4000)
			all.entries[all.head.nent++] = own.entries[i];
		vendor = &own.entries[i].ebx;
		if (own.entries[i].function == 0)
			is_amd = *vendor == 0x68747541 || *vendor == 0x6f677948;	/* "Auth", "Hygo" */
	}
	for (i = 0; i < hyperv.head.nent && !(lacks & NO_HYPERV); i++) {
		all.entries[all.head.nent] = hyperv.entries[i];
		if (hyperv.entries[i].function == 0x40000004 && lacks & NO_CLUSTER_IPI)
			all.entries[all.head.nent].eax &= ~(1u << 10);
		if (hyperv.entries[i].function == 0x40000004 && lacks & NO_EX_MASKS)
			all.entries[all.head.nent].eax &= ~(1u << 11);
		if (hyperv.entries[i].function == 0x40000003 && lacks & NO_XMM_INPUT)
			all.entries[all.head.nent].edx &= ~(1u << 4);
		all.head.nent++;
	}
	kvm_ioctl(vcpu_fd, KVM_SET_CPUID2, &all);
}

static int try_set_msr(int vcpu_fd, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

	return kvm_ioctl(vcpu_fd, KVM_SET_MSRS, &msrs);
}

static void set_msr(int vcpu_fd, uint32_t index, uint64_t value)
{
	if (try_set_msr(vcpu_fd, index, value) != 1)
		give_up(3, "KVM refuses 0x%llx for MSR 0x%x", (unsigned long long)value, index);
}

static uint64_t get_msr(int vcpu_fd, uint32_t index)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = index };

	kvm_ioctl(vcpu_fd, KVM_GET_MSRS, &msrs);
	return msrs.entry.data;
}

/*[lapic]*/
/*@lapic@*/
/* IRR and ISR as they are to be, TMR all ones, so that accepting a vector shows there too */
static void set_apic(int i)
{
	uint64_t base = APIC_BASE_GPA | (setup[i].id == 0 ? APICBASE_BSP : 0);
	struct kvm_lapic_state lapic;
	int word;

	if (setup[i].apic != HARDWARE_DISABLED)
		base |= APICBASE_ENABLE;
	if (setup[i].apic == X2APIC)
		base |= APICBASE_X2APIC;
	set_msr(vcpus[i].fd, MSR_IA32_APICBASE, base);
	kvm_ioctl(vcpus[i].fd, KVM_GET_LAPIC, &lapic);
	set_word(&lapic, APIC_ID, setup[i].id << 24);
	set_word(&lapic, APIC_SPIV, 0xff | (setup[i].apic == SOFTWARE_DISABLED ? 0 : APIC_SPIV_ENABLE));
	set_word(&lapic, APIC_TASKPRI, setup[i].tpr);
	for (word = 0; word < 8; word++) {
		set_word(&lapic, APIC_IRR + 0x10 * word, 0);
		set_word(&lapic, APIC_ISR + 0x10 * word, 0);
		set_word(&lapic, APIC_TMR + 0x10 * word, ~0u);
	}
	add_vectors(&lapic, APIC_IRR, setup[i].irr);
	add_vectors(&lapic, APIC_ISR, setup[i].isr);
	kvm_ioctl(vcpus[i].fd, KVM_SET_LAPIC, &lapic);
	/* KVM computes PPR before it counts what is in service; the second time it has. */
	kvm_ioctl(vcpus[i].fd, KVM_SET_LAPIC, &lapic);
}

/*[/]*/
static void set_special_registers(int i)
{
	struct kvm_segment code = { .limit = ~0u, .selector = 0x08, .type = 0xb, .present = 1, .s = 1, .l = 1, .g = 1 };
	struct kvm_segment data = { .limit = ~0u, .selector = 0x10, .type = 0x3, .present = 1, .s = 1, .db = 1, .g = 1 };
	struct kvm_sregs sregs;

	kvm_ioctl(vcpus[i].fd, KVM_GET_SREGS, &sregs);
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.tr = (struct kvm_segment){ .base = VCPU_DATA(i) + TSS_OFFSET, .limit = 0x67, .selector = 0x18, .type = 0xb, .present = 1 };
	put64(VCPU_DATA(i) + TSS_OFFSET + 0x24, VCPU_DATA(i) + STACK_OFFSET);
	sregs.gdt.base = GDT;
	sregs.gdt.limit = 0xff;
	sregs.idt.base = IDT;
	sregs.idt.limit = 0xfff;
	sregs.cr0 = 0x80000033;	/* PG, NE, ET, MP, PE */
	sregs.cr3 = PML4;
	sregs.cr4 = 0x620;	/* PAE, OSFXSR, OSXMMEXCPT */
	sregs.efer = 0x500;	/* LME, LMA */
	kvm_ioctl(vcpus[i].fd, KVM_SET_SREGS, &sregs);
}

static void make_vcpu(int i)
{
/*[lapic]*/
	struct kvm_mp_state state = { .mp_state = setup[i].mp_state };
/*[/]*/
	struct kvm_enable_cap enforce = { .cap = KVM_CAP_HYPERV_ENFORCE_CPUID, .args = { 1 } };
	int size = kvm_ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	uint64_t read;

	vcpus[i].fd = checked(ioctl(vm_fd, KVM_CREATE_VCPU, (long)setup[i].id), "KVM_CREATE_VCPU");
	vcpus[i].run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpus[i].fd, 0);
	if (vcpus[i].run == MAP_FAILED)
		checked(-1, "mmap");
	if (setup[i].is_enforced)
		kvm_ioctl(vcpus[i].fd, KVM_ENABLE_CAP, &enforce);
	set_cpuid(vcpus[i].fd, setup[i].lacks);
	set_special_registers(i);
	if (setup[i].vp_index != (unsigned int)i)
		try_set_msr(vcpus[i].fd, HV_X64_MSR_VP_INDEX, setup[i].vp_index);
	/* Reading it would give a vCPU without Hyper-V a Hyper-V context. */
	read = setup[i].lacks & NO_HYPERV ? setup[i].vp_index_read : get_msr(vcpus[i].fd, HV_X64_MSR_VP_INDEX);
	if (read != setup[i].vp_index_read)
		fail("vCPU %d: VP index %u written, expected %u, read back %llu", i, setup[i].vp_index,
		     setup[i].vp_index_read, (unsigned long long)read);
/*[lapic]*/
	kvm_ioctl(vcpus[i].fd, KVM_SET_MP_STATE, &state);
	set_apic(i);
/*[/]*/
}

static void make_vm(void)
{
/*[split]*/
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
/*[/]*/
/*[xen]*/
	struct kvm_xen_hvm_config xen = { .flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL, .msr = 0x40000200 };
/*[/]*/
	int i;

	kvm_fd = open("/dev/kvm", O_RDWR);
	if (kvm_fd < 0)
		give_up(4, "SKIP: /dev/kvm cannot be opened");
	if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_HYPERV_SEND_IPI) <= 0)
		give_up(4, "SKIP: this KVM has no KVM_CAP_HYPERV_SEND_IPI");
/*[xen]*/
	if (!(ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XEN_HVM) & KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL))
		give_up(4, "SKIP: this KVM cannot intercept Xen hypercalls");
/*[/]*/
	vm_fd = checked(ioctl(kvm_fd, KVM_CREATE_VM, 0L), "KVM_CREATE_VM");
/*[kernel]*/
	kvm_ioctl(vm_fd, KVM_CREATE_IRQCHIP, NULL);
/*[/]*/
/*[split]*/
	kvm_ioctl(vm_fd, KVM_ENABLE_CAP, &split);
/*[/]*/
/*[xen]*/
	kvm_ioctl(vm_fd, KVM_XEN_HVM_CONFIG, &xen);
/*[/]*/
	make_memory();
	for (i = 0; i < NR_VCPUS; i++)
		make_vcpu(i);
/*[os-id]*/
	/* Any value but 0 turns on the hypercalls. */
	set_msr(vcpus[OS_ID_VCPU].fd, HV_X64_MSR_GUEST_OS_ID, GUEST_OS_ID);
/*[/]*/
}

/*[guest]*/
static void run_until_out(int i, struct kvm_regs *regs)
{
	struct vcpu *vcpu = &vcpus[i];
	uint64_t frame;

	if (vcpu->needs_completion) {
		/* The out instruction of the last time must end before registers change. */
		vcpu->run->immediate_exit = 1;
		ioctl(vcpu->fd, KVM_RUN, NULL);
		vcpu->run->immediate_exit = 0;
	}
	kvm_ioctl(vcpu->fd, KVM_SET_REGS, regs);
	kvm_ioctl(vcpu->fd, KVM_RUN, NULL);
	if (vcpu->run->exit_reason != KVM_EXIT_IO)
		give_up(1, "FAIL step %d: vCPU %d: exit reason %u", step, i, vcpu->run->exit_reason);
	vcpu->needs_completion = 1;
	kvm_ioctl(vcpu->fd, KVM_GET_REGS, regs);
	exception = -1;
	if (vcpu->run->io.port == 0x11) {
		memcpy(&frame, ram + regs->rsp, sizeof(frame));
		exception = frame;
	}
}

/*[/]*/
/*[put_block]*/
/* The input block of a slow call */
static void put_block(uint64_t gpa, const uint64_t *words, size_t bytes)
{
	memcpy(guest_memory(gpa), words, bytes);
}

/*[/]*/
/*[call]*/
/* One hypercall; XMM0 to XMM5 are zero where no words are given. */
static void call(int sender, uint64_t control, uint64_t rdx, uint64_t r8, const uint64_t *xmm)
{
	uint64_t data = VCPU_DATA(sender);
	struct kvm_regs before = {
		.rax = 0xa5c3e1005a3c1e00ull, .rbx = data + XMM_OFFSET, .rcx = control, .rdx = rdx, .r8 = r8,
		.rsi = 0x1111111111111111ull, .rdi = 0x2222222222222222ull, .rbp = 0x3333333333333333ull,
		.r9 = 0x4444444444444444ull, .r10 = 0x5555555555555555ull, .r11 = 0x6666666666666666ull,
		.r12 = 0x7777777777777777ull, .r13 = 0x8888888888888888ull, .r14 = data, .r15 = 0x9999999999999999ull,
		.rsp = data + STACK_OFFSET - 0x800, .rflags = 0x2,
		.rip = is_amd ? GUEST_ADDRESS(guest_call_amd) : GUEST_ADDRESS(guest_call_intel),
	};
	struct kvm_regs after = before;

	memset(ram + data + XMM_OFFSET, 0, 96);
	if (xmm)
		memcpy(ram + data + XMM_OFFSET, xmm, 96);
	run_until_out(sender, &after);
	result = after.rax;
	if (exception >= 0)
		return;
	after.rax = before.rax;
	after.rip = before.rip;
	after.rflags = before.rflags;
	if (memcmp(&after, &before, sizeof(before)))
		fail("another register than RAX has changed");
}

/*[/]*/
/*[enter]*/
#define vcpu_do(i, request, argument) kvm_ioctl(vcpus[i].fd, request, argument)
#define vcpu_fd(i) (vcpus[i].fd)
#define vcpu_run_page(i) (vcpus[i].run)

/*[/]*/
/*@entry@*/
/*[expect_result]*/
static void expect_result(uint64_t expected)
{
	if (exception >= 0)
		fail("result 0x%llx expected, got exception %d", (unsigned long long)expected, exception);
	else if (result != expected)
		fail("result 0x%llx expected, got 0x%llx", (unsigned long long)expected, (unsigned long long)result);
}

/*[/]*/
/*[expect_exception]*/
static void expect_exception(int expected)
{
	if (exception < 0)
		fail("exception %d expected, got none (result 0x%llx)", expected, (unsigned long long)result);
	else if (exception != expected)
		fail("exception %d expected, got %d", expected, exception);
}

/*[/]*/
/*[expect_lapic]*/
static void expect_register(const struct kvm_lapic_state *lapic, int i, const char *name, int offset, uint32_t at_start,
			    struct vectors expected)
{
	uint8_t wanted[256] = { 0 }, seen;
	unsigned int n;

	for (n = 0; n < expected.count; n++)
		wanted[expected.count == 256 ? n : expected.list[n]] = 1;
	for (n = 0; n < 256; n++) {
		seen = (get_word(lapic, offset + 0x10 * (n / 32)) ^ at_start) >> n % 32 & 1;
		if (seen != wanted[n])
			fail("vCPU %d (VP %u): vector 0x%02x is %s%s", i, setup[i].vp_index_read, n, seen ? "" : "not ",
			     name);
	}
}

/* Which vectors are pending (IRR), were accepted since the start (TMR), and are in service (ISR) */
static void expect_lapic(int i, struct vectors pending, struct vectors accepted, struct vectors in_service)
{
	struct kvm_lapic_state lapic;

	kvm_ioctl(vcpus[i].fd, KVM_GET_LAPIC, &lapic);
	expect_register(&lapic, i, "pending", APIC_IRR, 0, pending);
	expect_register(&lapic, i, "accepted", APIC_TMR, ~0u, accepted);
	expect_register(&lapic, i, "in service", APIC_ISR, 0, in_service);
}

/*[/]*/
/*[expect_handlers]*/
/* The vCPU takes what is pending; handlers run in this order. */
static void expect_handlers(int i, struct vectors expected)
{
	uint64_t data = VCPU_DATA(i), eoi = setup[i].eoi == EOI_BY_HV_MSR ? HV_X64_MSR_EOI : setup[i].apic == X2APIC ? X2APIC_MSR_EOI : 0;
	struct kvm_regs regs = {
		.r13 = eoi, .r14 = data, .rsp = data + STACK_OFFSET - 0x800, .rflags = 0x2,
		.rip = GUEST_ADDRESS(guest_window),
	};
	uint32_t count;

	memset(ram + data, 0, 4);
	run_until_out(i, &regs);
	memcpy(&count, ram + data, sizeof(count));
	if (exception >= 0)
		fail("vCPU %d: exception %d while it takes interrupts", i, exception);
	else if (count != expected.count || memcmp(ram + data + 4, expected.list, count))
		fail("vCPU %d (VP %u): %u handlers expected, %u ran%s", i, setup[i].vp_index_read, expected.count, count,
		     count == expected.count ? ", others or in another order" : "");
}

/*[/]*/
/*[expect_msr_write]*/
/* The host writes an MSR; KVM takes the value or refuses it. */
static void expect_msr_write(int i, uint32_t index, uint64_t value, int is_taken)
{
	if ((try_set_msr(vcpus[i].fd, index, value) == 1) != is_taken)
		fail("vCPU %d: KVM %s 0x%llx for MSR 0x%x", i, is_taken ? "refuses" : "takes", (unsigned long long)value, index);
}

/*[/]*/
/*[expect_page]*/
/* What KVM writes into the hypercall page: with Xen hypercalls intercepted an "or" of bit 31 comes first. */
static void expect_page(uint64_t gpa, int has_or)
{
	const char *call = is_amd ? "\x0f\x01\xd9\xc3" : "\x0f\x01\xc1\xc3";
	const uint8_t *page = guest_memory(gpa);

	if ((has_or && memcmp(page, "\x0d\0\0\0\x80", 5)) || memcmp(page + (has_or ? 5 : 0), call, 4))
		fail("the hypercall page at 0x%llx is not as KVM writes it", (unsigned long long)gpa);
}

/*[/]*/
/*[change_apic]*/
/* Enables or disables a local APIC; what is pending stays. */
static void change_apic(int i, enum apic_state state)
{
	uint64_t base = APIC_BASE_GPA | (setup[i].id == 0 ? APICBASE_BSP : 0);
	struct kvm_lapic_state lapic;

	if (state != HARDWARE_DISABLED)
		base |= APICBASE_ENABLE | (setup[i].apic == X2APIC ? APICBASE_X2APIC : 0);
	set_msr(vcpus[i].fd, MSR_IA32_APICBASE, base);
	if (state == HARDWARE_DISABLED)
		return;
	kvm_ioctl(vcpus[i].fd, KVM_GET_LAPIC, &lapic);
	set_word(&lapic, APIC_SPIV, 0xff | (state == SOFTWARE_DISABLED ? 0 : APIC_SPIV_ENABLE));
	kvm_ioctl(vcpus[i].fd, KVM_SET_LAPIC, &lapic);
}

/*[/]*/
/*[send_init]*/
/* INIT as an MSI; KVM acts on it when it is asked for the vCPU's state. */
static void send_init(int i)
{
	struct kvm_msi msi = { .address_lo = APIC_BASE_GPA | setup[i].id << 12, .data = 5 << 8 };
	struct kvm_mp_state state;

	kvm_ioctl(vm_fd, KVM_SIGNAL_MSI, &msi);
	kvm_ioctl(vcpus[i].fd, KVM_GET_MP_STATE, &state);
}

/*[/]*/
/*@steps@*/

int main(void)
{
	make_vm();
/*@calls@*/
	printf(failures ? "FAIL: %d\n" : "PASS\n", failures);
	return failures ? 1 : 0;
}
