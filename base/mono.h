/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mono: points on the monotonic clock and distances between them, as distinct types so that units
 * and points cannot be mixed. Cores never read a clock: each event brings its time.
 */
#ifndef BASE_MONO_H
#define BASE_MONO_H

#include <stdbool.h>
#include <stdint.h>

/* A point in time: nanoseconds since an arbitrary origin. MONO_NEVER lies after every other. */
struct mono {
	uint64_t ns;
};

/* A distance in time, nanoseconds, never negative. */
struct mono_span {
	uint64_t ns;
};

#define MONO_NEVER ((struct mono){UINT64_MAX})

static inline struct mono_span span_ns(uint64_t ns)
{
	return (struct mono_span){ns};
}

static inline struct mono_span span_us(uint64_t us)
{
	return (struct mono_span){us * 1000};
}

static inline struct mono_span span_ms(uint64_t ms)
{
	return (struct mono_span){ms * 1000000};
}

static inline struct mono_span span_s(uint64_t s)
{
	return (struct mono_span){s * 1000000000};
}

static inline uint64_t span_to_ms(struct mono_span d)
{
	return d.ns / 1000000;
}

/* t + d, or MONO_NEVER when that would overflow. */
static inline struct mono mono_add(struct mono t, struct mono_span d)
{
	return t.ns > UINT64_MAX - d.ns ? MONO_NEVER : (struct mono){t.ns + d.ns};
}

/* later - earlier, or 0 when `later` is not later. */
static inline struct mono_span mono_since(struct mono later, struct mono earlier)
{
	return (struct mono_span){later.ns > earlier.ns ? later.ns - earlier.ns : 0};
}

static inline bool mono_before(struct mono a, struct mono b)
{
	return a.ns < b.ns;
}

static inline bool mono_reached(struct mono now, struct mono deadline)
{
	return now.ns >= deadline.ns;
}

static inline struct mono mono_min(struct mono a, struct mono b)
{
	return a.ns < b.ns ? a : b;
}

static inline bool mono_is_never(struct mono t)
{
	return t.ns == UINT64_MAX;
}

/* For shells only: reads CLOCK_MONOTONIC. */
struct mono mono_now(void);

#endif
