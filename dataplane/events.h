/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events: what the dataplane tells the ike process about SAs, and the route process about ports.
 * Workers raise bits on an SA half and put its slot on a ring; the manager turns them into events.
 */
#ifndef DATAPLANE_EVENTS_H
#define DATAPLANE_EVENTS_H

#include <stdint.h>
#include <rte_mbuf.h>
#include "base/mono.h"
#include "twinbore/dp_msg.h"

struct dp;
struct dp_in;
struct dp_out;
struct dp_worker;

struct dp_events {
	uint32_t spi_tokens; /* DP_EV_INVALID_SPI that may still be sent in this interval */
	struct mono spi_refill;
};

/* For an owner: raises bits that were not raised before. */
void dp_raise_in(struct dp_worker *w, struct dp_in *in, uint32_t bits);
void dp_raise_out(struct dp_worker *w, struct dp_out *out, uint32_t bits);

/* For the manager. */
void dp_events_take(struct dp *dp);
void dp_event_unknown_spi(struct dp *dp, struct rte_mbuf *m); /* frees m; it is counted already */
void dp_event_port_link(struct dp *dp, unsigned port, bool up);
void dp_events_tick(struct dp *dp); /* tells again of peers that moved until DP_SA_PEER answers */
/* An inbound half goes: nothing refers to it any more. */
void dp_events_forget(struct dp *dp, struct dp_in *in);

#endif
