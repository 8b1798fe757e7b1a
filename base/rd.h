/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rd: a bounds-checked reader over borrowed bytes.
 *
 * Every getter returns false and leaves the reader untouched when too few bytes remain, so that
 * getters chain with || to one error exit. All multi-byte getters read network byte order.
 * A parser that has consumed everything proves it with rd_empty().
 */
#ifndef BASE_RD_H
#define BASE_RD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rd {
	const uint8_t *p;
	size_t size; /* bytes that remain */
};

#define RD_CHECK __attribute__((warn_unused_result))

static inline struct rd rd_of(const void *data, size_t size)
{
	return (struct rd){.p = data, .size = size};
}

static inline bool rd_empty(const struct rd *r)
{
	return r->size == 0;
}

/* Takes `size` bytes as a sub-reader. */
RD_CHECK static inline bool rd_sub(struct rd *r, size_t size, struct rd *out)
{
	if (r->size < size)
		return false;
	*out = rd_of(r->p, size);
	r->p += size;
	r->size -= size;
	return true;
}

/* Takes `size` bytes and lends a pointer to them. */
RD_CHECK static inline bool rd_bytes(struct rd *r, size_t size, const uint8_t **out)
{
	if (r->size < size)
		return false;
	*out = r->p;
	r->p += size;
	r->size -= size;
	return true;
}

RD_CHECK static inline bool rd_copy(struct rd *r, void *out, size_t size)
{
	const uint8_t *p;

	if (!rd_bytes(r, size, &p))
		return false;
	memcpy(out, p, size);
	return true;
}

RD_CHECK static inline bool rd_skip(struct rd *r, size_t size)
{
	const uint8_t *p;

	return rd_bytes(r, size, &p);
}

RD_CHECK static inline bool rd_u8(struct rd *r, uint8_t *out)
{
	return rd_copy(r, out, 1);
}

RD_CHECK static inline bool rd_u16(struct rd *r, uint16_t *out)
{
	const uint8_t *p;

	if (!rd_bytes(r, 2, &p))
		return false;
	*out = (uint16_t)(p[0] << 8 | p[1]);
	return true;
}

RD_CHECK static inline bool rd_u32(struct rd *r, uint32_t *out)
{
	const uint8_t *p;

	if (!rd_bytes(r, 4, &p))
		return false;
	*out = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return true;
}

RD_CHECK static inline bool rd_u64(struct rd *r, uint64_t *out)
{
	uint32_t hi, lo;

	if (r->size < 8 || !rd_u32(r, &hi) || !rd_u32(r, &lo))
		return false;
	*out = (uint64_t)hi << 32 | lo;
	return true;
}

#endif
