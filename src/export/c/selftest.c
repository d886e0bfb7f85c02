// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * @title@
 *
 * Goes to tools/testing/selftests/kvm/x86_64/ (x86/ since 6.14) as @name@.c, with its name
 * in TEST_GEN_PROGS_x86_64 of the Makefile.
 *
 * The vCPUs that receive do not run: KVM sets a vector's IRR bit and clears
 * its TMR bit before the call returns, and that is what is looked at.
 */
#include <stdint.h>
#include <string.h>

#include "kvm_util.h"
#include "processor.h"
#include "apic.h"
#include "hyperv.h"
#include "test_util.h"

#define HV_HYPERCALL_REP_START_OFFSET	48
#define HV_GENERIC_SET_SPARSE_4K	0
#define HV_GENERIC_SET_ALL		1

#define APIC_ISR	0x100
#define APIC_TMR	0x180

/* Input blocks have a memslot of their own, behind which there is a hole. */
#define ARENA		0xc0010000ull
#define ARENA_PAGES	32
#define ARENA_SLOT	10
#define RAM_END		(ARENA + ARENA_PAGES * 4096ull)
/*[ROM]*/
/* Readable, and writes to it fail */
#define ROM		(RAM_END + 0x100000)
#define ROM_PAGES	2
#define ROM_SLOT	11
/*[/]*/
/*[enter]*/
/* Two pages that the library leaves alone (KVM_UTIL_MIN_PFN), and page tables before the arena, in its memslot */
#define ENTRY_TABLES	0x0ull
#define ENTRY_CODE	0x1000ull
#define ENTRY_PML4	0xc0000000ull
#define ENTRY_PAGES	16
/*[/]*/

/*@setup@*/

/*@machine@*/

/*[guest]*/
/* Shared with the guest, one vCPU of which runs at a time */
enum guest_command { CALL, OPEN_WINDOW };

struct guest_work {
	enum guest_command command;
	uint64_t control, rdx, r8;
	uint64_t xmm[12];
	uint64_t result;
	uint8_t exception;
	bool has_changed;		/* a register that no call changes */
	uint32_t eoi_msr;
	struct vectors handled;
};

static struct guest_work work;

/*[/]*/
static struct kvm_vm *vm;
static struct kvm_vcpu *vcpus[NR_VCPUS];
static int step;
static uint64_t result __attribute__((unused));
static int exception __attribute__((unused));

/*[guest]*/
/* As __hyperv_hypercall(), and looks at the registers that no call changes. */
static void guest_call(void)
{
	uint64_t rbx = 0x1111111111111111, rsi = 0x2222222222222222, rdi = 0x3333333333333333;
	uint64_t rcx = work.control, rdx = work.rdx, r8 = work.r8, error_code;

	work.result = -EFAULT;
	asm volatile("mov %[r8], %%r8\n\t"
		     KVM_ASM_SAFE("vmcall")
		     "mov %%r8, %[r8]\n\t"
		     : "+a" (work.result), "+b" (rbx), "+c" (rcx), "+d" (rdx), "+S" (rsi), "+D" (rdi),
		       [r8] "+m" (r8), KVM_ASM_SAFE_OUTPUTS(work.exception, error_code)
		     :
		     : "cc", "memory", "r8", KVM_ASM_SAFE_CLOBBERS);
	work.has_changed = rbx != 0x1111111111111111 || rsi != 0x2222222222222222 || rdi != 0x3333333333333333 ||
			   rcx != work.control || rdx != work.rdx || r8 != work.r8;
}

static void guest_code(void)
{
	for (;;) {
		if (work.command == CALL) {
			hyperv_write_xmm_input(work.xmm, 6);
			guest_call();
		} else {
			/* Whatever is pending and not blocked is taken before cli retires. */
			asm volatile("sti; nop; nop; cli" ::: "memory");
		}
		GUEST_SYNC(0);
	}
}

static void guest_interrupt_handler(struct ex_regs *regs)
{
	work.handled.list[work.handled.count++] = regs->vector;
	if (work.eoi_msr)
		wrmsr(work.eoi_msr, 0);
	else
		xapic_write_reg(APIC_EOI, 0);
}

static void run_guest(int i)
{
	struct ucall uc;

	sync_global_to_guest(vm, work);
	vcpu_run(vcpus[i]);
	TEST_ASSERT_KVM_EXIT_REASON(vcpus[i], KVM_EXIT_IO);
	switch (get_ucall(vcpus[i], &uc)) {
	case UCALL_SYNC:
		break;
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
		/* NOT REACHED */
	default:
		TEST_FAIL("Unknown ucall %lu", uc.cmd);
	}
	sync_global_from_guest(vm, work);
}

/*[/]*/
/*[lapic]*/
/*@lapic@*/
/* IRR and ISR as they are to be, TMR all ones, so that accepting a vector shows there too */
static void set_apic(int i)
{
	uint64_t base = APIC_DEFAULT_GPA | (setup[i].id == 0 ? MSR_IA32_APICBASE_BSP : 0);
	struct kvm_lapic_state lapic;
	int word;

	if (setup[i].apic != HARDWARE_DISABLED)
		base |= MSR_IA32_APICBASE_ENABLE;
	if (setup[i].apic == X2APIC)
		base |= X2APIC_ENABLE;
	vcpu_set_msr(vcpus[i], MSR_IA32_APICBASE, base);
	vcpu_ioctl(vcpus[i], KVM_GET_LAPIC, &lapic);
	set_word(&lapic, APIC_ID, setup[i].id << 24);
	set_word(&lapic, APIC_SPIV, 0xff | (setup[i].apic == SOFTWARE_DISABLED ? 0 : APIC_SPIV_APIC_ENABLED));
	set_word(&lapic, APIC_TASKPRI, setup[i].tpr);
	for (word = 0; word < 8; word++) {
		set_word(&lapic, APIC_IRR + 0x10 * word, 0);
		set_word(&lapic, APIC_ISR + 0x10 * word, 0);
		set_word(&lapic, APIC_TMR + 0x10 * word, ~0u);
	}
	add_vectors(&lapic, APIC_IRR, setup[i].irr);
	add_vectors(&lapic, APIC_ISR, setup[i].isr);
	vcpu_ioctl(vcpus[i], KVM_SET_LAPIC, &lapic);
	/* KVM computes PPR before it counts what is in service; the second time it has. */
	vcpu_ioctl(vcpus[i], KVM_SET_LAPIC, &lapic);
}

/*[/]*/
static void make_vcpu(int i)
{
/*[lapic]*/
	struct kvm_mp_state state = { .mp_state = setup[i].mp_state };
/*[/]*/
	uint64_t read;

/*[guest]*/
	vcpus[i] = vm_vcpu_add(vm, setup[i].id, guest_code);
/*[/]*/
/*[!guest]*/
	vcpus[i] = __vm_vcpu_add(vm, setup[i].id);
	vcpu_init_cpuid(vcpus[i], kvm_get_supported_cpuid());
/*[/]*/
	if (setup[i].is_enforced)
		vcpu_enable_cap(vcpus[i], KVM_CAP_HYPERV_ENFORCE_CPUID, 1);
	if (!(setup[i].lacks & NO_HYPERV))
		vcpu_set_hv_cpuid(vcpus[i]);
	if (setup[i].lacks & NO_CLUSTER_IPI)
		vcpu_clear_cpuid_feature(vcpus[i], HV_X64_CLUSTER_IPI_RECOMMENDED);
	if (setup[i].lacks & NO_EX_MASKS)
		vcpu_clear_cpuid_feature(vcpus[i], HV_X64_EX_PROCESSOR_MASKS_RECOMMENDED);
	if (setup[i].lacks & NO_XMM_INPUT)
		vcpu_clear_cpuid_feature(vcpus[i], HV_X64_HYPERCALL_XMM_INPUT_AVAILABLE);
	if (setup[i].vp_index != (unsigned int)i)
		_vcpu_set_msr(vcpus[i], HV_X64_MSR_VP_INDEX, setup[i].vp_index);
	/* Reading it would give a vCPU without Hyper-V a Hyper-V context. */
	read = setup[i].lacks & NO_HYPERV ? setup[i].vp_index_read : vcpu_get_msr(vcpus[i], HV_X64_MSR_VP_INDEX);
	TEST_ASSERT(read == setup[i].vp_index_read, "vCPU %d: VP index %u written, expected %u, read back %lu", i,
		    setup[i].vp_index, setup[i].vp_index_read, read);
/*[lapic]*/
	vcpu_mp_state_set(vcpus[i], &state);
	set_apic(i);
/*[/]*/
}

static void make_vm(void)
{
/*[xen]*/
	struct kvm_xen_hvm_config xen = { .flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL, .msr = 0x40000200 };
/*[/]*/
	int i;

/*[guest]*/
	vm = vm_create(NR_VCPUS);
/*[/]*/
/*[!guest]*/
	/* Nothing of the library runs in this guest. */
	vm = vm_create_barebones();
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, 0, 0, 16, 0);
/*[/]*/
/*[own-irqchip]*/
	vm_create_irqchip(vm);
/*[/]*/
/*[split]*/
	vm_enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, 24);
/*[/]*/
/*[xen]*/
	vm_ioctl(vm, KVM_XEN_HVM_CONFIG, &xen);
/*[/]*/
/*[!enter]*/
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, ARENA, ARENA_SLOT, ARENA_PAGES, 0);
/*[/]*/
/*[enter]*/
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, ENTRY_PML4, ARENA_SLOT, ENTRY_PAGES + ARENA_PAGES, 0);
/*[/]*/
/*[ROM]*/
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, ROM, ROM_SLOT, ROM_PAGES, KVM_MEM_READONLY);
/*[/]*/
/*[guest]*/
	virt_pg_map(vm, APIC_DEFAULT_GPA, APIC_DEFAULT_GPA);
/*[/]*/
	for (i = 0; i < NR_VCPUS; i++)
		make_vcpu(i);
/*[os-id]*/
	vcpu_set_msr(vcpus[OS_ID_VCPU], HV_X64_MSR_GUEST_OS_ID, GUEST_OS_ID);
/*[/]*/
/*[guest]*/
	/* 0x11 has an error code as an exception, which an interrupt has not. */
	for (i = 0x10; i < 0x100; i++)
		if (i != 0x11)
			vm_install_exception_handler(vm, i, guest_interrupt_handler);
/*[/]*/
}

/*[put_block|enter]*/
static void *guest_memory(uint64_t gpa)
{
	return addr_gpa2hva(vm, gpa);
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
	memset(&work, 0, sizeof(work));
	work.command = CALL;
	work.control = control;
	work.rdx = rdx;
	work.r8 = r8;
	if (xmm)
		memcpy(work.xmm, xmm, sizeof(work.xmm));
	run_guest(sender);
	result = work.result;
	exception = work.exception ? work.exception : -1;
	TEST_ASSERT(!work.has_changed, "step %d: another register than RAX has changed", step);
}

/*[/]*/
/*[enter]*/
#define is_amd host_cpu_is_amd
#define vcpu_do(i, request, argument) vcpu_ioctl(vcpus[i], request, argument)
#define vcpu_fd(i) (vcpus[i]->fd)
#define vcpu_run_page(i) (vcpus[i]->run)
#define fail(format, ...) TEST_FAIL("step %d: " format, step, ##__VA_ARGS__)

/*[/]*/
/*@entry@*/
/*[expect_result]*/
static void expect_result(uint64_t expected)
{
	TEST_ASSERT(exception < 0, "step %d: result 0x%lx expected, got exception %d", step, expected, exception);
	TEST_ASSERT(result == expected, "step %d: result 0x%lx expected, got 0x%lx", step, expected, result);
}

/*[/]*/
/*[expect_exception]*/
static void expect_exception(int expected)
{
	TEST_ASSERT(exception >= 0, "step %d: exception %d expected, got none (result 0x%lx)", step, expected, result);
	TEST_ASSERT(exception == expected, "step %d: exception %d expected, got %d", step, expected, exception);
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
		TEST_ASSERT(seen == wanted[n], "step %d: vCPU %d (VP %u): vector 0x%02x is %s%s", step, i,
			    setup[i].vp_index_read, n, seen ? "" : "not ", name);
	}
}

/* Which vectors are pending (IRR), were accepted since the start (TMR), and are in service (ISR) */
static void expect_lapic(int i, struct vectors pending, struct vectors accepted, struct vectors in_service)
{
	struct kvm_lapic_state lapic;

	vcpu_ioctl(vcpus[i], KVM_GET_LAPIC, &lapic);
	expect_register(&lapic, i, "pending", APIC_IRR, 0, pending);
	expect_register(&lapic, i, "accepted", APIC_TMR, ~0u, accepted);
	expect_register(&lapic, i, "in service", APIC_ISR, 0, in_service);
}

/*[/]*/
/*[expect_handlers]*/
/* The vCPU takes what is pending; handlers run in this order. */
static void expect_handlers(int i, struct vectors expected)
{
	memset(&work, 0, sizeof(work));
	work.command = OPEN_WINDOW;
	if (setup[i].eoi == EOI_BY_HV_MSR)
		work.eoi_msr = HV_X64_MSR_EOI;
	else if (setup[i].apic == X2APIC)
		work.eoi_msr = APIC_BASE_MSR + (APIC_EOI >> 4);
	run_guest(i);
	TEST_ASSERT(work.handled.count == expected.count && !memcmp(work.handled.list, expected.list, expected.count),
		    "step %d: vCPU %d (VP %u): %u handlers expected, %u ran%s", step, i, setup[i].vp_index_read,
		    expected.count, work.handled.count,
		    work.handled.count == expected.count ? ", others or in another order" : "");
}

/*[/]*/
/*[expect_msr_write]*/
/* The host writes an MSR; KVM takes the value or refuses it. */
static void expect_msr_write(int i, uint32_t index, uint64_t value, bool is_taken)
{
	TEST_ASSERT((_vcpu_set_msr(vcpus[i], index, value) == 1) == is_taken, "step %d: vCPU %d: KVM %s 0x%lx for MSR 0x%x",
		    step, i, is_taken ? "refuses" : "takes", value, index);
}

/*[/]*/
/*[expect_page]*/
/* What KVM writes into the hypercall page: with Xen hypercalls intercepted an "or" of bit 31 comes first. */
static void expect_page(uint64_t gpa, bool has_or)
{
	const char *call = host_cpu_is_amd ? "\x0f\x01\xd9\xc3" : "\x0f\x01\xc1\xc3";
	const uint8_t *page = addr_gpa2hva(vm, gpa);

	TEST_ASSERT((!has_or || !memcmp(page, "\x0d\0\0\0\x80", 5)) && !memcmp(page + (has_or ? 5 : 0), call, 4),
		    "step %d: the hypercall page at 0x%lx is not as KVM writes it", step, gpa);
}

/*[/]*/
/*[change_apic]*/
/* Enables or disables a local APIC; what is pending stays. */
static void change_apic(int i, enum apic_state state)
{
	uint64_t base = APIC_DEFAULT_GPA | (setup[i].id == 0 ? MSR_IA32_APICBASE_BSP : 0);
	struct kvm_lapic_state lapic;

	if (state != HARDWARE_DISABLED)
		base |= MSR_IA32_APICBASE_ENABLE | (setup[i].apic == X2APIC ? X2APIC_ENABLE : 0);
	vcpu_set_msr(vcpus[i], MSR_IA32_APICBASE, base);
	if (state == HARDWARE_DISABLED)
		return;
	vcpu_ioctl(vcpus[i], KVM_GET_LAPIC, &lapic);
	set_word(&lapic, APIC_SPIV, 0xff | (state == SOFTWARE_DISABLED ? 0 : APIC_SPIV_APIC_ENABLED));
	vcpu_ioctl(vcpus[i], KVM_SET_LAPIC, &lapic);
}

/*[/]*/
/*[send_init]*/
/* INIT as an MSI; KVM acts on it when it is asked for the vCPU's state. */
static void send_init(int i)
{
	struct kvm_msi msi = { .address_lo = APIC_DEFAULT_GPA | setup[i].id << 12, .data = 5 << 8 };
	struct kvm_mp_state state;

	TEST_ASSERT(__vm_ioctl(vm, KVM_SIGNAL_MSI, &msi) >= 0, "KVM_SIGNAL_MSI failed, errno %d", errno);
	vcpu_ioctl(vcpus[i], KVM_GET_MP_STATE, &state);
}

/*[/]*/
/*@steps@*/

int main(void)
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SEND_IPI));
/*[xen]*/
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_XEN_HVM) & KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL);
/*[/]*/

	make_vm();
/*@calls@*/
	kvm_vm_free(vm);
	return 0;
}
