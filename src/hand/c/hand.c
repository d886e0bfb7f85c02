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
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include "hand.h"
#include "script.h"

struct hand hand;
int kvm = -1;
uint8_t scratch[SCRATCH_BYTES] __attribute__((aligned(16)));

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
