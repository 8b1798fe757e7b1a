/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters: what SAs have counted, told to everyone (include/twinbore/dp_stats.h).
 *
 * An SA's half counts in its own record, which its owner reads and writes for every packet anyway. The
 * shared counters are other memory, in small pages; where SAs alternate, each would be fetched for one packet.
 * So the owner notes which halves have news, and tells of them later:
 *
 *   - at the end of the round, before what it did is sent, if there are but a few;
 *   - in rounds that find no packet;
 *   - else the oldest at a steady pace, one in ten microseconds, so that it takes time in proportion to
 *     their number: 10 ms for 1,000 halves, and never much more than a second.
 *
 * What was not told when a half is freed, the manager tells of for its tunnel.
 */
#ifndef DATAPLANE_COUNTERS_H
#define DATAPLANE_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>
#include "dataplane/sa.h"

struct dp_worker;

/* A worker's: a circle of halves with news, the oldest first. */
struct dp_counters {
	uint32_t *halves; /* slot << 1 | inbound */
	uint32_t mask;    /* places - 1 */
	uint32_t head, n;
	uint64_t step_tsc, last_step; /* busy time, in TSC cycles */
};

bool dp_counters_init(struct dp_counters *c, uint32_t max_sas, uint64_t tsc_hz);
void dp_counters_fini(struct dp_counters *c);

static inline void dp_counters_add(struct dp_counters *c, bool *has_news, uint32_t half)
{
	/* Without room, which halves that come and go might use up: the next packet's turn. */
	if (*has_news || c->n > c->mask)
		return;
	*has_news = true;
	c->halves[(c->head + c->n++) & c->mask] = half;
}

static inline void dp_counters_note_out(struct dp_counters *c, struct dp_out *o)
{
	dp_counters_add(c, &o->near.has_news, o->near.slot << 1);
}

static inline void dp_counters_note_in(struct dp_counters *c, struct dp_in *in)
{
	struct dp_in_room *room = dp_in_room(in);

	dp_counters_add(c, &room->has_news, (room->spi & DP_SLOT_MASK) << 1 | 1);
}

/* At the end of a round that has found `n` packets. */
void dp_counters_round(struct dp_worker *w, uint16_t n);
/* Everything, at once. */
void dp_counters_tell_all(struct dp_worker *w);

/* For the manager, of a half that no worker uses any more. */
void dp_counters_last_out(struct dp *dp, const struct dp_out *o);
void dp_counters_last_in(struct dp *dp, const struct dp_in *in);

#endif
