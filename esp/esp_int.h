/* SPDX-License-Identifier: Apache-2.0 */
/* esp_int: what the files of esp/ share: the SA halves, and where their backends are. */
#ifndef ESP_ESP_INT_H
#define ESP_ESP_INT_H

#include <assert.h>
#include <string.h>
#include "esp/bytes.h"
#include "esp/esp.h"
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

struct esp_out {
	/* Read for each packet, written by esp_out_new and esp_out_set_peer only. */
	struct esp_key *key;
	uint8_t aead; /* which of a thread's backends */
	bool counter_iv, esn;
	uint8_t icv_size, align_mask;
	uint32_t spi;
	struct esp_ts_set ts;
	struct esp_outer outer;

	/* Written by the thread that encapsulates. */
	struct esp_out_state state;
	uint64_t seq_left; /* numbers that may still be used, state.next_seq included */

	uint64_t soft_seq_left; /* implicit soft limit: see out.c */
	uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes; /* UINT64_MAX = none */
	struct esp_suite suite;
	const struct esp_backend *backend;
};

struct esp_in {
	struct esp_key *key;
	uint8_t aead; /* which of a thread's backends */
	uint8_t iv_size, icv_size, align_mask;
	struct esp_replay replay;
	struct esp_ts_set ts;

	/* Written by the thread that decapsulates. */
	struct esp_in_state state;

	uint64_t next_packets, next_bytes;                           /* the nearest of these: */
	uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes; /* UINT64_MAX = none */
	const struct esp_backend *backend;
	uint64_t window_bits[];
};

#endif
