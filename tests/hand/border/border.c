/*
 * Mutated scripts against the hand, without KVM. Usage: border CORPUS COUNT SEED [FIRST]. The corpus has valid scripts, and where
 * their operations and fields are (seeds.ts). A broken border ends the process: by a sanitizer, by border_broken, or by SIGALRM when
 * 32 scripts take more than a minute. The number of the script is then on stderr.
 */
#include "fake-kvm.h"
#include "vcpu-run.c"
#include "operations.c"
#include "record.c"
#include "operations/objects.c"
#include "operations/ioctls.c"
#include "operations/memory.c"
#include "operations/runs.c"
#include "operations/conditions.c"
#include "hand.c"
#undef open
#undef close
#undef mmap
#include <sanitizer/common_interface_defs.h>

#define OPS_MAX 16384
#define FIELDS_MAX 16
#define SCRIPTS_BETWEEN_RESETS 32
#define SECONDS_MAX 60
#define KINDS_MAX 128

struct field {
	uint16_t at; /* from where its operation begins */
	uint8_t size;
	bool is_length;
};

struct op {
	const uint8_t *bytes;
	uint32_t length;
	uint32_t body; /* operations that may be left out behind it */
	uint8_t field_count;
	const struct field *fields;
};

struct seed {
	struct op *ops;
	uint32_t count;
};

static struct seed *seeds;
static uint32_t seed_count;
static struct field *fields_room;
static uint64_t state;
static volatile uint64_t current;

static struct {
	char text[64];
	uint64_t count;
} kinds[KINDS_MAX];

static uint64_t draw(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1dull >> 16;
}

static uint32_t below(uint32_t limit)
{
	return limit ? draw() % limit : 0;
}

static void count_kind(const char *text)
{
	for (int i = 0; i < KINDS_MAX; i++) {
		if (!kinds[i].count)
			snprintf(kinds[i].text, sizeof(kinds[i].text), "%s", text);
		if (strncmp(kinds[i].text, text, sizeof(kinds[i].text) - 1))
			continue;
		kinds[i].count++;
		return;
	}
}

/* ---- corpus: u32 seeds; each u32 operations; each u32 length, u32 body, u8 fields (u16 at, u8 size, u8 is length), bytes ---- */

static uint8_t *read_whole(const char *path, size_t *length)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;

	if (!file)
		border_broken("no corpus");
	fseek(file, 0, SEEK_END);
	*length = ftell(file);
	rewind(file);
	bytes = malloc(*length);
	if (fread(bytes, 1, *length, file) != *length)
		border_broken("the corpus cannot be read");
	fclose(file);
	return bytes;
}

static uint32_t get(const uint8_t **at, int bytes)
{
	uint32_t value = 0;

	memcpy(&value, *at, bytes);
	*at += bytes;
	return value;
}

static void read_corpus(const char *path)
{
	size_t length;
	const uint8_t *at = read_whole(path, &length);

	seed_count = get(&at, 4);
	seeds = calloc(seed_count, sizeof(*seeds));
	for (uint32_t i = 0; i < seed_count; i++) {
		seeds[i].count = get(&at, 4);
		seeds[i].ops = calloc(seeds[i].count, sizeof(struct op));
		for (uint32_t place = 0; place < seeds[i].count; place++) {
			struct op *op = &seeds[i].ops[place];

			op->length = get(&at, 4);
			op->body = get(&at, 4);
			op->field_count = get(&at, 1);
			fields_room = calloc(op->field_count, sizeof(struct field));
			op->fields = fields_room;
			for (int field = 0; field < op->field_count; field++) {
				fields_room[field].at = get(&at, 2);
				fields_room[field].size = get(&at, 1);
				fields_room[field].is_length = get(&at, 1);
			}
			op->bytes = at;
			at += op->length;
		}
	}
}

/* ---- mutation ---- */

static struct op list[OPS_MAX];
static uint32_t list_length;

/* Moves, doubles, drops or brings in operations. */
static void mutate_order(void)
{
	uint32_t at = below(list_length), other = below(list_length), count = 1 + below(4);
	const struct seed *from;

	switch (below(4)) {
	case 0: { /* two change places */
		struct op kept = list[at];

		list[at] = list[other];
		list[other] = kept;
		return;
	}
	case 1: /* dropped */
		if (count > list_length - at)
			count = list_length - at;
		memmove(list + at, list + at + count, (list_length - at - count) * sizeof(*list));
		list_length -= count;
		return;
	case 2: /* from another script, or from this one */
	default:
		from = &seeds[below(seed_count)];
		other = below(from->count);
		if (count > from->count - other)
			count = from->count - other;
		if (list_length + count > OPS_MAX)
			return;
		memmove(list + at + count, list + at, (list_length - at) * sizeof(*list));
		memcpy(list + at, from->ops + other, count * sizeof(*list));
		list_length += count;
	}
}

static uint64_t edge(uint64_t old)
{
	static const uint64_t edges[] = { 0, 1, 2, 7, 8, 15, 16, 17, 63, 64, 255, 4095, 4096, 0x7fff, 0x8000, 0xffff, 0x10000, 0x3fffff,
					  0x400000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff, 0x100000000, ~0ull };

	switch (below(6)) {
	case 0:
		return old + 1;
	case 1:
		return old - 1;
	case 2:
		return draw();
	case 3:
		return old ^ (1ull << below(64));
	case 4:
		return below(2) ? (uint32_t)KVM_ENABLE_CAP : script_requests[below(sizeof(script_requests) / 4)];
	default:
		return edges[below(sizeof(edges) / sizeof(*edges))];
	}
}

/* The list as bytes; lengths of cases and of what may be left out fit again. `starts`: where each operation begins. */
static uint8_t *serialize(uint32_t *starts, size_t *length)
{
	uint8_t *bytes;
	uint32_t case_at = UINT32_MAX;

	*length = 0;
	for (uint32_t i = 0; i < list_length; i++) {
		starts[i] = *length;
		*length += list[i].length;
	}
	starts[list_length] = *length;
	bytes = malloc(*length + 1);
	for (uint32_t i = 0; i <= list_length; i++) {
		uint32_t end = i + 1 + list[i].body < list_length ? i + 1 + list[i].body : list_length;

		if (case_at != UINT32_MAX && (i == list_length || list[i].bytes[0] == OP_CASE)) {
			uint32_t case_length = starts[i] - starts[case_at] - list[case_at].length;

			memcpy(bytes + starts[case_at] + 5, &case_length, 4);
		}
		if (i == list_length)
			break;
		memcpy(bytes + starts[i], list[i].bytes, list[i].length);
		if (list[i].bytes[0] == OP_CASE)
			case_at = i;
		else if (list[i].body) {
			uint32_t skipped = starts[end] - starts[i + 1];

			memcpy(bytes + starts[i + 1] - 4, &skipped, 4);
		}
	}
	return bytes;
}

static void mutate_field(uint8_t *bytes, const uint32_t *starts)
{
	uint32_t place = below(list_length);
	const struct op *op = &list[place];
	const struct field *field;
	uint64_t value = 0;

	if (!op->field_count)
		return;
	field = &op->fields[below(op->field_count)];
	/* Another length makes another script of all that follows: seldom, or little else would be seen. */
	if (field->is_length && below(8))
		return;
	memcpy(&value, bytes + starts[place] + field->at, field->size);
	value = edge(value);
	memcpy(bytes + starts[place] + field->at, &value, field->size);
}

/* A script in a block of its own, so that whatever is read behind it shows. */
static uint8_t *mutated(size_t *length)
{
	static uint32_t starts[OPS_MAX + 1];
	const struct seed *seed = &seeds[below(seed_count)];
	uint8_t *bytes, *exact;

	memcpy(list, seed->ops, seed->count * sizeof(*list));
	list_length = seed->count;
	for (uint32_t i = below(4); i > 0 && list_length > 1; i--)
		mutate_order();
	bytes = serialize(starts, length);
	for (uint32_t i = below(6); i > 0; i--)
		mutate_field(bytes, starts);
	if (!below(8))
		for (uint32_t i = 1 + below(3); i > 0 && *length; i--)
			bytes[below(*length)] ^= 1 << below(8);
	if (!below(16))
		*length = below(*length + 1);
	exact = malloc(*length ? *length : 1);
	memcpy(exact, bytes, *length);
	free(bytes);
	return exact;
}

/* ---- running ---- */

static void say_which(void)
{
	char text[64];
	int length = snprintf(text, sizeof(text), "border: in script %llu\n", (unsigned long long)current);

	if (write(2, text, length) < 0)
		_exit(3);
}

static void out_of_time(int signal)
{
	static const char text[] = "border: a script does not end\n";

	(void)signal;
	say_which();
	if (write(2, text, sizeof(text) - 1) < 0)
		_exit(3);
	_exit(2);
}

static void count_record(const uint8_t *record, size_t length)
{
	static const char *const names[] = { "case: done", "case: unexpected", "case: failed", "case: endless", "case: lost", "case: skipped" };
	size_t at = 0;

	while (at < length) {
		uint32_t own;

		if (length - at < 9 || record[at + 4] >= sizeof(names) / sizeof(*names))
			border_broken("a record that cannot be read");
		memcpy(&own, record + at + 5, 4);
		if (own > length - at - 9)
			border_broken("a case's record is longer than the record");
		count_kind(names[record[at + 4]]);
		at += 9 + own;
	}
}

static void run(const uint8_t *script, size_t length)
{
	const uint8_t *record = NULL;
	size_t record_length;
	const char *complaint;

	complaint = hand_run(script, length, &record, &record_length);
	if (complaint)
		count_kind(complaint);
	else
		count_record(record, record_length);
}

/* All is given up, as after a case that went otherwise; then nothing may be left but what a lost thread holds. */
static void reset(void)
{
	static const uint8_t script[] = { OP_CASE, 0, 0, 0, 0, 5, 0, 0, 0, OP_RESET, 0, 0, 0, 0 };

	alarm(SECONDS_MAX);
	run(script, sizeof(script));
	for (uint32_t i = 0; i < HAND_VMS; i++)
		if (hand.vms[i])
			border_broken("a VM is left behind `reset`");
	for (uint32_t i = 0; i < HAND_VCPUS; i++)
		if (hand.vcpus[i])
			border_broken("a vCPU is left behind `reset`");
	/* Those that were lost come back when nobody expects them any more. */
	atomic_fetch_add(&fake_releases, 1);
}

static long resident_kib(void)
{
	long pages = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
		resident = 0;
	if (file)
		fclose(file);
	return resident * 4;
}

/* What programs make is no malformed script, whatever KVM does. */
static void run_seeds(void)
{
	static uint32_t starts[OPS_MAX + 1];

	for (uint32_t i = 0; i < seed_count; i++) {
		const uint8_t *record;
		size_t length, record_length;
		const char *complaint;
		uint8_t *bytes;

		if (seeds[i].count > OPS_MAX)
			border_broken("a script has too many operations");
		memcpy(list, seeds[i].ops, seeds[i].count * sizeof(*list));
		list_length = seeds[i].count;
		bytes = serialize(starts, &length);
		complaint = hand_run(bytes, length, &record, &record_length);
		if (complaint)
			border_broken(complaint);
		count_record(record, record_length);
		free(bytes);
	}
}

int main(int count, char **words)
{
	uint64_t scripts, seed, first;
	long resident = 0;

	if (count < 4)
		return 2;
	fake_main = pthread_self();
	scripts = strtoull(words[2], NULL, 10);
	seed = strtoull(words[3], NULL, 10);
	first = count > 4 ? strtoull(words[4], NULL, 10) : 0;
	read_corpus(words[1]);
	signal(SIGALRM, out_of_time);
	__sanitizer_set_death_callback(say_which);
	if (hand_open("/dev/kvm"))
		border_broken("hand_open failed");
	alarm(SECONDS_MAX);
	run_seeds();
	memset(kinds, 0, sizeof(kinds));
	for (current = first; current < first + scripts; current++) {
		size_t length;
		uint8_t *script;

		state = (seed + 1) * 0x9e3779b97f4a7c15ull ^ (current + 1) * 0xbf58476d1ce4e5b9ull;
		for (int i = 0; i < 4; i++)
			draw();
		fake_state = state;
		/* Now and then ioctls fail. */
		fake_failures = current % 4 ? 0 : 100;
		script = mutated(&length);
		run(script, length);
		free(script);
		if (current % SCRIPTS_BETWEEN_RESETS == 0) {
			fake_failures = 0;
			reset();
		}
		if (current - first >= scripts / 10 && !resident) {
			reset();
			resident = resident_kib();
		}
	}
	reset();
	real_sleep(200000);
	printf("resident at a tenth\t%ld\n", resident);
	printf("resident at the end\t%ld\n", resident_kib());
	printf("lost threads\t%u\n", atomic_load(&fake_stuck_ever));
	printf("bytes of slots\t%llu\n", (unsigned long long)hand.slot_bytes);
	for (int i = 0; i < KINDS_MAX && kinds[i].count; i++)
		printf("reply: %s\t%llu\n", kinds[i].text, (unsigned long long)kinds[i].count);
	fflush(stdout);
	/* Threads that wait are no reason not to end. */
	_exit(0);
}
