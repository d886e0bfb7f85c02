/* What the parts of the hand have in common: its objects, how a case ends, and what it records. Nobody else knows it. */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>
#include "operations.h"
#include "vcpu-run.h"

/* The largest structure that any allowed ioctl reads or writes: CPUID with 256 entries of 40 bytes. */
#define SCRATCH_BYTES 65536

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

struct hand {
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
};
extern struct hand hand;

extern int kvm; /* /dev/kvm */
extern uint8_t scratch[SCRATCH_BYTES];

/* record.c */
_Noreturn void malformed(const char *complaint);
_Noreturn void end_case(int ending);
_Noreturn void missing(const char *complaint);
void put(const void *bytes, size_t length);
void put8(uint8_t value);
void put16(uint16_t value);
void put32(uint32_t value);
void put64(uint64_t value);
void failed(uint32_t request, int error);

/* operations/objects.c */
struct vm *vm_of(uint32_t number);
struct vcpu *vcpu_of(uint32_t number);
struct slot *slot_of(uint32_t number);
void keep(uint32_t number, const void *bytes, uint32_t length);
uint8_t *memory_at(struct vm *vm, uint8_t *memory, uint32_t offset, uint64_t length);
int descriptor_of(uint8_t kind, uint32_t object);
bool runs(struct vcpu *vcpu);

/* operations/ioctls.c */
void refuse_unless_allowed(uint32_t request);
int ioctl_scratch(int fd, uint32_t request);
void set_scratch(const void *bytes, uint32_t length, uint32_t request);
void patch(uint8_t *buffer, size_t size, struct bytes patches);
void get_structure(struct vcpu *vcpu, uint32_t request, uint32_t size);

/* operations/memory.c */
uint64_t word_at(struct vm *vm, uint32_t offset);

/* operations/runs.c */
struct thread *started_thread(uint8_t number);
_Noreturn void lose(struct thread *thread);
void stop_all_threads(void);
bool is_port(struct kvm_run *run, uint16_t port);
uint64_t end_of_wait(uint32_t milliseconds);

#endif
