/* ioctls with a script's bytes, and structures of a vCPU that are kept, moved and compared. Only those of `scriptRequests`. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "script.h"

static bool is_in(uint32_t value, const uint32_t *list, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(*list); i++)
		if (list[i] == value)
			return true;
	return false;
}

void refuse_unless_allowed(uint32_t request)
{
	if (!is_in(request, script_requests, sizeof(script_requests)))
		malformed("an ioctl that scripts may not make");
}

/* An ioctl whose argument is the scratch buffer: what it gives, or minus errno. */
int ioctl_scratch(int fd, uint32_t request)
{
	int result;

	refuse_unless_allowed(request);
	/* Flags and MSR; what is behind them is addresses. */
	if (request == KVM_XEN_HVM_CONFIG)
		memset(scratch + 8, 0, _IOC_SIZE(request) - 8);
	/* Of others an argument is an address that KVM writes to (KVM_CAP_HYPERV_ENLIGHTENED_VMCS). */
	if (request == KVM_ENABLE_CAP && !is_in(*(uint32_t *)scratch, script_capabilities, sizeof(script_capabilities)))
		malformed("a capability that scripts may not enable");
	result = ioctl(fd, request, scratch);
	return result < 0 ? -errno : result;
}

/* Puts bytes into the scratch buffer, what is behind them is 0. */
void set_scratch(const void *bytes, uint32_t length, uint32_t request)
{
	uint32_t needed = _IOC_SIZE(request);

	if (length > SCRATCH_BYTES)
		malformed("an argument is too long");
	if (length)
		memcpy(scratch, bytes, length);
	if (needed > length)
		memset(scratch + length, 0, needed - length);
}

/* Patches: u16 offset, u16 length, bytes; again and again. */
void patch(uint8_t *buffer, size_t size, struct bytes patches)
{
	const uint8_t *at = patches.at, *end = patches.at + patches.length;

	while (at != end) {
		uint16_t offset, length;

		if (end - at < 4)
			malformed("a patch is cut short");
		memcpy(&offset, at, 2);
		memcpy(&length, at + 2, 2);
		if (end - at - 4 < length || (size_t)offset + length > size)
			malformed("a patch is too long");
		if (length)
			memcpy(buffer + offset, at + 4, length);
		at += 4 + length;
	}
}

static void record_result(uint32_t request, uint8_t record, int result, uint32_t length)
{
	if (record == 0) {
		if (result < 0)
			failed(request, -result);
		return;
	}
	put32(result);
	if (record < 2)
		return;
	put32(length);
	put(scratch, length);
}

void do_ioctl(const struct op_ioctl *op)
{
	int fd = descriptor_of(op->kind, op->object), result;

	if (op->kind == KIND_VCPU)
		hand.vcpus[op->object]->same_as = 0;
	set_scratch(op->argument.at, op->argument.length, op->request);
	result = ioctl_scratch(fd, op->request);
	/* An MSR that is refused is no error of the ioctl. */
	if (op->request == KVM_SET_MSRS && op->record == 0 && result >= 0 && result < *(int *)scratch)
		result = -EINVAL;
	record_result(op->request, op->record, result, op->argument.length);
}

void do_ioctl_value(const struct op_ioctl_value *op)
{
	int fd = descriptor_of(op->kind, op->object), result;

	refuse_unless_allowed(op->request);
	if (_IOC_SIZE(op->request))
		malformed("this ioctl takes a structure");
	result = ioctl(fd, op->request, (unsigned long)op->value);
	record_result(op->request, op->record ? 1 : 0, result < 0 ? -errno : result, 0);
}

void do_ioctl_kept(const struct op_ioctl_kept *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);
	struct slot *slot = slot_of(op->slot);

	if (op->unless_same && vcpu->same_as == op->slot + 1 && vcpu->same_runs == hand.vms[vcpu->vm]->runs)
		return;
	vcpu->same_as = 0;
	for (int i = 0; i < op->times; i++) {
		int result;

		set_scratch(slot->at, slot->length, op->request);
		patch(scratch, slot->length, op->patches);
		result = ioctl_scratch(vcpu->fd, op->request);
		if (result < 0)
			failed(op->request, -result);
	}
}

void get_structure(struct vcpu *vcpu, uint32_t request, uint32_t size)
{
	int result;

	if (size > SCRATCH_BYTES || size < _IOC_SIZE(request))
		malformed("no such size of a structure");
	memset(scratch, 0, size);
	result = ioctl_scratch(vcpu->fd, request);
	if (result < 0)
		failed(request, -result);
}

void do_ioctl_patch(const struct op_ioctl_patch *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);
	int result;

	get_structure(vcpu, op->get, op->size);
	patch(scratch, op->size, op->patches);
	vcpu->same_as = 0;
	result = ioctl_scratch(vcpu->fd, op->set);
	if (result < 0)
		failed(op->set, -result);
}

/* A list of MSRs that is done in part has failed, although it is no error of the ioctl. */
static void refuse_partial(uint32_t request, int result)
{
	bool is_list = request == KVM_GET_MSRS || request == KVM_SET_MSRS;

	if (result < 0 || (is_list && result < *(int *)scratch))
		failed(request, result < 0 ? -result : EINVAL);
}

void do_ioctl_move(const struct op_ioctl_move *op)
{
	struct vcpu *from = vcpu_of(op->from), *to = vcpu_of(op->to);

	set_scratch(op->argument.at, op->argument.length, op->get);
	refuse_partial(op->get, ioctl_scratch(from->fd, op->get));
	patch(scratch, SCRATCH_BYTES, op->patches);
	to->same_as = 0;
	refuse_partial(op->set, ioctl_scratch(to->fd, op->set));
}

/* A structure of the vCPU is what a slot holds. */
static void note_same(struct vcpu *vcpu, uint32_t slot)
{
	vcpu->same_as = slot + 1;
	vcpu->same_runs = hand.vms[vcpu->vm]->runs;
}

void do_ioctl_keep(const struct op_ioctl_keep *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);

	get_structure(vcpu, op->get, op->size);
	keep(op->slot, scratch, op->size);
	note_same(vcpu, op->slot);
}

static uint16_t record_differences(const uint8_t *wanted, uint32_t start, uint32_t end)
{
	uint16_t count = 0;

	for (uint32_t at = start; at < end; at += 4) {
		if (!memcmp(scratch + at, wanted + at, 4))
			continue;
		put16(at);
		put(scratch + at, 4);
		count++;
	}
	return count;
}

void do_ioctl_diff(const struct op_ioctl_diff *op)
{
	static uint8_t patched[HAND_SLOT_BYTES];
	struct vcpu *vcpu = vcpu_of(op->vcpu);
	struct slot *slot = slot_of(op->slot);
	const uint8_t *wanted = slot->at;
	size_t count_at = hand.record_length;
	uint16_t count;

	if (op->start > op->end || op->end > op->second_start || op->second_start > op->second_end ||
	    op->second_end > slot->length || (op->start | op->end | op->second_start | op->second_end) % 4)
		malformed("no such parts of a slot");
	get_structure(vcpu, op->get, slot->length);
	if (op->patches.length) {
		memcpy(patched, slot->at, slot->length);
		patch(patched, slot->length, op->patches);
		wanted = patched;
	}
	put16(0);
	count = record_differences(wanted, op->start, op->end);
	count += record_differences(wanted, op->second_start, op->second_end);
	memcpy(hand.record + count_at, &count, 2);
	if (count == 0 && wanted == slot->at && op->start == 0 && op->end == slot->length)
		note_same(vcpu, op->slot);
}
