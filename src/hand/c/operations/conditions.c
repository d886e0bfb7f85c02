/* Parts of a script that are left out unless something holds. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "script.h"

#define LAPIC_BYTES 1024
#define LAPIC_TPR 0x80
#define LAPIC_ISR 0x100
#define LAPIC_IRR 0x200
#define MSR_APICBASE 0x1b
#define MSR_APICBASE_ENABLE (1u << 11)

static void skip_unless(bool holds, uint32_t length)
{
	put8(holds);
	if (!holds)
		skip(&hand.script, length);
}

void do_wait_for_wake_up(const struct op_wait_for_wake_up *op)
{
	struct thread *thread = started_thread(op->thread);
	struct vm *vm = vm_of(op->vm);

	end_of_wait(op->milliseconds);
	/* Counted in looks and not by a clock: on a computer that gives no CPU neither of the two gets on. */
	for (uint32_t looks = 0; looks < op->milliseconds; looks++) {
		if (wait_until_done(thread, 1000))
			return skip_unless(false, op->skip);
		if (looks > op->patience && word_at(vm, op->word_at) && is_asleep(thread))
			return skip_unless(true, op->skip);
	}
	lose(thread);
}

void do_if_bytes(const struct op_if_bytes *op)
{
	struct vm *vm = vm_of(op->vm);
	uint8_t *at = memory_at(vm, vm->memory, op->offset, op->bytes.length);

	skip_unless(!op->bytes.length || !memcmp(at, op->bytes.at, op->bytes.length), op->skip);
}

static uint32_t lapic_word(uint32_t offset)
{
	uint32_t word;

	memcpy(&word, scratch + offset, 4);
	return word;
}

/* The highest vector in a register of 256 bits of the LAPIC page in the scratch buffer, or -1. */
static int highest_in(uint32_t first)
{
	for (int word = 7; word >= 0; word--) {
		uint32_t bits = lapic_word(first + 0x10 * word);

		if (bits)
			return 32 * word + 31 - __builtin_clz(bits);
	}
	return -1;
}

void do_note_deliverable(const struct op_note_deliverable *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} base = { .head.nmsrs = 1, .entry.index = MSR_APICBASE };

	if (ioctl(vcpu->fd, KVM_GET_MSRS, &base) != 1)
		failed(KVM_GET_MSRS, errno);
	hand.noted = false;
	if (!(base.entry.data & MSR_APICBASE_ENABLE))
		return;
	get_structure(vcpu, KVM_GET_LAPIC, LAPIC_BYTES);
	/* By what PPR is made of: KVM may give an old one until the vCPU runs. */
	hand.noted = highest_in(LAPIC_IRR) >> 4 > (int)(lapic_word(LAPIC_TPR) >> 4) &&
		     highest_in(LAPIC_IRR) >> 4 > highest_in(LAPIC_ISR) >> 4;
}

void do_if_noted(const struct op_if_noted *op)
{
	skip_unless(hand.noted == op->value, op->skip);
}

void do_if_pending(const struct op_if_pending *op)
{
	get_structure(vcpu_of(op->vcpu), KVM_GET_LAPIC, LAPIC_BYTES);
	skip_unless(highest_in(LAPIC_IRR) >= 0, op->skip);
}

void do_if_port(const struct op_if_port *op)
{
	skip_unless(is_port(vcpu_of(op->vcpu)->run, op->port), op->skip);
}

void do_if_missed(const struct op_if_missed *op)
{
	skip_unless(hand.missed, op->skip);
}

void do_give_up(const struct op_give_up *op)
{
	(void)op;
	end_case(ENDING_LOST);
}

void do_case(const struct op_case *op)
{
	(void)op;
}
