/*
 * KVM_RUN: on the thread that executes scripts, under a watchdog, and on threads of their own, which are waited for, looked at
 * and stopped. Knows descriptors, and nothing of scripts.
 */
#ifndef VCPU_RUN_H
#define VCPU_RUN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/kvm.h>

struct vcpu {
	int fd;
	uint32_t vm;
	struct thread *thread; /* the one that runs it or ran it last */
	struct kvm_run *run;
	uint32_t same_as; /* number + 1 of the slot that its structure was last seen to be equal to */
	uint32_t same_runs; /* and how often the VM's vCPUs had been run then */
};

enum thread_state { THREAD_IDLE, THREAD_RUNNING, THREAD_DONE };

struct thread {
	pthread_t pthread;
	int tid;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum thread_state state;
	atomic_bool asked; /* to come out of KVM_RUN */
	struct vcpu *vcpu;
	int result; /* 0: an exit; -EINTR: asked to come out; else minus errno */
	int stat_fd;
	int syscall_fd;
};

/* KVM_RUN here, always on the same thread: 0 for an exit, or minus errno; -EINTR when the watchdog gave it up. */
int run_here(struct vcpu *vcpu);
/* KVM_RUN here with a signal pending: minus errno, or 0 where it made an exit all the same. */
int run_interrupted(struct vcpu *vcpu);
/* Whether the watchdog gave the last of them up. */
bool was_endless(void);

/* A thread that waits for vCPUs; null when none can be made. */
struct thread *create_thread(void);
/* Has a thread run a vCPU; false when it runs one already. */
bool begin_run(struct thread *thread, struct vcpu *vcpu);
bool is_running(struct thread *thread);
/* Waits at most so long until a thread is done; whether it is. */
bool wait_until_done(struct thread *thread, long microseconds);
/*
 * Whether a thread sleeps in KVM_RUN and nothing has woken it. A thread that sleeps shows the system call in which it does; one
 * that runs, or was woken and has yet to run, shows none (proc(5): syscall, stat; task_current_syscall). So this is a fact about
 * what has woken it, and no matter of time. Only the state S is kvm_vcpu_block: one that waits for the kernel's own work has D.
 */
bool is_asleep(struct thread *thread);
/* Has a thread come out of KVM_RUN for an instant, where it is in it. */
void disturb_thread(struct thread *thread);
/* Gets a thread out of KVM_RUN without waking its guest; false when it does not come. */
bool stop_thread(struct thread *thread, uint32_t milliseconds);

uint64_t now_ms(void);
void sleep_us(long microseconds);

#endif
