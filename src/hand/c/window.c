/* The channel through a window (window.ts): two rings in memory that the other side reads and writes as a file. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include "frames.h"
#include "window.h"

#define POLL_MICROSECONDS 100

static uint8_t *window;

static uint32_t word(unsigned offset)
{
	return __atomic_load_n((uint32_t *)(window + offset), __ATOMIC_ACQUIRE);
}

static void set_word(unsigned offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)(window + offset), value, __ATOMIC_RELEASE);
}

bool window_open(void)
{
	int fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	void *at = fd < 0 ? MAP_FAILED
			  : mmap(NULL, WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, WINDOW_ADDRESS);

	if (fd >= 0)
		close(fd);
	if (at == MAP_FAILED)
		return false;
	window = at;
	return true;
}

bool window_is_open(void)
{
	return window != NULL;
}

/* As much as goes into one piece. */
static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* A computer that goes on from a saved state finds a new window, whose words are 0. */
static void wait_a_little(void)
{
	if (word(WINDOW_MARK) != WINDOW_MARK_VALUE)
		set_word(WINDOW_MARK, WINDOW_MARK_VALUE);
	usleep(POLL_MICROSECONDS);
}

size_t window_read(void *to, size_t most)
{
	uint32_t taken, ready;
	size_t count, place;

	while ((ready = word(WINDOW_SENT) - (taken = word(WINDOW_TAKEN))) == 0)
		wait_a_little();
	place = taken % RING_BYTES;
	count = least(most, ready, RING_BYTES - place);
	memcpy(to, window + SENT_RING + place, count);
	set_word(WINDOW_TAKEN, taken + (uint32_t)count);
	return count;
}

size_t window_write(const void *from, size_t most)
{
	uint32_t answered, room;
	size_t count, place;

	while ((room = RING_BYTES - ((answered = word(WINDOW_ANSWERED)) - word(WINDOW_HEARD))) == 0)
		wait_a_little();
	place = answered % RING_BYTES;
	count = least(most, room, RING_BYTES - place);
	memcpy(window + ANSWERED_RING + place, from, count);
	set_word(WINDOW_ANSWERED, answered + (uint32_t)count);
	return count;
}
