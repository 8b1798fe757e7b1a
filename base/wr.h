/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wr: a bounds-checked writer into a caller's buffer.
 *
 * Overflow is sticky: once a put did not fit, every later put is ignored and wr_ok() is false, so
 * that a builder checks once, at its end. All multi-byte puts write network byte order.
 * wr_open16()/wr_close16() back-patch a 16-bit length field.
 */
#ifndef BASE_WR_H
#define BASE_WR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct wr {
	uint8_t *buf;
	size_t size; /* capacity */
	size_t n;    /* bytes written */
	bool overflow;
};

static inline struct wr wr_of(void *buf, size_t size)
{
	return (struct wr){.buf = buf, .size = size};
}

static inline bool wr_ok(const struct wr *w)
{
	return !w->overflow;
}

/* Reserves `size` bytes and returns where they stand, or NULL (and overflow) if they do not fit. */
static inline uint8_t *wr_reserve(struct wr *w, size_t size)
{
	uint8_t *p;

	if (w->overflow || w->size - w->n < size) {
		w->overflow = true;
		return NULL;
	}
	p = w->buf + w->n;
	w->n += size;
	return p;
}

static inline void wr_bytes(struct wr *w, const void *data, size_t size)
{
	uint8_t *p = wr_reserve(w, size);

	if (p && size)
		memcpy(p, data, size);
}

static inline void wr_zero(struct wr *w, size_t size)
{
	uint8_t *p = wr_reserve(w, size);

	if (p)
		memset(p, 0, size);
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	wr_bytes(w, &v, 1);
}

static inline void wr_u16(struct wr *w, uint16_t v)
{
	const uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	wr_bytes(w, b, sizeof(b));
}

static inline void wr_u32(struct wr *w, uint32_t v)
{
	const uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
			      (uint8_t)v};

	wr_bytes(w, b, sizeof(b));
}

static inline void wr_u64(struct wr *w, uint64_t v)
{
	uint8_t b[8];

	for (unsigned i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> (56 - 8 * i));
	wr_bytes(w, b, sizeof(b));
}

/* Overwrites 16 bits at offset `at`, which must have been written before. */
static inline void wr_patch16(struct wr *w, size_t at, size_t v)
{
	if (w->overflow)
		return;
	if (at + 2 > w->n || v > UINT16_MAX) {
		w->overflow = true;
		return;
	}
	w->buf[at] = (uint8_t)(v >> 8);
	w->buf[at + 1] = (uint8_t)v;
}

/* Writes a 16-bit placeholder and returns its offset. */
static inline size_t wr_open16(struct wr *w)
{
	const size_t at = w->n;

	wr_u16(w, 0);
	return at;
}

/* Patches the placeholder at `at` with the distance from `from` to here. */
static inline void wr_close16(struct wr *w, size_t at, size_t from)
{
	wr_patch16(w, at, w->n - from);
}

#endif
