/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_rx: takes messages from the control processes' rings. See ring_rx.h.
 *
 * base/ring.h copies a message once and wipes its slot; what is checked and used here is the copy,
 * which is wiped too. A producer that breaks the ring's rules is not read from any more until the
 * supervisor passes a new ring.
 */
#include "dataplane/ring_rx.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/secret.h"
#include "dataplane/dp.h"
#include "dataplane/manager.h"

#define MAX_AT_ONCE 256 /* messages of one ring before the others have their turn */
#define ROUTES_COST 16  /* of one message with many routes */
/* After which the others have their turn, too, be it in the middle of a batch: packets of BFD pass the
 * manager, and where a table's memory is touched for the first time one route takes as long. */
#define SERVE_TIMES_A_SECOND 1000

static const char *const channel_names[DP_N_CHANNELS] = {"sa", "fib"};

bool dp_rings_init(struct dp_rings *r)
{
	memset(r, 0, sizeof(*r));
	for (int i = 0; i < DP_N_CHANNELS; i++) {
		struct dp_channel *c = &r->ch[i];

		c->request.bell = c->event.bell = -1;
		c->request.shm.fd = c->event.shm.fd = -1;
		c->backlog = calloc(DP_BACKLOG, sizeof(*c->backlog));
		if (!c->backlog)
			return false;
	}
	return true;
}

static void ring_close(struct dp_ring *r)
{
	shm_close(&r->shm);
	if (r->bell >= 0)
		close(r->bell);
	*r = (struct dp_ring){.bell = -1, .shm = {.fd = -1}};
}

void dp_rings_fini(struct dp_rings *r)
{
	for (int i = 0; i < DP_N_CHANNELS; i++) {
		ring_close(&r->ch[i].request);
		ring_close(&r->ch[i].event);
		free(r->ch[i].backlog);
		r->ch[i].backlog = NULL;
	}
}

bool dp_rings_attach(struct dp *dp, const struct ipc_ring *m, int fd, int bell, char *error,
		     size_t error_size)
{
	const bool sa = m->kind == IPC_RING_SA || m->kind == IPC_RING_SA_EVENT;
	const bool request = m->kind == IPC_RING_SA || m->kind == IPC_RING_FIB;
	const uint32_t slot_size = request ? DP_MSG_SIZE : DP_EVENT_SIZE;
	const size_t size = ring_size(DP_RING_SLOTS, slot_size);
	struct dp_channel *c = &dp->rings.ch[sa ? DP_CHANNEL_SA : DP_CHANNEL_FIB];
	struct dp_ring *r = request ? &c->request : &c->event;
	struct dp_ring fresh = {.bell = bell, .shm = {.fd = -1}};

	bool ok = m->kind >= IPC_RING_SA && m->kind <= IPC_RING_FIB_EVENT &&
		  m->n_slots == DP_RING_SLOTS && m->slot_size == slot_size && bell >= 0;

	if (ok)
		ok = shm_attach(&fresh.shm, fd, size, true); /* owns fd */
	else if (fd >= 0)
		close(fd);
	if (!ok) {
		snprintf(error, error_size,
			 "the ring of kind %u that the supervisor passed has not the agreed shape: "
			 "all programs must be of one version",
			 m->kind);
		if (bell >= 0)
			close(bell);
		return false;
	}
	if (request ? !ring_attach_consumer(&fresh.end, fresh.shm.map, size, DP_RING_SLOTS,
					    slot_size)
		    : !ring_attach_producer(&fresh.end, fresh.shm.map, size, DP_RING_SLOTS,
					    slot_size)) {
		snprintf(error, error_size, "the ring of kind %u has no valid header", m->kind);
		ring_close(&fresh);
		return false;
	}
	if (request && r->bell >= 0)
		dp_watch_del(dp, r->bell);
	ring_close(r);
	*r = fresh;
	if (request) {
		/* Who sent the earlier requests is gone: nobody waits for their answers. */
		c->generation++;
		c->n_in_grace = 0;
		c->batch_under_way = false;
		if (!sa)
			dp_fib_owner_new(dp);
		return dp_watch_add(dp, bell, DP_WATCH_BELL, sa ? DP_CHANNEL_SA : DP_CHANNEL_FIB);
	}
	c->backlog_n = 0;
	return true;
}

static void ring_bell(int bell)
{
	const uint64_t one = 1;

	if (bell >= 0 && write(bell, &one, sizeof(one)) < 0)
		log_debug("a doorbell is full already");
}

static void backlog_flush(struct dp_channel *c)
{
	bool pushed = false;

	while (c->backlog_n && ring_push(&c->event.end, &c->backlog[c->backlog_head])) {
		c->backlog_head = (c->backlog_head + 1) % DP_BACKLOG;
		c->backlog_n--;
		pushed = true;
	}
	if (pushed)
		ring_bell(c->event.bell);
}

bool dp_rings_room(const struct dp *dp, enum dp_channel_kind ch, uint32_t n)
{
	return dp->rings.ch[ch].backlog_n + n <= DP_BACKLOG / 2;
}

void dp_rings_event(struct dp *dp, enum dp_channel_kind ch, const struct dp_event *ev)
{
	struct dp_channel *c = &dp->rings.ch[ch];

	if (c->event.bell < 0)
		return;
	/* Acknowledgements are owed: half of the backlog is kept for them. */
	if (c->backlog_n >= (ev->type == DP_EV_ACK ? DP_BACKLOG : DP_BACKLOG / 2)) {
		c->n_lost++;
		return;
	}
	c->backlog[(c->backlog_head + c->backlog_n++) % DP_BACKLOG] = *ev;
	backlog_flush(c);
}

static void acknowledge(struct dp *dp, enum dp_channel_kind ch, const struct dp_ack *ack)
{
	const struct dp_event ev = {.type = DP_EV_ACK, .ack = *ack};

	dp_rings_event(dp, ch, &ev);
}

/* After the grace period. arg: generation << 33 | channel << 32 | seq. */
static void acknowledge_later(void *ctx, void *object, uint64_t arg)
{
	struct dp *dp = ctx;
	const enum dp_channel_kind ch = arg >> 32 & 1 ? DP_CHANNEL_FIB : DP_CHANNEL_SA;
	const struct dp_ack ack = {.seq = (uint32_t)arg, .status = DP_OK};
	struct dp_channel *c = &dp->rings.ch[ch];

	if ((uint32_t)(arg >> 33) != (c->generation & 0x7fffffff))
		return;
	c->n_in_grace--;
	acknowledge(dp, ch, &ack);
}

static enum dp_status carry_out_sa(struct dp *dp, const struct dp_msg *m)
{
	switch (m->type) {
	case DP_SA_ADD_IN: return dp_sa_add_in(dp, &m->sa);
	case DP_SA_ADD_OUT: return dp_sa_add_out(dp, &m->sa);
	case DP_SA_SWITCH: return dp_sa_switch(dp, &m->ref);
	case DP_SA_DEL_IN: return dp_sa_del_in(dp, &m->ref);
	case DP_SA_DEL_OUT: return dp_sa_del_out(dp, &m->ref);
	case DP_SA_PEER: return dp_sa_peer(dp, &m->peer);
	case DP_SA_FLUSH: dp_sa_flush(dp); return DP_OK;
	case DP_SA_LIST: return dp_sa_list(dp, m->seq, &m->ref);
	default: return DP_ERR_MALFORMED;
	}
}

static enum dp_status carry_out_fib(struct dp *dp, const struct dp_msg *m)
{
	switch (m->type) {
	case DP_TUNNEL_SET: return dp_tunnel_set(dp, &m->tunnel);
	case DP_TUNNEL_DEL: return dp_tunnel_del(dp, &m->tunnel);
	case DP_GROUP_SET: return dp_group_set(dp, &m->group);
	case DP_GROUP_DEL: return dp_group_del(dp, &m->group);
	case DP_ROUTE_SET: return dp_route_set(dp, &m->route);
	case DP_ROUTE_DEL: return dp_route_del(dp, &m->route);
	case DP_SWEEP: return dp_sweep(dp);
	default: return DP_ERR_MALFORMED;
	}
}

static void answer(struct dp *dp, enum dp_channel_kind ch, const struct dp_msg *m,
		   struct dp_ack *ack)
{
	struct dp_channel *c = &dp->rings.ch[ch];

	ack->seq = m->seq;
	if (ack->status == DP_OK) {
		c->n_in_grace++;
		dp_grace_defer(&dp->grace, acknowledge_later, dp, NULL,
			       (uint64_t)c->generation << 33 | (uint64_t)ch << 32 | m->seq);
		return;
	}
	log_debug("%s ring: message %u (type %u) was refused: %d", channel_names[ch], m->seq,
		  m->type, (int)ack->status);
	acknowledge(dp, ch, ack);
}

/* Goes on with the batch that is under way; false: the time is over before it is done. */
static bool go_on(struct dp *dp, struct dp_channel *c, uint64_t until)
{
	c->batch_under_way = !dp_routes(dp, &c->batch.routes, &c->work, until);
	if (!c->batch_under_way)
		answer(dp, DP_CHANNEL_FIB, &c->batch, &c->work.ack);
	return !c->batch_under_way && rte_rdtsc() < until;
}

/* True if there is more that could be carried out. */
static bool serve(struct dp *dp, enum dp_channel_kind ch)
{
	struct dp_channel *c = &dp->rings.ch[ch];
	const uint64_t until = rte_rdtsc() + rte_get_tsc_hz() / SERVE_TIMES_A_SECOND;
	bool more = true;
	struct dp_msg m;

	if (c->batch_under_way && !go_on(dp, c, until))
		return true;
	for (int i = 0; i < MAX_AT_ONCE; i++) {
		/* No more requests than answers can be kept. */
		if (c->backlog_n + c->n_in_grace >= DP_BACKLOG || !ring_pop(&c->request.end, &m)) {
			more = false;
			break;
		}
		if (ch == DP_CHANNEL_FIB && m.type == DP_ROUTES) {
			i += ROUTES_COST - 1;
			c->batch = m;
			c->work = (struct dp_routes_work){.at = 0};
			if (!go_on(dp, c, until))
				break;
		} else {
			struct dp_ack ack = {
				.status = ch == DP_CHANNEL_SA ? carry_out_sa(dp, &m)
							      : carry_out_fib(dp, &m),
			};

			answer(dp, ch, &m, &ack);
		}
	}
	bytes_wipe(&m, sizeof(m));
	return more;
}

bool dp_rings_poll(struct dp *dp)
{
	bool more = false;

	for (int ch = 0; ch < DP_N_CHANNELS; ch++) {
		struct dp_channel *c = &dp->rings.ch[ch];

		if (c->backlog_n)
			backlog_flush(c);
		if (c->request.bell < 0)
			continue;
		if (c->batch_under_way || ring_count(&c->request.end) > 0)
			more = serve(dp, (enum dp_channel_kind)ch) || more;
		if (c->request.end.broken && !c->request.broken_told) {
			c->request.broken_told = true;
			log_error("the %s ring's producer broke its rules: it is not read any more",
				  channel_names[ch]);
		}
	}
	return more;
}
