/*
 * A call that is made in its own way: from another processor mode or CPL,
 * through the hypercall page, with the other vendor's instruction, or with an
 * answer that comes from the VMM. The host sets every register, the vCPU runs
 * up to the out behind the call, and every register is compared.
 */
enum caller_mode { LONG, COMPAT, PROTECTED32, UNPAGED32, PROTECTED16, REAL };

struct entry {
	enum caller_mode mode;
	int cpl;
	uint64_t page;		/* the hypercall page to call through, or 0 for a bare instruction */
	int other_opcode;	/* VMCALL on AMD, VMMCALL on Intel */
	uint64_t rax;		/* of a 64-bit caller; 0: something that is no number of a call */
};

/* Tables below ENTRY_CODE, which real mode reaches with offsets of 16 bits */
#define ENTRY_GDT	(ENTRY_TABLES + 0x000)
#define ENTRY_IDT64	(ENTRY_TABLES + 0x100)
#define ENTRY_IDT32	(ENTRY_TABLES + 0x300)
#define ENTRY_IVT	(ENTRY_TABLES + 0x400)
#define ENTRY_TSS64	(ENTRY_TABLES + 0x480)
#define ENTRY_TSS32	(ENTRY_TABLES + 0x500)
#define ENTRY_STACK	(ENTRY_TABLES + 0x1000)
#define ENTRY_PDPT	(ENTRY_PML4 + 0x1000)
#define ENTRY_PD32	(ENTRY_PML4 + 0x2000)
#define ENTRY_PD(gib)	(ENTRY_PML4 + 0x3000 + 0x1000 * (gib))

#define PORT_RETURNED	0x12
#define PORT_EXCEPTION	0x13
#define NR_EXCEPTIONS	32
#define XSAVE_XMM	160
#define XSAVE_XSTATE_BV	512
#define RFLAGS_RF	0x10000ull
#define DIRT		0xa5c3e10000000000ull
/* What the program answers calls with that KVM hands to it */
#define VMM_RESULT	0x5a

/* The same bytes mean the same in every mode. */
asm(".pushsection .rodata\n"
    "entry_code:\n"
    "entry_vmcall:	vmcall; out %al, $0x12\n"
    "entry_vmmcall:	vmmcall; out %al, $0x12\n"
    "entry_back:	out %al, $0x12\n"
    ".balign 16\n"
    "entry_stubs:\n"
    ".rept 32\n"
    ".balign 8\n"
    "	out %al, $0x13\n"
    ".endr\n"
    ".balign 8\n"
    "entry_code_end:\n"
    ".popsection\n");

extern const uint8_t entry_code[], entry_vmcall[], entry_vmmcall[], entry_back[], entry_stubs[], entry_code_end[];

#define ENTRY_ADDRESS(label) (ENTRY_CODE + (uint64_t)((label) - entry_code))

/* What differs between modes */
static const struct {
	uint64_t cr0, cr4, efer;
	int is_long, db, is_small;
	uint64_t idt;
	int gate_bytes;
} caller_modes[] = {
	[LONG]		= { 0x80000033, 0x620, 0x500, 1, 0, 0, ENTRY_IDT64, 16 },
	[COMPAT]	= { 0x80000033, 0x620, 0x500, 0, 1, 0, ENTRY_IDT64, 16 },
	[PROTECTED32]	= { 0x80000033, 0x610, 0, 0, 1, 0, ENTRY_IDT32, 8 },
	[UNPAGED32]	= { 0x33, 0x600, 0, 0, 1, 0, ENTRY_IDT32, 8 },
	[PROTECTED16]	= { 0x33, 0x600, 0, 0, 0, 1, ENTRY_IDT32, 8 },
	[REAL]		= { 0x32, 0x600, 0, 0, 0, 1, ENTRY_IVT, 4 },
};

static struct kvm_regs before, after;
static int exit_reason, is_rewritten;

static void put(uint64_t gpa, uint64_t value, size_t bytes)
{
	memcpy(guest_memory(gpa), &value, bytes);
}

static uint64_t get(uint64_t gpa, size_t bytes)
{
	uint64_t value = 0;

	memcpy(&value, guest_memory(gpa), bytes);
	return value;
}

/* Identity mapping of the 2 MiB (4 MiB with 32-bit paging) around an address, all bits preset, for every CPL */
static void map_for_entry(uint64_t gpa)
{
	uint64_t gib = gpa >> 30;

	put(ENTRY_PML4, ENTRY_PDPT | 0x67, 8);
	put(ENTRY_PDPT + 8 * gib, ENTRY_PD(gib) | 0x67, 8);
	put(ENTRY_PD(gib) + 8 * (gpa >> 21 & 0x1ff), (gpa & ~0x1fffffull) | 0xe7, 8);
	put(ENTRY_PD32 + 4 * (gpa >> 22), (gpa & ~0x3fffffull) | 0xe7, 4);
}

static void write_entry_memory(void)
{
	uint64_t stub;
	int i;

	memcpy(guest_memory(ENTRY_CODE), entry_code, entry_code_end - entry_code);
	put(ENTRY_GDT + 0x08, 0x00af9b000000ffffull, 8);	/* 64-bit code */
	put(ENTRY_GDT + 0x10, 0x00cf93000000ffffull, 8);	/* data */
	put(ENTRY_GDT + 0x28, 0x00cf9b000000ffffull, 8);	/* 32-bit code */
	for (i = 0; i < NR_EXCEPTIONS; i++) {
		stub = ENTRY_ADDRESS(entry_stubs) + 8 * i;
		put(ENTRY_IDT64 + 16 * i, stub | 0x08 << 16 | 0x8eull << 40, 8);
		put(ENTRY_IDT32 + 8 * i, stub | 0x28 << 16 | 0x8eull << 40, 8);
		put(ENTRY_IVT + 4 * i, stub, 4);
	}
	put(ENTRY_TSS64 + 4, ENTRY_STACK, 8);
	put(ENTRY_TSS32 + 4, ENTRY_STACK, 4);
	put(ENTRY_TSS32 + 8, 0x10, 2);
	map_for_entry(ENTRY_TABLES);
	map_for_entry(ARENA);
}

static void set_entry_sregs(int i, struct entry entry)
{
	int is_small = caller_modes[entry.mode].is_small, is_real = entry.mode == REAL;
	struct kvm_segment segment = {
		.limit = is_small ? 0xffff : ~0u, .present = 1, .dpl = entry.cpl, .s = 1, .g = !is_small,
	};
	struct kvm_sregs sregs;

	vcpu_do(i, KVM_GET_SREGS, &sregs);
	sregs.cs = sregs.ss = segment;
	sregs.cs.type = 0xb;
	sregs.cs.selector = is_real ? 0 : (entry.mode == LONG ? 0x08 : 0x28) | entry.cpl;
	sregs.cs.l = caller_modes[entry.mode].is_long;
	sregs.cs.db = caller_modes[entry.mode].db;
	sregs.ss.type = 0x3;
	sregs.ss.selector = is_real ? 0 : 0x10 | entry.cpl;
	sregs.ss.db = !is_small;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss;
	sregs.tr.base = caller_modes[entry.mode].efer ? ENTRY_TSS64 : ENTRY_TSS32;
	sregs.tr.limit = 0x67;
	sregs.tr.selector = 0x18;
	sregs.tr.type = is_amd ? 0x9 : 0xb;	/* VMX wants a busy TSS. */
	sregs.tr.present = 1;
	sregs.tr.s = 0;
	sregs.tr.unusable = 0;
	sregs.gdt.base = ENTRY_GDT;
	sregs.gdt.limit = 0xff;
	sregs.idt.base = caller_modes[entry.mode].idt;
	sregs.idt.limit = caller_modes[entry.mode].gate_bytes * NR_EXCEPTIONS - 1;
	sregs.cr0 = caller_modes[entry.mode].cr0;
	sregs.cr3 = entry.mode == PROTECTED32 ? ENTRY_PD32 : ENTRY_PML4;
	sregs.cr4 = caller_modes[entry.mode].cr4;
	sregs.efer = caller_modes[entry.mode].efer;
	vcpu_do(i, KVM_SET_SREGS, &sregs);
}

/* Where parameters are: RCX, RDX, R8; or EDX:EAX, EBX:ECX, EDI:ESI, with dirt above in compatibility mode */
static void set_parameters(struct entry entry, uint64_t control, uint64_t first, uint64_t second)
{
	uint64_t dirt = entry.mode == COMPAT ? DIRT : 0, low = 0xffffffff;

	before = (struct kvm_regs){ .rbp = 0x33333333, .rsp = ENTRY_STACK - 0x40, .rflags = 0x38c7 };
	if (entry.mode == LONG) {
		before.rax = entry.rax ? entry.rax : DIRT | 0x5a3c1e00;
		before.rbx = before.rsi = before.rdi = DIRT;
		before.rcx = control;
		before.rdx = first;
		before.r8 = second;
		before.r9 = 0x4444444444444444ull;
		before.r15 = 0x9999999999999999ull;
		return;
	}
	before.rdx = control >> 32 | dirt;
	before.rax = (control & low) | dirt;
	before.rbx = first >> 32 | dirt;
	before.rcx = (first & low) | dirt;
	before.rdi = second >> 32 | dirt;
	before.rsi = (second & low) | dirt;
	before.r8 = dirt;
}

/* Whether the hypercall page begins with the "or" that is there where Xen hypercalls are intercepted */
static int page_has_or(uint64_t page)
{
	return !memcmp(guest_memory(page), "\x0d\0\0\0\x80", 5);
}

/* Makes "after" the registers at the time of the exception; RIP is compared with the instruction's address. */
static void take_exception(struct entry entry, uint64_t instruction)
{
	int width = entry.mode == REAL ? 2 : caller_modes[entry.mode].efer ? 8 : 4;
	uint64_t frame = after.rsp, rip;

	exception = (after.rip - ENTRY_ADDRESS(entry_stubs)) / 8;
	/* #DF, #TS, #NP, #SS, #GP, #PF and #AC push an error code first. */
	if (entry.mode != REAL && exception < 32 && 1u << exception & 0x27d00)
		frame += width;
	rip = get(frame, width);
	if (rip != instruction)
		fail("exception %d at 0x%llx, not at the instruction, 0x%llx", exception, (unsigned long long)rip,
		     (unsigned long long)instruction);
	after.rflags = get(frame + 2 * width, width) & ~RFLAGS_RF;
	after.rsp = width == 8 || entry.cpl ? get(frame + 3 * width, width) : frame + 3 * width;
}

/* Lets an instruction end that has left to this program. */
static void finish_exit(int i)
{
	vcpu_run_page(i)->immediate_exit = 1;
	ioctl(vcpu_fd(i), KVM_RUN, NULL);
	vcpu_run_page(i)->immediate_exit = 0;
}

static void run_entry(int i)
{
	struct kvm_run *run = vcpu_run_page(i);

	vcpu_do(i, KVM_RUN, NULL);
	exit_reason = run->exit_reason;
	if (exit_reason == KVM_EXIT_XEN)
		run->xen.u.hcall.result = VMM_RESULT;
	else if (exit_reason == KVM_EXIT_HYPERV)
		run->hyperv.u.hcall.result = VMM_RESULT;
	else
		return;
	vcpu_do(i, KVM_RUN, NULL);
}

static void enter(int i, struct entry entry, uint64_t control, uint64_t first, uint64_t second, const uint64_t *xmm)
{
	const uint8_t *meant = is_amd == !entry.other_opcode ? entry_vmmcall : entry_vmcall;
	uint64_t start = entry.page ? entry.page : ENTRY_ADDRESS(meant), instruction = start;
	static struct kvm_xsave xsave_before, xsave_after;
	uint64_t valid = 3;	/* x87 and SSE */
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int push = 0;

	finish_exit(i);
	vcpu_do(i, KVM_GET_SREGS, &sregs);
	vcpu_do(i, KVM_GET_REGS, &regs);
	write_entry_memory();
	set_entry_sregs(i, entry);
	set_parameters(entry, control, first, second);
	if (entry.page) {
		push = entry.mode == LONG ? 8 : 4;
		before.rsp -= push;
		put(before.rsp, ENTRY_ADDRESS(entry_back), push);
		instruction += page_has_or(entry.page) ? 5 : 0;
	}
	before.rip = start;
	vcpu_do(i, KVM_SET_REGS, &before);
	vcpu_do(i, KVM_GET_XSAVE, &xsave_before);
	memset((uint8_t *)xsave_before.region + XSAVE_XMM, 0, 256);
	if (xmm)
		memcpy((uint8_t *)xsave_before.region + XSAVE_XMM, xmm, 96);
	memcpy((uint8_t *)xsave_before.region + XSAVE_XSTATE_BV, &valid, sizeof(valid));
	vcpu_do(i, KVM_SET_XSAVE, &xsave_before);

	run_entry(i);
	vcpu_do(i, KVM_GET_REGS, &after);
	vcpu_do(i, KVM_GET_XSAVE, &xsave_after);
	if (vcpu_run_page(i)->exit_reason != KVM_EXIT_IO)
		fail("vCPU %d: exit reason %u", i, vcpu_run_page(i)->exit_reason);
	exception = -1;
	if (vcpu_run_page(i)->io.port == PORT_EXCEPTION)
		take_exception(entry, instruction);
	else
		before.rsp += push;
	result = after.rax;
	if (exception < 0)
		before.rax = after.rax;
	if (memcmp((uint8_t *)xsave_before.region + XSAVE_XMM, (uint8_t *)xsave_after.region + XSAVE_XMM, 256))
		fail("an XMM register has changed");
	is_rewritten = !!memcmp(guest_memory(ENTRY_ADDRESS(meant)), meant, 3);

	finish_exit(i);
	vcpu_do(i, KVM_SET_SREGS, &sregs);
	vcpu_do(i, KVM_SET_REGS, &regs);
}

/* A register besides the result that changes */
#define expect_changed(name, value) \
	do { \
		if (after.name != (value)) \
			fail(#name ": 0x%llx expected, got 0x%llx", (unsigned long long)(value), \
			     (unsigned long long)after.name); \
		before.name = after.name; \
	} while (0)

/* All other registers */
static void expect_nothing_else_changed(void)
{
	after.rip = before.rip;
	if (memcmp(&after, &before, sizeof(before)))
		fail("another register has changed");
}
/*[expect_exit]*/

/* The call was handed to the VMM, which is this program. */
static void expect_exit(int reason)
{
	if (exit_reason != reason)
		fail("exit reason %d to the VMM expected, got %d", reason, exit_reason);
}
/*[/]*/
/*[expect_rewriting]*/

/* Whether KVM wrote its own vendor's instruction over the other one (KVM_X86_QUIRK_FIX_HYPERCALL_INSN) */
static void expect_rewriting(int expected)
{
	if (is_rewritten != expected)
		fail("the instruction was %srewritten", is_rewritten ? "" : "not ");
}
/*[/]*/
