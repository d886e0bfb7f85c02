/** `operations.h` and `operations.c`, the hand's side of the script's format, made from `operations.ts`. */
import {
  conditionBytes,
  endings,
  type FieldType,
  handLimits,
  memoryParts,
  objectKinds,
  operations,
} from './operations.ts';
import { scriptCapabilities, scriptRequests } from './uapi.ts';

const madeFrom = '/* Made from operations.ts by header.ts. */';

const cTypes: Readonly<Record<FieldType, string>> = {
  u8: 'uint8_t',
  u16: 'uint16_t',
  u32: 'uint32_t',
  u64: 'uint64_t',
  bytes: 'struct bytes',
  skip: 'uint32_t',
};

const declarations = `
struct bytes {
	const uint8_t *at;
	uint32_t length;
};

struct reader {
	const uint8_t *bytes;
	size_t length, at;
};

/* Reads the next operation of a script and does it. */
void execute(struct reader *reader);
/* Reads the head of a case; false where it is cut short. */
bool read_case(struct reader *reader, struct op_case *op);
void skip(struct reader *reader, uint32_t length);
`;

const reader = `
static bool read_raw(struct reader *reader, void *value, size_t length)
{
	if (reader->length - reader->at < length)
		return false;
	memcpy(value, reader->bytes + reader->at, length);
	reader->at += length;
	return true;
}

static bool read_bytes(struct reader *reader, struct bytes *bytes)
{
	if (!read_raw(reader, &bytes->length, 4) || reader->length - reader->at < bytes->length)
		return false;
	bytes->at = reader->bytes + reader->at;
	reader->at += bytes->length;
	return true;
}

void skip(struct reader *reader, uint32_t length)
{
	if (reader->length - reader->at < length)
		malformed("what is left out is longer than the script");
	reader->at += length;
}
`;

const requests = Object.values(scriptRequests);
const entries = Object.entries(operations) as [string, Readonly<Record<string, FieldType>>][];

/** The text of `operations.h`. */
export function operationsHeader(): string {
  const limits = Object.entries(handLimits).map(([name, value]) => `#define HAND_${upper(name)} ${value}u`);
  const kinds = Object.entries(objectKinds).map(([name, value]) => `#define KIND_${upper(name)} ${value}`);
  const parts = Object.entries(memoryParts).map(([name, bit]) => `#define WHERE_${upper(name)} ${bit}`);
  const ends = Object.entries(endings).map(([name, value]) => `#define ENDING_${upper(name)} ${value}`);
  const codes = entries.map(([name], code) => `#define OP_${upper(name)} ${code}`);
  return [
    madeFrom,
    '#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>',
    ...limits,
    ...kinds,
    ...parts,
    `#define CONDITION_BYTES ${conditionBytes}`,
    ...ends,
    ...codes,
    `extern const uint32_t script_requests[${requests.length}], script_capabilities[${scriptCapabilities.length}];`,
    'struct op_case;',
    declarations,
    ...entries.map(([name, fields]) => structure(name, fields)),
  ].join('\n');
}

/** The text of `operations.c`. */
export function operationsSource(): string {
  return [
    madeFrom,
    '#include <string.h>\n#include "script.h"',
    numbers('script_requests', requests),
    numbers('script_capabilities', scriptCapabilities),
    reader,
    ...entries.map(([name, fields]) => readerOf(name, fields)),
    dispatcher(entries.map(([name]) => name)),
  ].join('\n');
}

function numbers(name: string, values: readonly number[]): string {
  return `const uint32_t ${name}[] = { ${values.map((value) => `0x${value.toString(16)}u`).join(', ')} };`;
}

function structure(name: string, fields: Readonly<Record<string, FieldType>>): string {
  const members = Object.entries(fields).map(([field, type]) => `\t${cTypes[type]} ${member(field)};`);
  // C has no empty structure.
  return `
struct op_${lower(name)} {
${members.length === 0 ? '\tuint8_t none;' : members.join('\n')}
};
void do_${lower(name)}(const struct op_${lower(name)} *op);`;
}

function readerOf(name: string, fields: Readonly<Record<string, FieldType>>): string {
  const reads = Object.entries(fields).map(([field, type]) =>
    type === 'bytes'
      ? `read_bytes(reader, &op->${member(field)})`
      : `read_raw(reader, &op->${member(field)}, sizeof(op->${member(field)}))`,
  );
  // The head of a case is read apart: it says where the case ends.
  return `
${name === 'case' ? '' : 'static '}bool read_${lower(name)}(struct reader *reader, struct op_${lower(name)} *op)
{
	(void)reader;
	(void)op;
	return ${reads.length === 0 ? 'true' : reads.join(' &&\n\t       ')};
}`;
}

/** Every operation must be defined, or the hand does not link. */
function dispatcher(names: readonly string[]): string {
  const cases = names.map(
    (name) => `	case OP_${upper(name)}: {
		struct op_${lower(name)} op;

		if (!read_${lower(name)}(reader, &op))
			malformed("an operation is cut short: ${name}");
		do_${lower(name)}(&op);
		return;
	}`,
  );
  return `
void execute(struct reader *reader)
{
	uint8_t code;

	if (!read_raw(reader, &code, 1))
		malformed("no operation");
	switch (code) {
${cases.join('\n')}
	}
	malformed("no such operation");
}
`;
}

/** A C keyword gets an underscore. */
function member(field: string): string {
  return field === 'register' ? 'register_' : lower(field);
}

function lower(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A name in camel case as that of a C macro. */
export function upper(name: string): string {
  return lower(name).toUpperCase();
}
