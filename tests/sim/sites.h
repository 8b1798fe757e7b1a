/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sites: a customer gateway and a virtual private gateway with two tunnels between them, each by an
 * underlay of its own, and hosts that send to each other every millisecond.
 *
 * What must hold:
 *   - While a path works (its underlay lets everything through, and both ends have an SA, BFD and BGP on it
 *     and forward by it), nothing is lost but what the network loses by chance, and what is sent within
 *     `bound` after something was broken.
 *   - A path that nothing disturbs works after a while.
 *   - No packet that came out of a tunnel goes into one; none leaves a gateway but by an SA.
 */
#ifndef SIM_SITES_H
#define SIM_SITES_H

#include "tests/sim/site.h"

#define SITES_MULTIPLIER 3    /* of BFD's detection */
#define SITES_KEPT       1024 /* packets whose fate is still open */

struct sites_path {
	bool cut[2];   /* nothing reaches this site */
	unsigned loss; /* percent */
	uint64_t delay_us, jitter_us;
	bool blind; /* it was broken before BFD was up: who sends by it hears of that by DPD or BGP */
	struct mono cut_at;      /* when it was cut for the last time */
	struct mono ready_since; /* MONO_NEVER: it is not */
};

enum sites_fate {
	FATE_OPEN, /* on its way, or lost where nobody counts */
	FATE_ARRIVED,
	FATE_CHANCE, /* the network's */
	FATE_CUT,
	FATE_NO_ROUTE,
	FATE_NO_TUNNEL,
	FATE_NO_SA,
};

struct sites_packet {
	uint64_t number;
	struct mono at;
	enum sites_fate fate;
	uint32_t tunnel;
	bool excused; /* sent within `bound` after something was broken, or by a path that was blind */
};

struct sites {
	struct world *w;
	struct site site[SIM_NODES];
	struct sites_path path[SITE_TUNNELS];
	struct rng rng;
	struct mono disturbed; /* the last time that something was broken */
	struct mono_span bound;
	enum sites_fate verdict; /* of the network, on the last packet */
	uint64_t number;         /* of the last packet of each direction */
	struct sites_packet kept[SIM_NODES][SITES_KEPT];
	uint64_t n_lost[SIM_NODES], n_arrived[SIM_NODES], n_checked;
	struct mono arrived[SIM_NODES];      /* the last one that came from this site */
	struct mono_span longest[SIM_NODES]; /* without one */
	struct mono next_report;
	bool quiet; /* no host sends */
};

/* `w` is fresh; change cfg before sites_start(). */
void sites_init(struct sites *s, struct world *w);
bool sites_start(struct sites *s);
void sites_fini(struct sites *s);
void sites_run(struct sites *s, struct mono_span d);
/* Runs until all paths are ready, at most so long. */
bool sites_until_ready(struct sites *s, struct mono_span limit);
bool sites_ready(const struct sites *s, uint32_t tunnel);
/* From now on packets may be lost for `bound`. */
void sites_disturb(struct sites *s);
/* Begins to count gaps anew. */
void sites_watch(struct sites *s);

/* An operator ends an IKE SA. */
void sites_terminate(struct sites *s, int site, uint32_t tunnel);

/* Faults. */
void sites_cut(struct sites *s, uint32_t tunnel, bool to_a, bool to_b);
void sites_heal(struct sites *s);
void sites_end_route(struct sites *s, int site);
void sites_start_route(struct sites *s, int site);
void sites_restart_dataplane(struct sites *s, int site);
void sites_power(struct sites *s, int site, bool on);

#endif
