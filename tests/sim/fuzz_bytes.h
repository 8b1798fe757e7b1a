/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_bytes: an input that drives events, byte by byte; after its end there are zeros. */
#ifndef SIM_FUZZ_BYTES_H
#define SIM_FUZZ_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuzz_bytes {
	const uint8_t *p;
	size_t size;
};

static inline bool fuzz_more(const struct fuzz_bytes *b)
{
	return b->size != 0;
}

static inline uint8_t fuzz_u8(struct fuzz_bytes *b)
{
	if (!b->size)
		return 0;
	b->size--;
	return *b->p++;
}

static inline uint16_t fuzz_u16(struct fuzz_bytes *b)
{
	const uint8_t high = fuzz_u8(b);

	return (uint16_t)(high << 8 | fuzz_u8(b));
}

/* At most so many; *out lends them. */
static inline size_t fuzz_take(struct fuzz_bytes *b, size_t size, const uint8_t **out)
{
	const size_t n = size < b->size ? size : b->size;

	*out = b->p;
	b->p += n;
	b->size -= n;
	return n;
}

#endif
