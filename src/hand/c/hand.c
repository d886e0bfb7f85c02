/*
 * The hand: executes scripts on one KVM. It knows neither cases nor what is right; it does what a script says and records
 * what came of it. The format of scripts is operations.ts, from which operations.h is made.
 *
 * A script is a border. Numbers of objects, offsets and lengths are checked before they are used, and a script that breaks
 * the format ends with an error reply. Only the ioctls of `scriptRequests` in uapi.ts are made, none of which holds a pointer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/kvm.h>
#include "hand.h"
#include "operations.h"
#include "vcpu-run.h"

#define GENERAL_BYTES sizeof(struct kvm_regs)
#define SPECIAL_BYTES sizeof(struct kvm_sregs)
#define GENERAL_COUNT (GENERAL_BYTES / 8)
#define LAPIC_BYTES 1024
#define LAPIC_TPR 0x80
#define LAPIC_ISR 0x100
#define LAPIC_IRR 0x200
#define MSR_APICBASE 0x1b
#define MSR_APICBASE_ENABLE (1u << 11)
/* The largest structure that any allowed ioctl reads or writes: CPUID with 256 entries of 40 bytes. */
#define SCRATCH_BYTES 65536
#define ANSWERS_MAX 255
#define DROPPED_MAX 8u
#define DISTURB_US_MAX 1000
/* How long a vCPU that is asked something may still run. */
#define RUNNING_MS 5000

struct vm {
	int fd;
	uint8_t *memory;
	uint8_t *expected;
	uint32_t bytes;
	bool spoiled;
	uint32_t *sharers; /* how many VMs have the memory */
	bool lost; /* a thread is still inside of one of its vCPUs: nothing of it is ever given back */
	uint32_t runs; /* how often any of its vCPUs was run */
	struct vm *next; /* of those that are taken down */
};

struct slot {
	uint8_t *at;
	uint32_t length;
};

/* What a KVM_RUN came to. */
struct outcome {
	int error; /* 0, or minus errno */
	uint8_t answers;
	uint8_t reasons[ANSWERS_MAX];
	uint64_t words[ANSWERS_MAX];
};

static struct {
	uint32_t run_bytes;
	struct vm *vms[HAND_VMS];
	struct vcpu *vcpus[HAND_VCPUS];
	struct slot slots[HAND_SLOTS];
	/* Made when they are first started. One that does not come back stays with its vCPU and is forgotten here. */
	struct thread *threads[HAND_THREADS + 1];
	uint64_t memory_bytes; /* of all VMs, those that are lost too */
	uint64_t slot_bytes;

	struct reader script;
	uint8_t *record;
	size_t record_length, record_room;

	/* Of the current case. */
	uint64_t used_vms; /* a bit each */
	bool unexpected, missed, noted;
	/* After a case that did not end well objects may be missing without the script's fault, until `reset`. */
	bool anything_failed;
	const char *complaint;
	jmp_buf on_case_end, on_malformed;
} hand;

static int kvm = -1; /* /dev/kvm */

static uint8_t scratch[SCRATCH_BYTES] __attribute__((aligned(16)));

/* ---- ends ---- */

static _Noreturn void malformed(const char *complaint)
{
	hand.complaint = complaint;
	longjmp(hand.on_malformed, 1);
}

static _Noreturn void end_case(int ending)
{
	if (ending != ENDING_DONE) {
		hand.anything_failed = true;
		for (uint32_t i = 0; i < HAND_VMS; i++)
			if (hand.used_vms >> i & 1 && hand.vms[i])
				hand.vms[i]->spoiled = true;
	}
	longjmp(hand.on_case_end, ending + 1);
}

/* An object that is not there, or one that still is. */
static _Noreturn void missing(const char *complaint)
{
	if (hand.anything_failed)
		end_case(ENDING_SKIPPED);
	malformed(complaint);
}

/* ---- record ---- */

static void *room_for(size_t length)
{
	if (hand.record_length + length > HAND_RECORD_BYTES)
		malformed("the record becomes too long");
	if (hand.record_length + length > hand.record_room) {
		size_t room = 2 * (hand.record_length + length) + 4096;
		uint8_t *grown = realloc(hand.record, room);

		if (!grown)
			malformed("no memory for the record");
		hand.record = grown;
		hand.record_room = room;
	}
	hand.record_length += length;
	return hand.record + hand.record_length - length;
}

static void put(const void *bytes, size_t length)
{
	if (length)
		memcpy(room_for(length), bytes, length);
}

static void put8(uint8_t value) { put(&value, 1); }
static void put16(uint16_t value) { put(&value, 2); }
static void put32(uint32_t value) { put(&value, 4); }
static void put64(uint64_t value) { put(&value, 8); }

static void failed(uint32_t request, int error)
{
	put32(request);
	put32(error);
	end_case(ENDING_FAILED);
}

/* ---- objects ---- */

static struct vm *vm_of(uint32_t number)
{
	struct vm *vm = number < HAND_VMS ? hand.vms[number] : NULL;

	if (!vm)
		missing("no such VM");
	hand.used_vms |= 1ull << number;
	if (vm->spoiled)
		end_case(ENDING_SKIPPED);
	return vm;
}

static _Noreturn void lose(struct thread *thread);

static struct vcpu *vcpu_of(uint32_t number)
{
	struct vcpu *vcpu = number < HAND_VCPUS ? hand.vcpus[number] : NULL;

	if (!vcpu)
		missing("no such vCPU");
	vm_of(vcpu->vm);
	/* KVM would let an ioctl wait until the vCPU comes out of KVM_RUN, and no signal would end that (kvm_vcpu_ioctl). */
	if (vcpu->thread && vcpu->thread->vcpu == vcpu && !wait_until_done(vcpu->thread, 1000L * RUNNING_MS))
		lose(vcpu->thread);
	return vcpu;
}

static struct slot *slot_of(uint32_t number)
{
	if (number >= HAND_SLOTS || !hand.slots[number].at)
		missing("no such slot");
	return &hand.slots[number];
}

static void keep(uint32_t number, const void *bytes, uint32_t length)
{
	uint8_t *copy;

	if (number >= HAND_SLOTS || length > HAND_SLOT_BYTES)
		malformed("a slot's number or length is too large");
	if (hand.slot_bytes + length > HAND_SLOT_BYTES_TOTAL)
		malformed("the slots become too long together");
	copy = malloc(length + 1);
	if (!copy)
		malformed("no memory for a slot");
	if (length)
		memcpy(copy, bytes, length);
	free(hand.slots[number].at);
	hand.slot_bytes += length - (uint64_t)hand.slots[number].length;
	hand.slots[number] = (struct slot){ copy, length };
}

static uint8_t *memory_at(struct vm *vm, uint8_t *memory, uint32_t offset, uint64_t length)
{
	if ((uint64_t)offset + length > vm->bytes)
		malformed("a place outside of the VM's memory");
	return memory + offset;
}

static int descriptor_of(uint8_t kind, uint32_t object)
{
	switch (kind) {
	case KIND_SYSTEM:
		return kvm;
	case KIND_VM:
		return vm_of(object)->fd;
	case KIND_VCPU:
		return vcpu_of(object)->fd;
	}
	malformed("no such kind of object");
}

static void free_vm(struct vm *vm)
{
	close(vm->fd);
	if (vm->memory)
		munmap(vm->memory, vm->bytes);
	if (vm->expected)
		munmap(vm->expected, vm->bytes);
	free(vm->sharers);
	free(vm);
}

/* The memory stays with the other VMs that have it; false where there is none. */
static bool leave_memory(struct vm *vm)
{
	if (--*vm->sharers == 0)
		return false;
	vm->memory = vm->expected = NULL;
	vm->sharers = NULL;
	return true;
}

/*
 * VMs that another thread takes down: that waits for grace periods of the kernel again and again (mmu_notifier_unregister,
 * kvm_destroy_vm), some 15 ms in all, and nobody has to wait with it.
 */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct vm *first;
	unsigned int count;
	bool has_thread;
} dropped = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void *take_down(void *unused)
{
	pthread_mutex_lock(&dropped.lock);
	for (;;) {
		struct vm *vm = dropped.first;

		if (!vm) {
			pthread_cond_wait(&dropped.changed, &dropped.lock);
			continue;
		}
		dropped.first = vm->next;
		pthread_mutex_unlock(&dropped.lock);
		free_vm(vm);
		pthread_mutex_lock(&dropped.lock);
		dropped.count--;
		pthread_cond_broadcast(&dropped.changed);
	}
	return unused;
}

static void free_vm_later(struct vm *vm)
{
	pthread_t thread;

	pthread_mutex_lock(&dropped.lock);
	if (!dropped.has_thread && !pthread_create(&thread, NULL, take_down, NULL))
		dropped.has_thread = true;
	/* Where it gets behind, memory and descriptors would run out. */
	while (dropped.has_thread && dropped.count >= DROPPED_MAX)
		pthread_cond_wait(&dropped.changed, &dropped.lock);
	vm->next = dropped.first;
	dropped.first = vm;
	dropped.count++;
	pthread_cond_broadcast(&dropped.changed);
	pthread_mutex_unlock(&dropped.lock);
}

static void close_vm(uint32_t number, bool later)
{
	struct vm *vm = hand.vms[number];

	/* A thread that does not come back is still inside of a lost one: all of it stays as it is. */
	for (unsigned int i = 1; i <= HAND_THREADS && !vm->lost; i++) {
		struct thread *thread = hand.threads[i];

		if (!thread || !thread->vcpu || thread->vcpu->vm != number)
			continue;
		/* A case that ended early may have left one running. */
		if (is_running(thread) && !(hand.anything_failed && stop_thread(thread, RUNNING_MS)))
			malformed("a VM that runs is dropped");
		thread->vcpu = NULL;
		thread->state = THREAD_IDLE;
	}
	for (uint32_t i = 0; i < HAND_VCPUS; i++) {
		struct vcpu *vcpu = hand.vcpus[i];

		if (!vcpu || vcpu->vm != number)
			continue;
		hand.vcpus[i] = NULL;
		if (vm->lost)
			continue;
		munmap(vcpu->run, hand.run_bytes);
		close(vcpu->fd);
		free(vcpu);
	}
	hand.vms[number] = NULL;
	if (vm->lost)
		return;
	if (!leave_memory(vm))
		hand.memory_bytes -= vm->bytes;
	if (later)
		free_vm_later(vm);
	else
		free_vm(vm);
}

static void do_keep(const struct op_keep *op)
{
	keep(op->slot, op->bytes.at, op->bytes.length);
}

static uint8_t *map_memory(uint32_t length)
{
	void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* A VM without memory, whose number is free. */
static struct vm *create_vm(uint32_t number)
{
	struct vm *vm;
	int fd;

	if (number >= HAND_VMS || hand.vms[number])
		missing("the VM's number is in use or too large");
	fd = ioctl(kvm, KVM_CREATE_VM, 0);
	if (fd < 0)
		failed(KVM_CREATE_VM, errno);
	vm = calloc(1, sizeof(*vm));
	if (!vm) {
		close(fd);
		malformed("no memory for a VM");
	}
	vm->fd = fd;
	return vm;
}

static void add_vm(uint32_t number, struct vm *vm)
{
	hand.vms[number] = vm;
	hand.used_vms |= 1ull << number;
}

static void do_create_vm(const struct op_create_vm *op)
{
	struct vm *vm;

	if (op->memory_bytes == 0 || op->memory_bytes > HAND_MEMORY_BYTES || op->memory_bytes % 4096)
		malformed("no such size of memory");
	if (hand.memory_bytes + op->memory_bytes > HAND_MEMORY_BYTES_TOTAL)
		malformed("the VMs' memory becomes too large together");
	vm = create_vm(op->vm);
	vm->bytes = op->memory_bytes;
	vm->sharers = malloc(sizeof(*vm->sharers));
	vm->memory = map_memory(vm->bytes);
	vm->expected = map_memory(vm->bytes);
	if (!vm->sharers || !vm->memory || !vm->expected) {
		free_vm(vm);
		malformed("no memory for a VM");
	}
	*vm->sharers = 1;
	hand.memory_bytes += vm->bytes;
	add_vm(op->vm, vm);
}

static void do_create_twin(const struct op_create_twin *op)
{
	struct vm *of = vm_of(op->of), *vm = create_vm(op->vm);

	vm->bytes = of->bytes;
	vm->memory = of->memory;
	vm->expected = of->expected;
	vm->sharers = of->sharers;
	++*vm->sharers;
	add_vm(op->vm, vm);
}

static void do_memslot(const struct op_memslot *op)
{
	struct vm *vm = vm_of(op->vm);
	struct kvm_userspace_memory_region region = {
		.slot = op->slot,
		.flags = op->flags,
		.guest_phys_addr = op->gpa,
		.memory_size = op->size,
		.userspace_addr = (uintptr_t)memory_at(vm, vm->memory, op->offset, op->size),
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		failed(KVM_SET_USER_MEMORY_REGION, errno);
}

static void do_create_vcpu(const struct op_create_vcpu *op)
{
	struct vm *vm = vm_of(op->vm);
	struct vcpu *vcpu;
	int fd;

	if (op->vcpu >= HAND_VCPUS || hand.vcpus[op->vcpu])
		malformed("the vCPU's number is in use or too large");
	fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)op->id);
	if (fd < 0)
		failed(KVM_CREATE_VCPU, errno);
	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu) {
		close(fd);
		malformed("no memory for a vCPU");
	}
	*vcpu = (struct vcpu){ .fd = fd, .vm = op->vm };
	vcpu->run = mmap(NULL, hand.run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (vcpu->run == MAP_FAILED) {
		int error = errno;

		close(fd);
		free(vcpu);
		failed(KVM_GET_VCPU_MMAP_SIZE, error);
	}
	/* KVM_CAP_SYNC_REGS, which every x86 KVM with these hypercalls has (Linux 4.17). */
	vcpu->run->kvm_valid_regs = op->regs;
	hand.vcpus[op->vcpu] = vcpu;
}

static void do_drop_vm(const struct op_drop_vm *op)
{
	if (op->vm >= HAND_VMS || !hand.vms[op->vm])
		missing("no such VM");
	close_vm(op->vm, op->later);
}

static void do_reset(const struct op_reset *op)
{
	for (uint32_t i = op->first_vm; i < HAND_VMS; i++)
		if (hand.vms[i])
			close_vm(i, false);
	for (uint32_t i = 0; i < HAND_SLOTS; i++) {
		if (!hand.slots[i].at)
			continue;
		free(hand.slots[i].at);
		hand.slots[i] = (struct slot){ 0 };
	}
	hand.slot_bytes = 0;
	hand.anything_failed = false;
}

static bool runs(struct vcpu *vcpu)
{
	return vcpu->thread && vcpu->thread->vcpu == vcpu && is_running(vcpu->thread);
}

static void do_swap_vms(const struct op_swap_vms *op)
{
	struct vm *vm = vm_of(op->vm), *other = vm_of(op->other_vm);

	if (op->vm == op->other_vm)
		malformed("a VM is swapped with itself");
	if (op->count > HAND_VCPUS || op->vcpu > HAND_VCPUS - op->count || op->other_vcpu > HAND_VCPUS - op->count)
		malformed("no such vCPUs to swap");
	for (uint32_t i = 0; i < op->count; i++) {
		struct vcpu *one = hand.vcpus[op->vcpu + i], *another = hand.vcpus[op->other_vcpu + i];

		if (!one || !another || one->vm != op->vm || another->vm != op->other_vm)
			missing("a vCPU that is swapped is not in its VM");
		if (runs(one) || runs(another))
			malformed("a VM that runs is swapped");
	}
	/* Each vCPU knows its VM by number: none may be left behind. */
	for (uint32_t i = 0; i < HAND_VCPUS; i++) {
		struct vcpu *vcpu = hand.vcpus[i];

		if (vcpu && ((vcpu->vm == op->vm && i - op->vcpu >= op->count) ||
			     (vcpu->vm == op->other_vm && i - op->other_vcpu >= op->count)))
			malformed("a VM is swapped without all of its vCPUs");
	}
	for (uint32_t i = 0; i < op->count; i++) {
		struct vcpu *one = hand.vcpus[op->vcpu + i], *another = hand.vcpus[op->other_vcpu + i];

		one->vm = op->other_vm;
		another->vm = op->vm;
		hand.vcpus[op->vcpu + i] = another;
		hand.vcpus[op->other_vcpu + i] = one;
	}
	hand.vms[op->vm] = other;
	hand.vms[op->other_vm] = vm;
}

/* ---- ioctls ---- */

static bool is_in(uint32_t value, const uint32_t *list, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(*list); i++)
		if (list[i] == value)
			return true;
	return false;
}

static void refuse_unless_allowed(uint32_t request)
{
	if (!is_in(request, script_requests, sizeof(script_requests)))
		malformed("an ioctl that scripts may not make");
}

/* An ioctl whose argument is the scratch buffer: what it gives, or minus errno. */
static int ioctl_scratch(int fd, uint32_t request)
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
static void set_scratch(const void *bytes, uint32_t length, uint32_t request)
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
static void patch(uint8_t *buffer, size_t size, struct bytes patches)
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

static void do_ioctl(const struct op_ioctl *op)
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

static void do_ioctl_value(const struct op_ioctl_value *op)
{
	int fd = descriptor_of(op->kind, op->object), result;

	refuse_unless_allowed(op->request);
	if (_IOC_SIZE(op->request))
		malformed("this ioctl takes a structure");
	result = ioctl(fd, op->request, (unsigned long)op->value);
	record_result(op->request, op->record ? 1 : 0, result < 0 ? -errno : result, 0);
}

static void do_ioctl_kept(const struct op_ioctl_kept *op)
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

static void get_structure(struct vcpu *vcpu, uint32_t request, uint32_t size)
{
	int result;

	if (size > SCRATCH_BYTES || size < _IOC_SIZE(request))
		malformed("no such size of a structure");
	memset(scratch, 0, size);
	result = ioctl_scratch(vcpu->fd, request);
	if (result < 0)
		failed(request, -result);
}

static void do_ioctl_patch(const struct op_ioctl_patch *op)
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

static void do_ioctl_move(const struct op_ioctl_move *op)
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

static void do_ioctl_keep(const struct op_ioctl_keep *op)
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

static void do_ioctl_diff(const struct op_ioctl_diff *op)
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

/* ---- guest memory ---- */

static void write_memory(uint32_t number, uint8_t where, uint32_t offset, const uint8_t *bytes, uint32_t length)
{
	struct vm *vm = vm_of(number);

	memory_at(vm, vm->memory, offset, length);
	if (length && (where & WHERE_MEMORY))
		memcpy(vm->memory + offset, bytes, length);
	if (length && (where & WHERE_COPY))
		memcpy(vm->expected + offset, bytes, length);
}

static void do_write(const struct op_write *op)
{
	write_memory(op->vm, op->where, op->offset, op->bytes.at, op->bytes.length);
}

static void do_write_kept(const struct op_write_kept *op)
{
	struct slot *slot = slot_of(op->slot);

	write_memory(op->vm, op->where, op->offset, slot->at, slot->length);
}

static void do_write_and_expect(const struct op_write_and_expect *op)
{
	write_memory(op->vm, WHERE_MEMORY, op->offset, op->bytes.at, op->bytes.length);
	write_memory(op->vm, WHERE_COPY, op->expected_at, op->bytes.at, op->bytes.length);
}

static void do_put(const struct op_put *op)
{
	write_memory(op->vm, WHERE_MEMORY, op->offset, (const uint8_t *)&op->value, 8);
}

static void do_zero(const struct op_zero *op)
{
	struct vm *vm = vm_of(op->vm);

	memset(memory_at(vm, vm->memory, op->offset, op->length), 0, op->length);
	memset(vm->expected + op->offset, 0, op->length);
}

static void do_diff(const struct op_diff *op)
{
	/* Also after a case that did not end well. */
	struct vm *vm = op->vm < HAND_VMS ? hand.vms[op->vm] : NULL;
	size_t count_at = hand.record_length;
	uint32_t most = op->most < 0xffff ? op->most : 0xffff;
	uint16_t count = 0;

	if (!vm)
		missing("no such VM");
	if (op->length % 8 || op->offset % 8 || op->stride % 8)
		malformed("what is compared are whole words");
	/* Neither more than there is nor nothing again and again. */
	if (op->count > vm->bytes / 8 || (uint64_t)op->length * op->count > vm->bytes)
		malformed("more is compared than there is");
	put16(0);
	for (uint32_t i = 0; i < op->count; i++) {
		uint64_t start = op->offset + (uint64_t)i * op->stride;
		uint64_t *actual, *wanted;

		if (start + op->length > vm->bytes)
			malformed("a place outside of the VM's memory");
		actual = (uint64_t *)(vm->memory + start);
		wanted = (uint64_t *)(vm->expected + start);
		for (uint32_t word = 0; word < op->length / 8; word++) {
			if (actual[word] == wanted[word])
				continue;
			if (count < most) {
				put32(start + 8 * word);
				put64(wanted[word]);
				put64(actual[word]);
				count++;
			}
			if (op->restore)
				actual[word] = wanted[word];
		}
	}
	memcpy(hand.record + count_at, &count, 2);
}

static uint64_t word_at(struct vm *vm, uint32_t offset)
{
	uint64_t word;

	memcpy(&word, memory_at(vm, vm->memory, offset, 8), 8);
	return word;
}

static void do_read_word(const struct op_read_word *op)
{
	put64(word_at(vm_of(op->vm), op->offset));
}

static void do_take_log(const struct op_take_log *op)
{
	struct vm *vm = vm_of(op->vm);
	uint64_t length = word_at(vm, op->length_at);

	if (op->most > 0xffff)
		malformed("a log is too long");
	if (length > op->most)
		length = op->most;
	memory_at(vm, vm->memory, op->first, length);
	memory_at(vm, vm->memory, op->second, length);
	put16(length);
	put(vm->memory + op->first, length);
	if (op->second)
		put(vm->memory + op->second, length);
	memset(vm->memory + op->length_at, 0, 8);
}

/* ---- running vCPUs ---- */

/* A thread that has been started and not been waited for. */
static struct thread *started_thread(uint8_t number)
{
	struct thread *thread = number <= HAND_THREADS ? hand.threads[number] : NULL;

	if (!thread || thread->state == THREAD_IDLE)
		missing("a thread that was not started");
	return thread;
}

/* The thread of that number, made where there is none, runs a vCPU. */
static struct thread *start_thread(uint8_t number, struct vcpu *vcpu)
{
	if (number == 0 || number > HAND_THREADS)
		malformed("no such thread");
	if (!hand.threads[number])
		hand.threads[number] = create_thread();
	if (!hand.threads[number])
		malformed("no thread can be made");
	if (!begin_run(hand.threads[number], vcpu))
		missing("a thread that runs already");
	return hand.threads[number];
}

/* A vCPU that does not come back keeps its thread and its VM; the next one of this number is a new thread. */
static void forget(struct thread *thread)
{
	struct vm *vm = hand.vms[thread->vcpu->vm];

	vm->spoiled = true;
	vm->lost = true;
	for (unsigned int i = 1; i <= HAND_THREADS; i++)
		if (hand.threads[i] == thread)
			hand.threads[i] = NULL;
}

static _Noreturn void lose(struct thread *thread)
{
	if (!stop_thread(thread, 1000))
		forget(thread);
	end_case(ENDING_LOST);
}

/* Stops what a case that ended early has left running. */
static void stop_all_threads(void)
{
	for (unsigned int i = 1; i <= HAND_THREADS; i++) {
		struct thread *thread = hand.threads[i];

		if (!thread || thread->state == THREAD_IDLE)
			continue;
		if (stop_thread(thread, 5000))
			thread->state = THREAD_IDLE;
		else
			forget(thread);
	}
}

static bool is_port(struct kvm_run *run, uint16_t port)
{
	return run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT && run->io.port == port;
}

/* Records how a vCPU left KVM_RUN. */
static void record_exit(struct vcpu *vcpu, const struct outcome *outcome, uint16_t port, uint16_t other_port, bool lenient)
{
	struct kvm_run *run = vcpu->run;
	int status = outcome->error ? 2 : is_port(run, port) ? 0 : is_port(run, other_port) ? 1 : 2;

	put8(status);
	put8(outcome->answers);
	for (int i = 0; i < outcome->answers; i++) {
		put8(outcome->reasons[i]);
		put64(outcome->words[i]);
	}
	if (status < 2)
		return;
	put32(outcome->error == -EINTR ? KVM_EXIT_INTR : run->exit_reason);
	put32(outcome->error);
	put16(run->exit_reason == KVM_EXIT_IO ? run->io.port : 0);
	put(&run->s.regs.regs, GENERAL_BYTES);
	hand.unexpected = true;
	if (!lenient)
		end_case(outcome->error == -EINTR ? ENDING_ENDLESS : ENDING_UNEXPECTED);
}

/* Answers a hypercall that KVM handed to us, if the last exit is one. */
static bool answer(struct kvm_run *run, uint64_t value)
{
	if (run->exit_reason == KVM_EXIT_XEN)
		run->xen.u.hcall.result = value;
	else if (run->exit_reason == KVM_EXIT_HYPERV)
		run->hyperv.u.hcall.result = value;
	else
		return false;
	return true;
}

static void do_run(const struct op_run *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);
	struct vm *vm = hand.vms[vcpu->vm];
	struct outcome outcome = { 0 };

	for (;;) {
		uint64_t word = 0;

		vm->runs++;
		if (op->thread) {
			struct thread *thread = start_thread(op->thread, vcpu);

			if (!wait_until_done(thread, 1000000) && !stop_thread(thread, 5000))
				lose(thread);
			outcome.error = thread->result;
			thread->state = THREAD_IDLE;
		} else {
			outcome.error = run_here(vcpu);
		}
		if (op->watch)
			word = word_at(vm, op->watch);
		if (outcome.error || outcome.answers == ANSWERS_MAX)
			break;
		/* The same call a second time is no way for a call to go. */
		if (outcome.answers && (!op->watch || outcome.words[outcome.answers - 1] == word))
			break;
		if (!answer(vcpu->run, op->answer))
			break;
		outcome.reasons[outcome.answers] = vcpu->run->exit_reason;
		outcome.words[outcome.answers++] = word;
	}
	record_exit(vcpu, &outcome, op->port, op->other_port, op->lenient);
}

static void do_settle(const struct op_settle *op)
{
	(void)op;
	if (hand.unexpected)
		end_case(was_endless() ? ENDING_ENDLESS : ENDING_UNEXPECTED);
}

static void do_complete_exit(const struct op_complete_exit *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);
	int result;

	vcpu->run->immediate_exit = 1;
	result = ioctl(vcpu->fd, KVM_RUN, 0);
	vcpu->run->immediate_exit = 0;
	if (result >= 0 || errno != EINTR)
		failed(KVM_RUN, result < 0 ? errno : 0);
}

static void do_interrupted_run(const struct op_interrupted_run *op)
{
	int result;

	/* The VM's first KVM_RUN starts a thread, which a signal may prevent for good (before 916b7f42b3b3). */
	do_complete_exit(&(struct op_complete_exit){ .vcpu = op->vcpu });
	result = run_interrupted(vcpu_of(op->vcpu));
	if (result != -EINTR)
		failed(KVM_RUN, -result);
}

static void do_enter(const struct op_enter *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);
	struct slot *slot = slot_of(op->special_patches);
	struct kvm_sync_regs *regs = &vcpu->run->s.regs;

	if (op->general.length != GENERAL_BYTES)
		malformed("struct kvm_regs has another size");
	/* CR8 and the APIC's base are among the special registers, and stay. */
	if (ioctl(vcpu->fd, KVM_GET_SREGS, &regs->sregs) < 0)
		failed(KVM_GET_SREGS, errno);
	patch((uint8_t *)&regs->sregs, SPECIAL_BYTES, (struct bytes){ slot->at, slot->length });
	memcpy(&regs->regs, op->general.at, GENERAL_BYTES);
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

static void do_load_register(const struct op_load_register *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);
	uint64_t word = word_at(hand.vms[vcpu->vm], op->offset);

	if (op->register_ >= GENERAL_COUNT)
		malformed("no such register");
	memcpy((uint8_t *)&vcpu->run->s.regs.regs + 8 * op->register_, &word, 8);
}

static void do_registers_diff(const struct op_registers_diff *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);
	size_t count_at = hand.record_length;
	uint64_t wanted[GENERAL_COUNT], actual[GENERAL_COUNT];
	uint8_t count = 0;

	if (op->general.length != GENERAL_BYTES)
		malformed("struct kvm_regs has another size");
	memcpy(wanted, op->general.at, GENERAL_BYTES);
	memcpy(actual, &vcpu->run->s.regs.regs, GENERAL_BYTES);
	put8(0);
	for (size_t i = 0; i < GENERAL_COUNT; i++) {
		if (actual[i] == wanted[i])
			continue;
		put8(i);
		put64(actual[i]);
		count++;
	}
	hand.record[count_at] = count;
}

static void do_read_at_register(const struct op_read_at_register *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);
	struct vm *vm = hand.vms[vcpu->vm];
	uint64_t at;

	if (op->register_ >= GENERAL_COUNT || op->length > 4096)
		malformed("no such register or length");
	memcpy(&at, (uint8_t *)&vcpu->run->s.regs.regs + 8 * op->register_, 8);
	/* The guest's own register, which may be anything. */
	if (at > vm->bytes || at + op->length > vm->bytes) {
		put32(0);
		return;
	}
	put32(op->length);
	put(vm->memory + at, op->length);
}

/* ---- threads ---- */

static void do_start(const struct op_start *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);

	hand.vms[vcpu->vm]->runs++;
	start_thread(op->thread, vcpu);
}

static uint64_t end_of_wait(uint32_t milliseconds)
{
	if (milliseconds > HAND_MILLISECONDS)
		malformed("too long a wait");
	return now_ms() + milliseconds;
}

static void do_pause(const struct op_pause *op)
{
	uint64_t end = end_of_wait(op->milliseconds);

	while (now_ms() < end)
		sleep_us(10000);
}

static void do_wait_for_word(const struct op_wait_for_word *op)
{
	struct vm *vm = vm_of(op->vm);
	uint64_t end = end_of_wait(op->milliseconds);

	/* With one CPU the vCPU gets on when we step aside. */
	for (int looks = 0; !word_at(vm, op->offset); looks++) {
		if (looks < 100)
			sched_yield();
		else
			sleep_us(looks < 200 ? 100 : 1000);
		if (now_ms() > end)
			end_case(ENDING_LOST);
	}
	put8(1);
}

static bool rests(struct thread *thread, struct vm *vm, uint32_t offset)
{
	return thread->state == THREAD_RUNNING && word_at(vm, offset) && is_asleep(thread);
}

static void do_wait(const struct op_wait *op)
{
	uint64_t end = end_of_wait(op->milliseconds);
	uint32_t count = op->conditions.length / CONDITION_BYTES;
	uint8_t states[HAND_THREADS];
	bool all = false;

	if (op->conditions.length % CONDITION_BYTES || count > HAND_THREADS)
		malformed("no such conditions");
	for (int looks = 0; !all; looks++) {
		all = true;
		for (uint32_t i = 0; i < count; i++) {
			const uint8_t *at = op->conditions.at + CONDITION_BYTES * i;
			struct thread *thread = started_thread(at[0]);
			uint32_t vm, offset;

			memcpy(&vm, at + 2, 4);
			memcpy(&offset, at + 6, 4);
			if (at[1] == 0)
				states[i] = wait_until_done(thread, looks ? 500 : 0);
			else
				states[i] = rests(thread, vm_of(vm), offset);
			all &= states[i];
			states[i] |= thread->state == THREAD_DONE ? 2 : 0;
		}
		if (all || now_ms() > end)
			break;
		if (looks < 20)
			sched_yield();
		else
			sleep_us(300);
	}
	put8(all);
	if (all)
		return;
	put(states, count);
	if (op->required)
		hand.missed = true;
}

static void do_fetch(const struct op_fetch *op)
{
	struct vm *vm = vm_of(op->vm);
	struct thread *thread = started_thread(op->thread);
	uint64_t end = end_of_wait(op->milliseconds);

	refuse_unless_allowed(op->request);
	for (;;) {
		int result;

		if (wait_until_done(thread, 0))
			break;
		set_scratch(op->argument.at, op->argument.length, op->request);
		result = ioctl_scratch(vm->fd, op->request);
		if (result < 0)
			failed(op->request, -result);
		/* What arrives just before `hlt` wakes nobody, so it is sent again. */
		if (wait_until_done(thread, 1000))
			break;
		if (now_ms() > end)
			lose(thread);
	}
	put8(1);
}

static void do_disturb(const struct op_disturb *op)
{
	struct thread *thread = started_thread(op->thread);

	if (op->microseconds > DISTURB_US_MAX)
		malformed("too long between two signals");
	for (unsigned int sent = 0; sent < op->times && is_running(thread); sent++) {
		if (sent)
			sleep_us(op->microseconds);
		disturb_thread(thread);
	}
}

static void do_stop(const struct op_stop *op)
{
	struct thread *thread = started_thread(op->thread);

	end_of_wait(op->milliseconds);
	if (!stop_thread(thread, op->milliseconds))
		lose(thread);
	put8(thread->result == 0);
	thread->state = THREAD_IDLE;
}

static void do_exit(const struct op_exit *op)
{
	struct outcome outcome = { 0 };
	struct vcpu *vcpu = vcpu_of(op->vcpu);
	struct thread *thread = vcpu->thread;

	if (thread && thread->vcpu == vcpu && thread->state == THREAD_DONE) {
		outcome.error = thread->result;
		thread->state = THREAD_IDLE;
	}
	record_exit(vcpu, &outcome, op->port, op->port, op->lenient);
}

/* ---- conditions ---- */

static void skip_unless(bool holds, uint32_t length)
{
	put8(holds);
	if (!holds)
		skip(&hand.script, length);
}

static void do_wait_for_wake_up(const struct op_wait_for_wake_up *op)
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

static void do_if_bytes(const struct op_if_bytes *op)
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

static void do_note_deliverable(const struct op_note_deliverable *op)
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

static void do_if_noted(const struct op_if_noted *op)
{
	skip_unless(hand.noted == op->value, op->skip);
}

static void do_if_pending(const struct op_if_pending *op)
{
	get_structure(vcpu_of(op->vcpu), KVM_GET_LAPIC, LAPIC_BYTES);
	skip_unless(highest_in(LAPIC_IRR) >= 0, op->skip);
}

static void do_if_port(const struct op_if_port *op)
{
	skip_unless(is_port(vcpu_of(op->vcpu)->run, op->port), op->skip);
}

static void do_if_missed(const struct op_if_missed *op)
{
	skip_unless(hand.missed, op->skip);
}

static void do_give_up(const struct op_give_up *op)
{
	(void)op;
	end_case(ENDING_LOST);
}

static void do_case(const struct op_case *op)
{
	(void)op;
}

/* ---- scripts ---- */

/* Executes a case up to its end; how it ended. */
static int run_case(uint32_t end)
{
	int ending;

	hand.used_vms = 0;
	hand.unexpected = hand.missed = hand.noted = false;
	ending = setjmp(hand.on_case_end);
	if (ending)
		return ending - 1;
	while (hand.script.at < end)
		execute(&hand.script);
	if (hand.script.at != end)
		malformed("an operation goes beyond its case");
	return ENDING_DONE;
}

static void run_cases(void)
{
	while (hand.script.at < hand.script.length) {
		struct op_case op;
		uint32_t end;
		size_t head_at;
		int ending;

		if (hand.script.bytes[hand.script.at++] != OP_CASE)
			malformed("a script is a list of cases");
		if (!read_case(&hand.script, &op))
			malformed("a case is cut short");
		if (op.length > hand.script.length - hand.script.at)
			malformed("a case is longer than its script");
		end = hand.script.at + op.length;
		head_at = hand.record_length;
		put32(op.number);
		put8(0);
		put32(0);
		ending = run_case(end);
		/* A case leaves no vCPU running, however it ended. */
		stop_all_threads();
		hand.record[head_at + 4] = ending;
		memcpy(hand.record + head_at + 5, &(uint32_t){ hand.record_length - head_at - 9 }, 4);
		hand.script.at = end;
		if (ending == ENDING_ENDLESS)
			return;
	}
}

const char *hand_run(const uint8_t *script, size_t length, const uint8_t **record, size_t *record_length)
{
	hand.record_length = 0;
	hand.complaint = NULL;
	*record_length = 0;
	if (length > HAND_SCRIPT_BYTES)
		return "the script is too long";
	hand.script = (struct reader){ .bytes = script, .length = length };
	if (!setjmp(hand.on_malformed)) {
		run_cases();
	} else {
		stop_all_threads();
		/* Scripts that are on their way may name what this one did not make. */
		hand.anything_failed = true;
	}
	*record = hand.record;
	*record_length = hand.record_length;
	return hand.complaint;
}

int hand_open(const char *device)
{
	int size;

	if (kvm >= 0)
		return 0;
	kvm = open(device, O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		return errno;
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run)) {
		int error = size < 0 ? errno : EINVAL;

		close(kvm);
		kvm = -1;
		return error;
	}
	hand.run_bytes = size;
	return 0;
}
