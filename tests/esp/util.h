/* SPDX-License-Identifier: Apache-2.0 */
/* util: what the tests of esp/ share: suites, threads, SA pairs, inner packets, guarded memory. */
#ifndef TESTS_ESP_UTIL_H
#define TESTS_ESP_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "esp/esp.h"
#include "esp/esp_int.h"

/* A deterministic generator: its seed is a constant of the test. */
struct rng {
	uint64_t s;
};
uint64_t rng_next(struct rng *r);
uint32_t rng_below(struct rng *r, uint32_t n);
void rng_fill(struct rng *r, void *out, size_t size);

struct suite_row {
	uint16_t encr, bits, integ;
};
#define N_SUITE_ROWS 25
extern const struct suite_row suite_rows[]; /* every suite there is */
extern const size_t n_suite_rows;
struct esp_suite suite_of(const struct suite_row *row);

/* Whether a backend works on this CPU; and for this suite. "vaes" needs more than every CPU has. */
bool backend_works(const struct esp_backend *b);
bool backend_serves(const struct esp_backend *b, const struct suite_row *row);

/* A thread's tools with a deterministic source of IVs. */
void thread_init(struct esp_thread *t, const struct esp_backend *b);
void thread_fini(struct esp_thread *t);

/* Fixed keys, addresses 192.0.2.1 and 198.51.100.2, selectors that pass everything, window 1024. */
struct esp_sa_cfg cfg_of(const struct suite_row *row);
/* The same SA as its other end sees it. */
struct esp_sa_cfg cfg_mirror(const struct esp_sa_cfg *cfg);
extern const uint8_t test_encr_key[36], test_integ_key[64];

/* Both halves of one SA: `in` opens what `out` seals. */
struct pair {
	struct esp_thread out_thread, in_thread;
	struct esp_sa_cfg cfg;
	struct esp_out *out;
	struct esp_in *in;
};
void pair_init(struct pair *p, const struct esp_sa_cfg *cfg, const struct esp_backend *sealer,
	       const struct esp_backend *opener);
void pair_fini(struct pair *p);

/* Memory of `size` bytes that ends at, and begins after, a page that cannot be touched; the exact
 * end is at the page's edge, the start as near as alignment allows. */
struct guarded {
	uint8_t *data;
	size_t size;
	void *map;
	size_t map_size;
};
void guarded_init(struct guarded *g, size_t size);
void guarded_fini(struct guarded *g);

#define HEADROOM 128u
#define TAILROOM 128u
#define BUF_SIZE 4096u

/* One packet buffer with ample rooms. */
struct buf {
	uint8_t mem[BUF_SIZE];
	struct esp_pkt pkt;
};

/* Whole inner packets: valid headers, a payload that counts up. `size` includes the header. */
void inner4_write(uint8_t *at, uint32_t size);
void inner6_write(uint8_t *at, uint32_t size);
void inner4_checksum(uint8_t *at); /* after a change to the header */
bool ip4_checksum_good(const uint8_t *at);
void buf_inner4(struct buf *b, uint32_t size);
void buf_inner6(struct buf *b, uint32_t size);
void buf_raw(struct buf *b, const uint8_t *data, uint32_t size);
void buf_copy(struct buf *to, const struct buf *from);

/* Seals an arbitrary payload (trailer included) as a native IPv4 packet of this SA. */
void craft(struct buf *b, const struct esp_backend *backend, const struct esp_sa_cfg *cfg,
	   uint64_t seq, const uint8_t *payload, uint32_t payload_size);
/* One packet through esp_decap(); returns its drop reason. */
enum esp_drop decap_one(struct pair *p, struct buf *b);
enum esp_drop encap_one(struct pair *p, struct buf *b);

#define assert_drop(got, want) assert_string_equal(esp_drop_name(got), esp_drop_name(want))

#endif
