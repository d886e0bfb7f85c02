/* The channel through memory that is shared with the other side; the pieces that are moved are as long as they can be. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* False where there is none. */
bool window_open(void);
bool window_is_open(void);
size_t window_read(void *to, size_t most);
size_t window_write(const void *from, size_t most);
