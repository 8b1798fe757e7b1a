/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traffic: the packets of a benchmark, and the peers at the other end of its tunnels.
 *
 * SA i is tunnel i's and group i's; prefix p is routed to group p mod n_sas. Packets, or trains of them,
 * go to prefixes drawn at random, so that each is likely to be another SA's than the one before. The peers are
 * esp/ halves with the same keys: they make what is to be decapsulated, and open what was sent.
 */
#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>
#include "bench/inner.h"
#include "bench/tunnels.h"
#include "bench/world.h"

#define TRAFFIC_IMIX 0u /* as a size: 7:4:1 of 64, 594 and 1518 bytes */

struct traffic_opts {
	struct tunnels_form form;
	uint32_t n_sas;
	uint32_t n_prefixes; /* at least n_sas */
	bool per_worker; /* RFC 9611: one tunnel, for each worker an outbound SA; n_sas is 1 then */
	bool aligned; /* a queue gets packets of its own worker's tunnels only, as by flow rules */
	uint32_t pieces; /* frames come in segments of at most so many bytes; 0: whole */
};

struct traffic {
	struct world *w;
	struct traffic_opts o;
	struct esp_thread peer_thread;  /* makes packets */
	struct esp_thread check_thread; /* opens them, by another backend where there is one */
	struct esp_out **peer_out;
	uint64_t random;
	uint32_t train;        /* so many packets follow each other to one prefix; at least 1 */
	uint32_t prefix, left; /* of the train that is on its way, for `queue` */
	unsigned queue;
	bool in_turn; /* prefixes are not drawn: packets come to SA after SA */
	uint32_t turn;
	struct inner inner;
};

/* Installs everything by the manager's handlers. False with a text. */
bool traffic_init(struct traffic *t, struct world *w, const struct traffic_opts *o,
		  char error[WORLD_ERROR]);

/* From the next packet on. */
void traffic_set_train(struct traffic *t, uint32_t n);

/* The name of the backend that the SAs use. */
const char *traffic_backend(const struct traffic *t);

/* The inner size of the i-th packet of a burst, and the mean of all. */
uint32_t traffic_size(uint32_t size, unsigned i);
double traffic_mean(uint32_t size);

/* `n` frames as a port receives them: inner packets, or ESP in tunnels. False: no mbufs. */
bool traffic_plain(struct traffic *t, struct rte_mbuf **m, unsigned n, uint32_t size,
		   unsigned queue);
bool traffic_esp(struct traffic *t, struct rte_mbuf **m, unsigned n, uint32_t size, unsigned queue);

/* As a driver scatters frames that fit none of its buffers: into `pieces`. False: no mbufs. */
bool traffic_scatter(struct traffic *t, struct rte_mbuf **m, unsigned n);

/* Whether a frame that the dataplane sent is what it should be; false with a text. */
bool traffic_check_esp(struct traffic *t, struct rte_mbuf *m, char error[WORLD_ERROR]);
bool traffic_check_plain(struct traffic *t, struct rte_mbuf *m, char error[WORLD_ERROR]);

#endif
