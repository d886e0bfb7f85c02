/* Guest memory and its copy: written, compared and read. */
#define _GNU_SOURCE
#include <string.h>
#include "script.h"

static void write_memory(uint32_t number, uint8_t where, uint32_t offset, const uint8_t *bytes, uint32_t length)
{
	struct vm *vm = vm_of(number);

	memory_at(vm, vm->memory, offset, length);
	if (length && (where & WHERE_MEMORY))
		memcpy(vm->memory + offset, bytes, length);
	if (length && (where & WHERE_COPY))
		memcpy(vm->expected + offset, bytes, length);
}

void do_write(const struct op_write *op)
{
	write_memory(op->vm, op->where, op->offset, op->bytes.at, op->bytes.length);
}

void do_write_kept(const struct op_write_kept *op)
{
	struct slot *slot = slot_of(op->slot);

	write_memory(op->vm, op->where, op->offset, slot->at, slot->length);
}

void do_write_and_expect(const struct op_write_and_expect *op)
{
	write_memory(op->vm, WHERE_MEMORY, op->offset, op->bytes.at, op->bytes.length);
	write_memory(op->vm, WHERE_COPY, op->expected_at, op->bytes.at, op->bytes.length);
}

void do_put(const struct op_put *op)
{
	write_memory(op->vm, WHERE_MEMORY, op->offset, (const uint8_t *)&op->value, 8);
}

void do_zero(const struct op_zero *op)
{
	struct vm *vm = vm_of(op->vm);

	memset(memory_at(vm, vm->memory, op->offset, op->length), 0, op->length);
	memset(vm->expected + op->offset, 0, op->length);
}

void do_diff(const struct op_diff *op)
{
	/* Also after a case that did not end well. */
	struct vm *vm = op->vm < HAND_VMS ? hand.vms[op->vm] : NULL;
	size_t count_at = hand.record_length;
	uint32_t most = op->most < 0xffff ? op->most : 0xffff;
	uint16_t count = 0;

	if (!vm)
		missing("no such VM");
	if (op->length % 8 || op->offset % 8 || op->stride % 8)
		malformed("what is compared are whole words");
	/* Neither more than there is nor nothing again and again. */
	if (op->count > vm->bytes / 8 || (uint64_t)op->length * op->count > vm->bytes)
		malformed("more is compared than there is");
	put16(0);
	for (uint32_t i = 0; i < op->count; i++) {
		uint64_t start = op->offset + (uint64_t)i * op->stride;
		uint64_t *actual, *wanted;

		if (start + op->length > vm->bytes)
			malformed("a place outside of the VM's memory");
		actual = (uint64_t *)(vm->memory + start);
		wanted = (uint64_t *)(vm->expected + start);
		for (uint32_t word = 0; word < op->length / 8; word++) {
			if (actual[word] == wanted[word])
				continue;
			if (count < most) {
				put32(start + 8 * word);
				put64(wanted[word]);
				put64(actual[word]);
				count++;
			}
			if (op->restore)
				actual[word] = wanted[word];
		}
	}
	memcpy(hand.record + count_at, &count, 2);
}

uint64_t word_at(struct vm *vm, uint32_t offset)
{
	uint64_t word;

	memcpy(&word, memory_at(vm, vm->memory, offset, 8), 8);
	return word;
}

void do_read_word(const struct op_read_word *op)
{
	put64(word_at(vm_of(op->vm), op->offset));
}

void do_take_log(const struct op_take_log *op)
{
	struct vm *vm = vm_of(op->vm);
	uint64_t length = word_at(vm, op->length_at);

	if (op->most > 0xffff)
		malformed("a log is too long");
	if (length > op->most)
		length = op->most;
	memory_at(vm, vm->memory, op->first, length);
	memory_at(vm, vm->memory, op->second, length);
	put16(length);
	put(vm->memory + op->first, length);
	if (op->second)
		put(vm->memory + op->second, length);
	memset(vm->memory + op->length_at, 0, 8);
}
