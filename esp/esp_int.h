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
 * reads or writes stands in as few lines as it fits into: in three of an outbound half, in one of an inbound
 * half (in_line.h).
 */
#define ESP_OUT_COMMON (3 * ESP_LINE)

struct esp_out {
	/* Read for each packet, written by esp_out_new and esp_out_set_peer only. */
	struct esp_key *key;
	uint32_t spi;
	uint8_t aead; /* which of a thread's backends */
	bool counter_iv, esn;
	uint8_t icv_size, align_mask;
	/* Written by the thread that encapsulates. */
	struct esp_out_state state;
	uint64_t seq_left; /* numbers that may still be used, state.next_seq included */

	struct esp_ts_set ts;
	uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes; /* UINT64_MAX = none */

	struct esp_outer outer; /* its last part is for IPv6 and UDP */

	const struct esp_backend *backend;
	struct esp_suite suite;
} __attribute__((aligned(ESP_LINE)));

static_assert(offsetof(struct esp_out, ts) == ESP_LINE, "esp_out's first line");
static_assert(offsetof(struct esp_out, outer) == 2 * ESP_LINE, "esp_out's second line");
static_assert(offsetof(struct esp_out, outer.prefix) + 36 <= ESP_OUT_COMMON,
	      "the prefix of ESP over IPv4 stands in the common lines");

struct esp_in {
	struct esp_in_line line;

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
