/*
 * A KVM that is none, for the hand to be tried without one: descriptors are numbers, structures are filled by chance, and KVM_RUN
 * returns with an exit by chance. It touches every byte that the kernel would, and what the hand maps comes from malloc or has
 * pages around it that nothing may touch, so that AddressSanitizer sees what is too short or was given back. Its clock stands
 * still unless somebody waits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <linux/kvm.h>

#define RUN_BYTES 12288
#define MSRS 500
#define FDS_MAX 16384
#define FD_FIRST 100
/* Longer pieces of memory are mapped. */
#define MALLOC_MAX 65536
#define PAGE 4096u

static struct {
	bool is_open;
	struct kvm_run *run; /* of a vCPU */
	int vm; /* of a vCPU */
	void *memory; /* of a VM: its first memslot */
	uint64_t bytes;
} fake_fds[FDS_MAX];

static atomic_ullong fake_ns = 1000000000ull;
static atomic_uint fake_seed;
/* Threads that KVM_RUN does not let go, and how often they were let go all the same. */
static atomic_uint fake_stuck, fake_stuck_ever, fake_releases;
static _Thread_local uint64_t fake_state;
static pthread_t fake_main;
/* Of each kind of failure one in so many; 0: never. */
static unsigned int fake_failures;

static _Noreturn void border_broken(const char *what)
{
	fprintf(stderr, "border: %s\n", what);
	abort();
}

static uint64_t fake_random(void)
{
	if (!fake_state)
		fake_state = 0x9e3779b97f4a7c15ull * (1 + atomic_fetch_add(&fake_seed, 1));
	fake_state ^= fake_state << 13;
	fake_state ^= fake_state >> 7;
	fake_state ^= fake_state << 17;
	return fake_state * 0x2545f4914f6cdd1dull;
}

static bool one_in(unsigned int count)
{
	return count && (fake_random() >> 33) % count == 0;
}

static void real_sleep(long microseconds)
{
	struct timespec time = { 0, microseconds * 1000 };

	nanosleep(&time, NULL);
}

static int fail(int error)
{
	errno = error;
	return -1;
}

/* Reads every byte, as copy_from_user does. */
static void take(const void *bytes, size_t length)
{
	static _Thread_local uint8_t kernel[1 << 16];

	memcpy(kernel, bytes, length);
}

/* Fills every byte, as copy_to_user does; mostly with little in it. */
static void give(void *bytes, size_t length)
{
	memset(bytes, one_in(4) ? (int)fake_random() : 0, length);
}

static int fake_memory(const struct kvm_userspace_memory_region *region, int vm)
{
	const volatile uint8_t *at = (const volatile uint8_t *)(uintptr_t)region->userspace_addr;

	if (region->memory_size % PAGE || (uintptr_t)at % PAGE)
		return fail(EINVAL);
	for (uint64_t offset = 0; offset < region->memory_size; offset += region->memory_size - 1)
		(void)at[offset];
	fake_fds[vm].memory = (void *)(uintptr_t)region->userspace_addr;
	fake_fds[vm].bytes = region->memory_size;
	return 0;
}

static int fake_msrs(struct kvm_msrs *msrs, bool gives)
{
	if (msrs->nmsrs > 256)
		return fail(E2BIG);
	take(msrs->entries, msrs->nmsrs * sizeof(*msrs->entries));
	for (uint32_t i = 0; gives && i < msrs->nmsrs; i++)
		msrs->entries[i].data = one_in(2) ? fake_random() : 0xfee00900;
	return one_in(10) ? 0 : (int)msrs->nmsrs;
}

static int fake_cpuid(struct kvm_cpuid2 *cpuid, bool gives)
{
	if (cpuid->nent > 256)
		return fail(E2BIG);
	if (gives)
		give(cpuid->entries, cpuid->nent * sizeof(*cpuid->entries));
	else
		take(cpuid->entries, cpuid->nent * sizeof(*cpuid->entries));
	return 0;
}

/* As many numbers as there are, or none where there is no room for all (kvm_arch_dev_ioctl). */
static int fake_msr_list(struct kvm_msr_list *list)
{
	uint32_t room = list->nmsrs;

	list->nmsrs = MSRS;
	if (room < MSRS)
		return fail(E2BIG);
	give(list->indices, MSRS * sizeof(*list->indices));
	return 0;
}

/* Capabilities whose first argument is an address to which KVM writes. */
static int fake_enable(const struct kvm_enable_cap *cap)
{
	if (cap->cap == KVM_CAP_HYPERV_ENLIGHTENED_VMCS)
		border_broken("a capability with an address was enabled");
	return 0;
}

/* What a guest may do to its memory and registers until it comes out. */
static void fake_guest(int fd, struct kvm_run *run)
{
	int vm = fake_fds[fd].vm;
	uint64_t *words = fake_fds[vm].memory, count = fake_fds[vm].bytes / 8;

	for (int i = 0; count && i < 4; i++)
		words[fake_random() % (one_in(2) && count > 8192 ? 8192 : count)] = one_in(2) ? fake_random() : 1;
	if (one_in(2))
		give(&run->s.regs, sizeof(run->s.regs));
	run->s.regs.regs.rsp = one_in(2) ? fake_random() % (2 * fake_fds[vm].bytes + 1) : fake_random();
	run->exit_reason = one_in(8) ? fake_random() % 40 : KVM_EXIT_IO;
	if (one_in(10))
		run->exit_reason = one_in(2) ? KVM_EXIT_XEN : KVM_EXIT_HYPERV;
	if (run->exit_reason == KVM_EXIT_IO) {
		run->io.direction = one_in(20) ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
		run->io.port = 0x10 + fake_random() % 4;
	}
}

/* Sleeps as in `hlt`, until it is asked to come out. */
static int fake_sleep(struct kvm_run *run, bool hears)
{
	unsigned int release = atomic_load(&fake_releases);

	for (int i = 0; hears ? !run->immediate_exit && i < 4000 : release == atomic_load(&fake_releases); i++)
		real_sleep(50);
	return fail(EINTR);
}

static int fake_run(int fd)
{
	struct kvm_run *run = fake_fds[fd].run;
	bool is_main = pthread_equal(pthread_self(), fake_main);

	if (!run)
		return fail(EBADF);
	if (run->immediate_exit)
		return fail(EINTR);
	if (one_in(fake_failures))
		return fail(one_in(2) ? EFAULT : EAGAIN);
	if (one_in(is_main ? 4000 : 20))
		return fake_sleep(run, true);
	if (!is_main && one_in(2000) && atomic_load(&fake_stuck) < 4) {
		int result;

		atomic_fetch_add(&fake_stuck, 1);
		atomic_fetch_add(&fake_stuck_ever, 1);
		result = fake_sleep(run, false);
		/* Whoever does not come back is inside of its vCPU all the same. */
		run->exit_reason = KVM_EXIT_UNKNOWN;
		atomic_fetch_sub(&fake_stuck, 1);
		return result;
	}
	fake_guest(fd, run);
	return 0;
}

static int fake_descriptor(int vm)
{
	static int next = FD_FIRST;

	for (int looked = FD_FIRST; looked < FDS_MAX; looked++) {
		int fd = next;

		next = fd + 1 < FDS_MAX ? fd + 1 : FD_FIRST;
		if (fake_fds[fd].is_open)
			continue;
		memset(&fake_fds[fd], 0, sizeof(fake_fds[fd]));
		fake_fds[fd].is_open = true;
		fake_fds[fd].vm = vm;
		return fd;
	}
	border_broken("no descriptor: they are not given back");
}

static int fake_ioctl(int fd, unsigned long request, ...)
{
	unsigned long value;
	void *at;
	va_list rest;

	va_start(rest, request);
	value = va_arg(rest, unsigned long);
	va_end(rest);
	at = (void *)value;
	if (fd < 0 || fd >= FDS_MAX || !fake_fds[fd].is_open)
		border_broken("an ioctl on no descriptor");
	if (request == KVM_RUN)
		return fake_run(fd);
	if (one_in(fake_failures))
		return fail(one_in(2) ? EINVAL : ENOMEM);
	switch (request) {
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_BYTES;
	case KVM_CREATE_VM:
		return fake_descriptor(0);
	case KVM_CREATE_VCPU:
		return fake_descriptor(fd);
	case KVM_SET_USER_MEMORY_REGION:
		return fake_memory(at, fd);
	case KVM_CHECK_EXTENSION:
		return fake_random() % 2;
	case KVM_SET_TSS_ADDR:
	case KVM_CREATE_IRQCHIP:
		return 0;
	case KVM_SET_SIGNAL_MASK:
		if (at)
			take(at, sizeof(struct kvm_signal_mask) + 8);
		return 0;
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return fake_msrs(at, request == KVM_GET_MSRS);
	case KVM_GET_MSR_INDEX_LIST:
		return fake_msr_list(at);
	case KVM_SET_CPUID2:
	case KVM_GET_SUPPORTED_CPUID:
	case KVM_GET_SUPPORTED_HV_CPUID:
		return fake_cpuid(at, request != KVM_SET_CPUID2);
	case KVM_ENABLE_CAP:
		take(at, _IOC_SIZE(request));
		return fake_enable(at);
	case KVM_XEN_HVM_CONFIG: {
		const struct kvm_xen_hvm_config *config = at;

		take(at, _IOC_SIZE(request));
		if (config->blob_addr_32 || config->blob_addr_64 || config->blob_size_32 || config->blob_size_64)
			border_broken("KVM got addresses with KVM_XEN_HVM_CONFIG");
		return 0;
	}
	}
	/* The others have nothing but their structure. */
	if (_IOC_DIR(request) & _IOC_WRITE)
		take(at, _IOC_SIZE(request));
	if (_IOC_DIR(request) & _IOC_READ)
		give(at, _IOC_SIZE(request));
	return 0;
}

/* With a page on both sides that nothing may touch. */
static void *fake_mmap(void *hint, size_t length, int protection, int flags, int fd, off_t offset)
{
	uint8_t *all;
	void *at = NULL;

	(void)hint;
	(void)offset;
	if (length <= MALLOC_MAX) {
		if (posix_memalign(&at, PAGE, length))
			return MAP_FAILED;
		memset(at, 0, length);
		if (fd >= 0)
			fake_fds[fd].run = at;
		return at;
	}
	all = mmap(NULL, length + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return MAP_FAILED;
	return mmap(all + PAGE, length, protection, flags | MAP_FIXED, -1, 0);
}

static int fake_munmap(void *at, size_t length)
{
	if (length > MALLOC_MAX)
		return munmap((uint8_t *)at - PAGE, length + 2 * PAGE);
	free(at);
	return 0;
}

static int fake_open(const char *path, int flags, ...)
{
	(void)path;
	(void)flags;
	return fake_descriptor(0);
}

static int fake_close(int fd)
{
	if (fd < 0 || fd >= FDS_MAX || !fake_fds[fd].is_open)
		border_broken("a descriptor is closed that is not open");
	fake_fds[fd].is_open = false;
	return 0;
}

/* /proc/self/task/TID/syscall or stat: a text by chance. */
static ssize_t fake_pread(int fd, void *text, size_t room, off_t offset)
{
	static const char *const texts[] = { "running\n", "16 0x3 0xae80 0x0\n", "7 (a) b) S 1", "7 (x) R", ")", "", "16 0x" };

	(void)offset;
	if (fd < 0)
		return fail(EBADF);
	snprintf(text, room, "%s", texts[fake_random() % (sizeof(texts) / sizeof(*texts))]);
	return strlen(text);
}

static int fake_clock(clockid_t clock, struct timespec *time)
{
	uint64_t now = atomic_fetch_add(&fake_ns, 1000);

	(void)clock;
	*time = (struct timespec){ now / 1000000000, now % 1000000000 };
	return 0;
}

/* Only the watchdog, which is no thread of a script, really waits. */
static int fake_nanosleep(const struct timespec *time, struct timespec *rest)
{
	(void)rest;
	if (!pthread_equal(pthread_self(), fake_main)) {
		real_sleep(500);
		return 0;
	}
	/* Time goes faster than it is, or most of it would be waited away. */
	atomic_fetch_add(&fake_ns, 50 * (1000000000ull * time->tv_sec + time->tv_nsec));
	if (one_in(8))
		sched_yield();
	return 0;
}

static int fake_yield(void)
{
	atomic_fetch_add(&fake_ns, 100000);
	return one_in(8) ? sched_yield() : 0;
}

static int fake_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
	uint64_t end = 1000000000ull * until->tv_sec + until->tv_nsec, now = atomic_load(&fake_ns);
	uint64_t left = end > now ? end - now : 0;
	uint64_t really = left / 5000 < 20000 ? 20000 : left / 5000 > 1000000 ? 1000000 : left / 5000;
	struct timespec time;
	int error;

	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_nsec += really;
	time.tv_sec += time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	error = pthread_cond_timedwait(condition, mutex, &time);
	if (error == ETIMEDOUT)
		atomic_fetch_add(&fake_ns, left + 10000000);
	return error;
}

#define ioctl fake_ioctl
#define mmap fake_mmap
#define munmap fake_munmap
#define open fake_open
#define close fake_close
#define pread fake_pread
#define clock_gettime fake_clock
#define nanosleep fake_nanosleep
#define sched_yield fake_yield
#define pthread_cond_timedwait fake_timedwait
