/* SPDX-License-Identifier: Apache-2.0 */
/* esp_int: what the files of esp/ share: the SA halves, and where their backends are. */
#ifndef ESP_ESP_INT_H
#define ESP_ESP_INT_H

#include <assert.h>
#include <string.h>
#include "esp/bytes.h"
#include "esp/esp.h"
#include "esp/in_line.h"
#include "esp/inner.h"
#include "esp/outer.h"
#include "esp/quick.h"
#include "esp/replay.h"
#include "esp/ts.h"

#define ESP_PREFETCH_AHEAD 4u

/* A limit as configurations give it, 0 for none, as a number that packets can be compared with. */
static inline uint64_t esp_limit(uint64_t limit)
{
	return limit ? limit : UINT64_MAX;
}

/* The backend of a thread's that a suite gets; NULL: none. */
static inline const struct esp_aead *esp_thread_pick(const struct esp_thread *t,
						     const struct esp_suite *s)
{
	const size_t i = esp_suite_index(s);
	const struct esp_aead *a = t->aead;

	if (i < ESP_N_SUITES && t->chosen[i])
		return &t->aead[t->chosen[i] - 1];
	while (a->backend && !a->backend->supports(s))
		a++;
	return a->backend ? a : NULL;
}

/* b: one of the thread's. */
static inline void *esp_thread_ctx(const struct esp_thread *t, const struct esp_backend *b)
{
	const struct esp_aead *a = t->aead;

	while (a->backend != b)
		a++;
	return a->ctx;
}

/*
 * Where there are many SAs, each packet finds another, and each line of it in memory: what every packet
 * reads or writes stands in as few lines as it fits into: in one of each half (quick.h, in_line.h).
 */

struct esp_out {
	struct esp_out_line line __attribute__((aligned(ESP_LINE)));

	/* What only the longer way needs. */
	uint64_t first_seq;
	uint64_t bytes; /* those of `line` are not in it */
	bool soft_reached, exhausted;
	bool counter_iv, esn;
	uint8_t align_mask;
	uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes; /* UINT64_MAX = none */

	struct esp_ts_set ts;
	struct esp_outer outer;
	const struct esp_backend *backend;
	struct esp_suite suite;
};

static_assert(offsetof(struct esp_out, ts) <= 2 * ESP_LINE, "the state is in the first two lines");
static_assert(offsetof(struct esp_out, line) == 0, "what is quick finds its line at the beginning");

struct esp_in {
	struct esp_in_line line __attribute__((aligned(ESP_LINE)));

	/* What only the longer way needs. */
	struct esp_ts_set ts;
	uint64_t packets, bytes; /* those that `line` knows of are not in them */
	uint16_t quota_given;    /* line.quota at first */
	uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes; /* UINT64_MAX = none */
	struct ip_endpoint last_remote, last_local;
	uint64_t auth_failed, replayed, late, ts_mismatch, malformed;

	const struct esp_backend *backend;
	uint64_t window_bits[] __attribute__((aligned(ESP_LINE)));
};

static_assert(offsetof(struct esp_in, line) == 0, "the caller finds its room at the beginning");

#endif
