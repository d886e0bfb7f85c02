/* VMs, vCPUs and slots, by number: made, kept, swapped and dropped. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "script.h"

#define DROPPED_MAX 8u
/* How long a vCPU that is asked something may still run. */
#define RUNNING_MS 5000

struct vm *vm_of(uint32_t number)
{
	struct vm *vm = number < HAND_VMS ? hand.vms[number] : NULL;

	if (!vm)
		missing("no such VM");
	hand.used_vms |= 1ull << number;
	if (vm->spoiled)
		end_case(ENDING_SKIPPED);
	return vm;
}

struct vcpu *vcpu_of(uint32_t number)
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

struct slot *slot_of(uint32_t number)
{
	if (number >= HAND_SLOTS || !hand.slots[number].at)
		missing("no such slot");
	return &hand.slots[number];
}

void keep(uint32_t number, const void *bytes, uint32_t length)
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

uint8_t *memory_at(struct vm *vm, uint8_t *memory, uint32_t offset, uint64_t length)
{
	if ((uint64_t)offset + length > vm->bytes)
		malformed("a place outside of the VM's memory");
	return memory + offset;
}

int descriptor_of(uint8_t kind, uint32_t object)
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

void do_keep(const struct op_keep *op)
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

void do_create_vm(const struct op_create_vm *op)
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

void do_create_twin(const struct op_create_twin *op)
{
	struct vm *of = vm_of(op->of), *vm = create_vm(op->vm);

	vm->bytes = of->bytes;
	vm->memory = of->memory;
	vm->expected = of->expected;
	vm->sharers = of->sharers;
	++*vm->sharers;
	add_vm(op->vm, vm);
}

void do_memslot(const struct op_memslot *op)
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

void do_create_vcpu(const struct op_create_vcpu *op)
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

void do_drop_vm(const struct op_drop_vm *op)
{
	if (op->vm >= HAND_VMS || !hand.vms[op->vm])
		missing("no such VM");
	close_vm(op->vm, op->later);
}

void do_reset(const struct op_reset *op)
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

bool runs(struct vcpu *vcpu)
{
	return vcpu->thread && vcpu->thread->vcpu == vcpu && is_running(vcpu->thread);
}

void do_swap_vms(const struct op_swap_vms *op)
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
