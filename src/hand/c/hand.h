/* The hand as a library: one KVM, one script at a time, always from the same thread. */
#ifndef HAND_H
#define HAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens KVM; 0 or errno. */
int hand_open(const char *device);

/*
 * Executes a script. Null, or a complaint about a script that is malformed; the record has what was done until then. It stays
 * valid until the next call.
 */
const char *hand_run(const uint8_t *script, size_t length, const uint8_t **record, size_t *record_length);

#endif
