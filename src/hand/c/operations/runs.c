/* vCPUs that run: on the thread that executes scripts or on threads of their own, and how they left KVM_RUN. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "script.h"

#define GENERAL_BYTES sizeof(struct kvm_regs)
#define SPECIAL_BYTES sizeof(struct kvm_sregs)
#define GENERAL_COUNT (GENERAL_BYTES / 8)
#define ANSWERS_MAX 255
#define DISTURB_US_MAX 1000

/* What a KVM_RUN came to. */
struct outcome {
	int error; /* 0, or minus errno */
	uint8_t answers;
	uint8_t reasons[ANSWERS_MAX];
	uint64_t words[ANSWERS_MAX];
};

/* A thread that has been started and not been waited for. */
struct thread *started_thread(uint8_t number)
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

_Noreturn void lose(struct thread *thread)
{
	if (!stop_thread(thread, 1000))
		forget(thread);
	end_case(ENDING_LOST);
}

/* Stops what a case that ended early has left running. */
void stop_all_threads(void)
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

bool is_port(struct kvm_run *run, uint16_t port)
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

void do_run(const struct op_run *op)
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

void do_settle(const struct op_settle *op)
{
	(void)op;
	if (hand.unexpected)
		end_case(was_endless() ? ENDING_ENDLESS : ENDING_UNEXPECTED);
}

void do_complete_exit(const struct op_complete_exit *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);
	int result;

	vcpu->run->immediate_exit = 1;
	result = ioctl(vcpu->fd, KVM_RUN, 0);
	vcpu->run->immediate_exit = 0;
	if (result >= 0 || errno != EINTR)
		failed(KVM_RUN, result < 0 ? errno : 0);
}

void do_interrupted_run(const struct op_interrupted_run *op)
{
	int result;

	/* The VM's first KVM_RUN starts a thread, which a signal may prevent for good (before 916b7f42b3b3). */
	do_complete_exit(&(struct op_complete_exit){ .vcpu = op->vcpu });
	result = run_interrupted(vcpu_of(op->vcpu));
	if (result != -EINTR)
		failed(KVM_RUN, -result);
}

void do_enter(const struct op_enter *op)
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

void do_load_register(const struct op_load_register *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);
	uint64_t word = word_at(hand.vms[vcpu->vm], op->offset);

	if (op->register_ >= GENERAL_COUNT)
		malformed("no such register");
	memcpy((uint8_t *)&vcpu->run->s.regs.regs + 8 * op->register_, &word, 8);
}

void do_registers_diff(const struct op_registers_diff *op)
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

void do_read_at_register(const struct op_read_at_register *op)
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

void do_start(const struct op_start *op)
{
	struct vcpu *vcpu = vcpu_of(op->vcpu);

	hand.vms[vcpu->vm]->runs++;
	start_thread(op->thread, vcpu);
}

uint64_t end_of_wait(uint32_t milliseconds)
{
	if (milliseconds > HAND_MILLISECONDS)
		malformed("too long a wait");
	return now_ms() + milliseconds;
}

void do_pause(const struct op_pause *op)
{
	uint64_t end = end_of_wait(op->milliseconds);

	while (now_ms() < end)
		sleep_us(10000);
}

void do_wait_for_word(const struct op_wait_for_word *op)
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

void do_wait(const struct op_wait *op)
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

void do_fetch(const struct op_fetch *op)
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

void do_disturb(const struct op_disturb *op)
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

void do_stop(const struct op_stop *op)
{
	struct thread *thread = started_thread(op->thread);

	end_of_wait(op->milliseconds);
	if (!stop_thread(thread, op->milliseconds))
		lose(thread);
	put8(thread->result == 0);
	thread->state = THREAD_IDLE;
}

void do_exit(const struct op_exit *op)
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
