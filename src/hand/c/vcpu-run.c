#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include "vcpu-run.h"

/* A KVM_RUN is given up at the third look of the watchdog: after 0.8 to 1.2 s. 64 calls take a few milliseconds. */
#define WATCHDOG_MS 400
#define WATCHDOG_LOOKS 2

/* The thread that executes scripts. */
static struct {
	pthread_t runner;
	bool has_watchdog;
	atomic_uint run_serial; /* odd while it is in KVM_RUN */
	atomic_uint endless_serial;
	_Atomic(struct kvm_run *) run_page;
} own;

static void interrupted(int signal)
{
	(void)signal;
}

/* Only there to make a system call return: without SA_RESTART. */
static void accept_signals(void)
{
	struct sigaction action = { .sa_handler = interrupted };

	sigaction(SIGUSR1, &action, NULL);
}

void sleep_us(long microseconds)
{
	struct timespec time = { microseconds / 1000000, microseconds % 1000000 * 1000 };

	nanosleep(&time, NULL);
}

uint64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000ull + time.tv_nsec / 1000000;
}

/*
 * Ends a KVM_RUN of the main thread that makes no exit. No signal is sent before that: some kernels give up making a VM for
 * one (KVM_CREATE_VM, mm_take_all_locks), and a signal in a VM's first KVM_RUN keeps a thread from starting (before 916b7f42b3b3).
 */
static void *watch(void *unused)
{
	unsigned int last = 0, looks = 0;

	for (;;) {
		unsigned int serial = atomic_load(&own.run_serial);

		sleep_us(WATCHDOG_MS * 1000L);
		if (!(serial & 1) || serial != atomic_load(&own.run_serial)) {
			looks = 0;
			continue;
		}
		looks = serial == last ? looks + 1 : 1;
		last = serial;
		if (looks >= WATCHDOG_LOOKS) {
			struct kvm_run *run = atomic_load(&own.run_page);

			atomic_store(&own.endless_serial, serial);
			if (serial == atomic_load(&own.run_serial) && run)
				run->immediate_exit = 1;
			pthread_kill(own.runner, SIGUSR1);
		}
	}
	return unused;
}

/* Scripts come from one and the same thread (hand.h). */
static void start_watchdog(void)
{
	pthread_t thread;

	if (own.has_watchdog)
		return;
	accept_signals();
	own.runner = pthread_self();
	own.has_watchdog = !pthread_create(&thread, NULL, watch, NULL);
}

int run_here(struct vcpu *vcpu)
{
	unsigned int serial = atomic_load(&own.run_serial) + 1;
	int result;

	start_watchdog();
	atomic_store(&own.run_page, vcpu->run);
	atomic_store(&own.run_serial, serial);
	for (;;) {
		result = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? -errno : 0;
		if (result != -EINTR && result != -EAGAIN)
			break;
		vcpu->run->immediate_exit = 0;
		if (atomic_load(&own.endless_serial) == serial)
			break;
	}
	atomic_store(&own.run_serial, serial + 1);
	vcpu->run->immediate_exit = 0;
	return result;
}

/* Blocked here and not in KVM_RUN, it is pending when that begins; it is taken back behind it. */
int run_interrupted(struct vcpu *vcpu)
{
	struct {
		uint32_t length; /* struct kvm_signal_mask */
		uint8_t set[8];
	} none = { .length = sizeof(none.set) };
	struct timespec now = { 0 };
	sigset_t own_signal, before;
	int result;

	accept_signals();
	sigemptyset(&own_signal);
	sigaddset(&own_signal, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &own_signal, &before);
	if (ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &none) < 0) {
		result = -errno;
	} else {
		pthread_kill(pthread_self(), SIGUSR1);
		result = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? -errno : 0;
		ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, NULL);
		sigtimedwait(&own_signal, NULL, &now);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return result;
}

bool was_endless(void)
{
	return atomic_load(&own.endless_serial) + 1 == atomic_load(&own.run_serial);
}

static void *thread_main(void *argument)
{
	struct thread *thread = argument;

	pthread_mutex_lock(&thread->lock);
	thread->tid = syscall(SYS_gettid);
	pthread_cond_broadcast(&thread->changed);
	for (;;) {
		struct vcpu *vcpu;
		int result;

		while (thread->state != THREAD_RUNNING)
			pthread_cond_wait(&thread->changed, &thread->lock);
		vcpu = thread->vcpu;
		pthread_mutex_unlock(&thread->lock);
		for (;;) {
			result = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? -errno : 0;
			if (result != -EINTR && result != -EAGAIN)
				break;
			vcpu->run->immediate_exit = 0;
			if (atomic_load(&thread->asked)) {
				result = -EINTR;
				break;
			}
		}
		vcpu->run->immediate_exit = 0;
		pthread_mutex_lock(&thread->lock);
		thread->result = result;
		thread->state = THREAD_DONE;
		pthread_cond_broadcast(&thread->changed);
	}
	return NULL;
}

bool is_running(struct thread *thread)
{
	bool is;

	pthread_mutex_lock(&thread->lock);
	is = thread->state == THREAD_RUNNING;
	pthread_mutex_unlock(&thread->lock);
	return is;
}

static int open_task_file(int tid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

struct thread *create_thread(void)
{
	struct thread *thread = calloc(1, sizeof(*thread));
	pthread_condattr_t attributes;

	if (!thread)
		return NULL;
	pthread_mutex_init(&thread->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&thread->changed, &attributes);
	accept_signals();
	if (pthread_create(&thread->pthread, NULL, thread_main, thread)) {
		free(thread);
		return NULL;
	}
	pthread_mutex_lock(&thread->lock);
	while (!thread->tid)
		pthread_cond_wait(&thread->changed, &thread->lock);
	pthread_mutex_unlock(&thread->lock);
	thread->stat_fd = open_task_file(thread->tid, "stat");
	thread->syscall_fd = open_task_file(thread->tid, "syscall");
	return thread;
}

bool begin_run(struct thread *thread, struct vcpu *vcpu)
{
	bool is_free;

	pthread_mutex_lock(&thread->lock);
	is_free = thread->state != THREAD_RUNNING;
	if (is_free) {
		atomic_store(&thread->asked, false);
		thread->vcpu = vcpu;
		vcpu->thread = thread;
		thread->state = THREAD_RUNNING;
		pthread_cond_broadcast(&thread->changed);
	}
	pthread_mutex_unlock(&thread->lock);
	return is_free;
}

bool wait_until_done(struct thread *thread, long microseconds)
{
	struct timespec until;
	bool is_done;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += microseconds % 1000000 * 1000;
	until.tv_sec += microseconds / 1000000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&thread->lock);
	while (thread->state == THREAD_RUNNING)
		if (pthread_cond_timedwait(&thread->changed, &thread->lock, &until))
			break;
	is_done = thread->state != THREAD_RUNNING;
	pthread_mutex_unlock(&thread->lock);
	return is_done;
}

static ssize_t read_task_file(int fd, char *text, size_t room)
{
	ssize_t length = pread(fd, text, room - 1, 0);

	text[length < 0 ? 0 : length] = 0;
	return length;
}

bool is_asleep(struct thread *thread)
{
	unsigned long number, first, second;
	char text[512], *behind_name;

	if (read_task_file(thread->syscall_fd, text, sizeof(text)) <= 0)
		return false;
	if (sscanf(text, "%lu %lx %lx", &number, &first, &second) != 3)
		return false;
	if (number != SYS_ioctl || first != (unsigned long)thread->vcpu->fd || second != KVM_RUN)
		return false;
	if (read_task_file(thread->stat_fd, text, sizeof(text)) <= 0)
		return false;
	behind_name = strrchr(text, ')');
	return behind_name && behind_name[1] == ' ' && behind_name[2] == 'S';
}

void disturb_thread(struct thread *thread)
{
	pthread_kill(thread->pthread, SIGUSR1);
}

bool stop_thread(struct thread *thread, uint32_t milliseconds)
{
	uint64_t end = now_ms() + milliseconds;

	atomic_store(&thread->asked, true);
	while (!wait_until_done(thread, 0)) {
		if (now_ms() > end)
			return false;
		thread->vcpu->run->immediate_exit = 1;
		pthread_kill(thread->pthread, SIGUSR1);
		wait_until_done(thread, 1000);
	}
	return true;
}
