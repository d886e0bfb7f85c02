/* How a script or one of its cases ends early, and the record: what its operations append. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include "script.h"

_Noreturn void malformed(const char *complaint)
{
	hand.complaint = complaint;
	longjmp(hand.on_malformed, 1);
}

_Noreturn void end_case(int ending)
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
_Noreturn void missing(const char *complaint)
{
	if (hand.anything_failed)
		end_case(ENDING_SKIPPED);
	malformed(complaint);
}

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

void put(const void *bytes, size_t length)
{
	if (length)
		memcpy(room_for(length), bytes, length);
}

void put8(uint8_t value) { put(&value, 1); }
void put16(uint16_t value) { put(&value, 2); }
void put32(uint32_t value) { put(&value, 4); }
void put64(uint64_t value) { put(&value, 8); }

void failed(uint32_t request, int error)
{
	put32(request);
	put32(error);
	end_case(ENDING_FAILED);
}
