/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tape: ESP packets that the peer of the benchmark's first SA has made ahead, one sequence number after the
 * other, so that a generator of one thread can offer them as fast as a gateway takes them off. A tape is
 * made anew for each trial: the gateway's replay window stays as it is.
 */
#ifndef BENCH_TAPE_H
#define BENCH_TAPE_H

#include <stdbool.h>
#include <stdint.h>
#include "esp/esp.h"

struct tape_packet {
	uint32_t at; /* of the outer IP header, in `bytes` */
	uint32_t size;
};

struct tape {
	struct esp_thread thread;
	struct esp_out *peer;
	uint64_t random;
	uint8_t *bytes;
	struct tape_packet *packets;
	uint32_t n, next; /* made; the next one to be played */
};

/* Writes the inner packet with this number; returns its size. */
typedef uint32_t tape_write_fn(void *arg, uint8_t *at, uint64_t number);

/* False: no memory, or the suite is not supported. */
bool tape_init(struct tape *t, const struct esp_suite *suite);
void tape_fini(struct tape *t);

/* At most so many packets of `inner` bytes at a time. */
uint32_t tape_room(const struct tape *t, uint32_t inner);

/* Makes `n` packets in place of those that were there; false: not all could be made. */
bool tape_make(struct tape *t, uint32_t n, uint64_t first_number, tape_write_fn *write, void *arg);

#endif
