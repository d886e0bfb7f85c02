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
#define ARENA		0xc0000000ull
#define ARENA_PAGES	32
#define ARENA_SLOT	10
#define RAM_END		(ARENA + ARENA_PAGES * 4096ull)

enum apic_state { X2APIC, XAPIC, SOFTWARE_DISABLED, HARDWARE_DISABLED };
enum eoi_kind { EOI_BY_HV_MSR, EOI_BY_APIC };

struct vcpu_setup {
	unsigned int vp_index;		/* what the host writes */
	unsigned int vp_index_read;	/* what must be read back */
	enum apic_state apic;
	enum eoi_kind eoi;
};

struct vectors {
	unsigned int count;
	unsigned char list[512];
};

#define NOTHING ((struct vectors){ 0, { 0 } })
#define VECTORS(...) \
	((struct vectors){ sizeof((unsigned char[]){ __VA_ARGS__ }), { __VA_ARGS__ } })

/*@machine@*/

/* Shared with the guest, one vCPU of which runs at a time */
enum guest_command { CALL, OPEN_WINDOW };

struct guest_work {
	enum guest_command command;
	uint64_t control, rdx, r8;
	uint64_t xmm[12];
	uint64_t result;
	uint8_t exception;
	uint32_t eoi_msr;
	struct vectors handled;
};

static struct guest_work work;

static struct kvm_vm *vm;
static struct kvm_vcpu *vcpus[NR_VCPUS];
static int step;

static void guest_code(void)
{
	for (;;) {
		if (work.command == CALL) {
			hyperv_write_xmm_input(work.xmm, 6);
			work.exception = __hyperv_hypercall(work.control, work.rdx, work.r8, &work.result);
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

static uint32_t get_word(const struct kvm_lapic_state *lapic, int offset)
{
	uint32_t value;

	memcpy(&value, lapic->regs + offset, sizeof(value));
	return value;
}

static void set_word(struct kvm_lapic_state *lapic, int offset, uint32_t value)
{
	memcpy(lapic->regs + offset, &value, sizeof(value));
}

/* IRR and ISR empty, TMR all ones, so that accepting a vector shows there too */
static void set_apic(int i)
{
	uint64_t base = APIC_DEFAULT_GPA | (i == 0 ? MSR_IA32_APICBASE_BSP : 0);
	struct kvm_lapic_state lapic;
	int word;

	if (setup[i].apic != HARDWARE_DISABLED)
		base |= MSR_IA32_APICBASE_ENABLE;
	if (setup[i].apic == X2APIC)
		base |= X2APIC_ENABLE;
	vcpu_set_msr(vcpus[i], MSR_IA32_APICBASE, base);
	vcpu_ioctl(vcpus[i], KVM_GET_LAPIC, &lapic);
	set_word(&lapic, APIC_ID, (uint32_t)i << 24);
	set_word(&lapic, APIC_SPIV, 0xff | (setup[i].apic == SOFTWARE_DISABLED ? 0 : APIC_SPIV_APIC_ENABLED));
	set_word(&lapic, APIC_TASKPRI, 0);
	for (word = 0; word < 8; word++) {
		set_word(&lapic, APIC_IRR + 0x10 * word, 0);
		set_word(&lapic, APIC_ISR + 0x10 * word, 0);
		set_word(&lapic, APIC_TMR + 0x10 * word, ~0u);
	}
	vcpu_ioctl(vcpus[i], KVM_SET_LAPIC, &lapic);
}

static void make_vcpu(int i)
{
	uint64_t read;

	vcpus[i] = vm_vcpu_add(vm, i, guest_code);
	vcpu_set_hv_cpuid(vcpus[i]);
	if (setup[i].vp_index != (unsigned int)i)
		_vcpu_set_msr(vcpus[i], HV_X64_MSR_VP_INDEX, setup[i].vp_index);
	read = vcpu_get_msr(vcpus[i], HV_X64_MSR_VP_INDEX);
	TEST_ASSERT(read == setup[i].vp_index_read, "vCPU %d: VP index %u written, expected %u, read back %lu", i,
		    setup[i].vp_index, setup[i].vp_index_read, read);
	set_apic(i);
}

static void make_vm(void)
{
	int i;

	vm = vm_create(NR_VCPUS);
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, ARENA, ARENA_SLOT, ARENA_PAGES, 0);
	virt_pg_map(vm, APIC_DEFAULT_GPA, APIC_DEFAULT_GPA);
	for (i = 0; i < NR_VCPUS; i++)
		make_vcpu(i);
	vcpu_set_msr(vcpus[0], HV_X64_MSR_GUEST_OS_ID, HYPERV_LINUX_OS_ID);
	/* 0x11 has an error code as an exception, which an interrupt has not. */
	for (i = 0x10; i < 0x100; i++)
		if (i != 0x11)
			vm_install_exception_handler(vm, i, guest_interrupt_handler);
}

/* The input block of a slow call */
__attribute__((unused))
static void put_block(uint64_t gpa, const uint64_t *words, size_t bytes)
{
	memcpy(addr_gpa2hva(vm, ARENA) + (gpa - ARENA), words, bytes);
}

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
}

__attribute__((unused))
static void expect_result(uint64_t expected)
{
	TEST_ASSERT(!work.exception, "step %d: result 0x%lx expected, got exception %u", step, expected, work.exception);
	TEST_ASSERT(work.result == expected, "step %d: result 0x%lx expected, got 0x%lx", step, expected, work.result);
}

__attribute__((unused))
static void expect_exception(int expected)
{
	TEST_ASSERT(work.exception == expected, "step %d: exception %d expected, got %u (result 0x%lx)", step, expected,
		    work.exception, work.result);
}

static void expect_register(const struct kvm_lapic_state *lapic, int i, const char *name, int offset, uint32_t at_start,
			    struct vectors expected)
{
	uint32_t wanted[8] = { 0 }, seen;
	unsigned int n;

	for (n = 0; n < expected.count; n++)
		wanted[expected.list[n] / 32] |= 1u << expected.list[n] % 32;
	for (n = 0; n < 8; n++) {
		seen = get_word(lapic, offset + 0x10 * n) ^ at_start;
		TEST_ASSERT(seen == wanted[n],
			    "step %d: vCPU %d (VP %u): %s of vectors 0x%x to 0x%x: mask 0x%08x expected, got 0x%08x", step,
			    i, setup[i].vp_index_read, name, 32 * n, 32 * n + 31, wanted[n], seen);
	}
}

/* Which vectors are pending (IRR), and which were accepted since the start (TMR) */
static void expect_lapic(int i, struct vectors pending, struct vectors accepted)
{
	struct kvm_lapic_state lapic;

	vcpu_ioctl(vcpus[i], KVM_GET_LAPIC, &lapic);
	expect_register(&lapic, i, "pending", APIC_IRR, 0, pending);
	expect_register(&lapic, i, "accepted", APIC_TMR, ~0u, accepted);
	expect_register(&lapic, i, "in service", APIC_ISR, 0, NOTHING);
}

/* The vCPU takes what is pending; handlers run in this order. */
__attribute__((unused))
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
		    "step %d: vCPU %d (VP %u): %u handlers expected, %u ran (the first is of 0x%02x)", step, i,
		    setup[i].vp_index_read, expected.count, work.handled.count, work.handled.list[0]);
}

/*@steps@*/

int main(void)
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HYPERV_SEND_IPI));

	make_vm();
/*@calls@*/
	kvm_vm_free(vm);
	return 0;
}
