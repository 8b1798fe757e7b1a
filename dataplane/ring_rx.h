/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_rx: the shared-memory rings from the ike and route processes: takes messages, has them
 * checked and carried out, and acknowledges each after a grace period.
 */
#ifndef DATAPLANE_RING_RX_H
#define DATAPLANE_RING_RX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/ring.h"
#include "base/shm.h"
#include "dataplane/tunnel.h"
#include "twinbore/dp_msg.h"
#include "twinbore/ipc.h"

struct dp;

enum dp_channel_kind {
	DP_CHANNEL_SA,
	DP_CHANNEL_FIB,
	DP_N_CHANNELS,
};

#define DP_BACKLOG (2 * DP_RING_SLOTS) /* events that wait for room in the return ring */

struct dp_ring {
	struct shm shm;
	struct ring_end end;
	int bell; /* eventfd; -1: no ring */
	bool broken_told;
};

struct dp_channel {
	struct dp_ring request, event;
	uint32_t
		generation; /* of the request ring: late acknowledgements of an older one are dropped */
	uint32_t n_in_grace;  /* requests of this generation that wait for their grace period */
	bool batch_under_way; /* of routes: what comes after it waits */
	struct dp_msg batch;
	struct dp_routes_work work;
	struct dp_event *backlog; /* a circle of DP_BACKLOG */
	uint32_t backlog_head, backlog_n;
	uint64_t n_lost; /* events for which there was no room at all */
};

struct dp_rings {
	struct dp_channel ch[DP_N_CHANNELS];
};

bool dp_rings_init(struct dp_rings *r);
void dp_rings_fini(struct dp_rings *r);

/* Takes over a ring from the supervisor; owns both descriptors. False with a text in `error`. */
bool dp_rings_attach(struct dp *dp, const struct ipc_ring *m, int fd, int bell, char *error,
		     size_t error_size);

/* Carries out what waits in the request rings, for a millisecond or so. True if there may be more. */
bool dp_rings_poll(struct dp *dp);
/* True if `n` events that are no acknowledgements find room. */
bool dp_rings_room(const struct dp *dp, enum dp_channel_kind ch, uint32_t n);
void dp_rings_event(struct dp *dp, enum dp_channel_kind ch, const struct dp_event *ev);

#endif
