/* SPDX-License-Identifier: Apache-2.0 */
/* events: from bits that workers raise to messages on the return rings. See events.h. */
#include "dataplane/events.h"

#include <string.h>
#include "base/log.h"
#include "dataplane/dp.h"

#define OUT_HALF        (1ull << 32)
#define MOVED_AGAIN     span_s(1) /* until the ike process answers with DP_SA_PEER */
#define SPI_EVENTS      5         /* DP_EV_INVALID_SPI in an interval */
#define SPI_INTERVAL    span_ms(500)
#define ENDPOINT_NATIVE 0

/* False if there was no room: the bits are to be raised again. */
static bool announce(struct dp_worker *w, uint64_t half, uint32_t slot)
{
	if (rte_ring_mp_enqueue(w->dp->sa_events, (void *)(uintptr_t)(half | slot)) != 0)
		return false;
	dp_wake(w->dp);
	return true;
}

void dp_raise_in(struct dp_worker *w, struct dp_in *in, uint32_t bits)
{
	uint32_t before = __atomic_load_n(&in->events, __ATOMIC_ACQUIRE);

	bits &= ~((uint32_t)dp_in_room(in)->reported & ~(uint32_t)DP_SA_EV_MOVED);
	if (bits & DP_SA_EV_MOVED) {
		/* The manager has not taken the last one yet: it will be seen with the next burst. */
		if (before & DP_SA_EV_MOVED) {
			in->seen = in->moved;
			bits &= ~(uint32_t)DP_SA_EV_MOVED;
		} else {
			in->moved = in->seen;
		}
	}
	if (!bits)
		return;
	before = __atomic_fetch_or(&in->events, bits, __ATOMIC_ACQ_REL);
	if (before == 0 && !announce(w, 0, in->slot)) {
		(void)__atomic_fetch_and(&in->events, ~bits, __ATOMIC_ACQ_REL);
		if (bits & DP_SA_EV_MOVED)
			in->seen = (struct ip_endpoint){.port = ENDPOINT_NATIVE};
		return;
	}
	dp_in_room(in)->reported |= (uint8_t)bits;
}

void dp_raise_out(struct dp_worker *w, struct dp_out *o, uint32_t bits)
{
	bits &= ~(uint32_t)o->reported;
	if (!bits)
		return;
	if (__atomic_fetch_or(&o->events, bits, __ATOMIC_ACQ_REL) == 0 &&
	    !announce(w, OUT_HALF, o->slot)) {
		(void)__atomic_fetch_and(&o->events, ~bits, __ATOMIC_ACQ_REL);
		return;
	}
	o->reported |= (uint16_t)bits;
}

static struct dp_endpoint to_wire(const struct ip_endpoint *e)
{
	struct dp_endpoint w = {.port = e->port};

	w.addr.family = e->addr.family;
	memcpy(w.addr.b, e->addr.b, sizeof(w.addr.b));
	return w;
}

static void tell(struct dp *dp, enum dp_event_type type, const struct dp_sa_event *sa)
{
	const struct dp_event ev = {.type = type, .sa = *sa};

	dp_rings_event(dp, DP_CHANNEL_SA, &ev);
}

/* What ike believes the peer's endpoint is: that of the outbound half, else what it installed. */
static const struct ip_endpoint *believed(const struct dp *dp, const struct dp_in *in)
{
	const struct dp_out *o = dp->sas.out[in->slot];

	return o && o->tunnel == in->tunnel ? &o->path->remote : &in->remote;
}

static bool elsewhere(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
	if (!ip_equal(&a->addr, &b->addr))
		return true;
	/* Native ESP has no port; then only the address tells. */
	return a->port != ENDPOINT_NATIVE && b->port != ENDPOINT_NATIVE && a->port != b->port;
}

static void send_moved(struct dp *dp, const struct dp_in *in)
{
	const struct dp_sa_event ev = {
		.slot = in->slot,
		.spi = in->spi,
		.tunnel = in->tunnel,
		.local = to_wire(&in->local),
		.remote = to_wire(&in->moved_to),
	};

	tell(dp, DP_EV_PEER_MOVED, &ev);
}

static void moved_unlink(struct dp *dp, struct dp_in *in)
{
	struct dp_in **at = &dp->sas.moved;

	while (*at && *at != in)
		at = &(*at)->next_moved;
	if (*at)
		*at = in->next_moved;
	in->in_moved = false;
}

static void peer_moved(struct dp *dp, struct dp_in *in)
{
	in->moved_to = in->moved;
	if (!elsewhere(&in->moved_to, believed(dp, in))) {
		if (in->in_moved)
			moved_unlink(dp, in);
		return;
	}
	if (!in->in_moved) {
		in->in_moved = true;
		in->next_moved = dp->sas.moved;
		dp->sas.moved = in;
	} else if (mono_before(dp->now, in->moved_next)) {
		return; /* the tick tells it when it is time */
	}
	in->moved_next = mono_add(dp->now, MOVED_AGAIN);
	send_moved(dp, in);
}

void dp_events_forget(struct dp *dp, struct dp_in *in)
{
	if (in->in_moved)
		moved_unlink(dp, in);
}

static void take_in(struct dp *dp, struct dp_in *in)
{
	const uint32_t bits = __atomic_load_n(&in->events, __ATOMIC_ACQUIRE);
	const struct dp_sa_event ev = {
		.slot = in->slot,
		.spi = in->spi,
		.tunnel = in->tunnel,
		.local = to_wire(&in->local),
		.remote = to_wire(believed(dp, in)),
	};

	if (bits & DP_SA_EV_MOVED)
		peer_moved(dp, in);
	(void)__atomic_fetch_and(&in->events, ~bits, __ATOMIC_ACQ_REL);
	if (bits & DP_SA_EV_FIRST)
		tell(dp, DP_EV_FIRST_IN, &ev);
	if (bits & DP_SA_EV_SOFT)
		tell(dp, DP_EV_SOFT_EXPIRE, &ev);
	if (bits & DP_SA_EV_HARD)
		tell(dp, DP_EV_HARD_EXPIRE, &ev);
}

static void take_out(struct dp *dp, struct dp_out *o)
{
	const uint32_t bits = __atomic_exchange_n(&o->events, 0, __ATOMIC_ACQ_REL);
	const struct dp_sa_event ev = {
		.slot = o->slot,
		.spi = o->spi,
		.tunnel = o->tunnel,
		.outbound = 1,
		.local = to_wire(&o->path->local),
		.remote = to_wire(&o->path->remote),
	};

	if (bits & DP_SA_EV_SOFT)
		tell(dp, DP_EV_SOFT_EXPIRE, &ev);
	if (bits & DP_SA_EV_HARD)
		tell(dp, DP_EV_HARD_EXPIRE, &ev);
}

void dp_events_take(struct dp *dp)
{
	void *v;

	while (rte_ring_sc_dequeue(dp->sa_events, &v) == 0) {
		const uint64_t e = (uintptr_t)v;
		const uint32_t slot = (uint32_t)e;

		/* The half may have gone since: then its news are of no interest. */
		if (e & OUT_HALF) {
			if (dp->sas.out[slot])
				take_out(dp, dp->sas.out[slot]);
		} else if (dp->sas.in[slot]) {
			take_in(dp, dp->sas.in[slot]);
		}
	}
}

void dp_event_unknown_spi(struct dp *dp, struct rte_mbuf *m)
{
	const uint8_t *ip = dp_data(m);
	const bool v4 = dp_meta(m)->family == 4;
	struct dp_sa_event ev = {
		.slot = DP_SLOT_NONE, .spi = dp_meta(m)->spi, .tunnel = DP_TUNNEL_NONE};
	const uint32_t header = v4 ? (ip[0] & 15u) * 4 : 40u;

	if (mono_reached(dp->now, dp->events.spi_refill)) {
		dp->events.spi_refill = mono_add(dp->now, SPI_INTERVAL);
		dp->events.spi_tokens = SPI_EVENTS;
	}
	if (dp->events.spi_tokens > 0) {
		dp->events.spi_tokens--;
		ev.remote.addr.family = ev.local.addr.family = v4 ? 4 : 6;
		memcpy(ev.remote.addr.b, v4 ? ip + 12 : ip + 8, v4 ? 4 : 16);
		memcpy(ev.local.addr.b, v4 ? ip + 16 : ip + 24, v4 ? 4 : 16);
		if ((v4 ? ip[9] : ip[6]) == IPPROTO_UDP) {
			ev.remote.port = dp_get16(ip + header);
			ev.local.port = dp_get16(ip + header + 2);
		}
		tell(dp, DP_EV_INVALID_SPI, &ev);
	}
	rte_pktmbuf_free(m);
}

void dp_event_port_link(struct dp *dp, unsigned port, bool up)
{
	const struct dp_event ev = {.type = DP_EV_PORT_LINK, .port = {.port = port, .up = up}};

	log_info("port '%s' is %s", dp->ports[port].cfg->name, up ? "up" : "down");
	dp_rings_event(dp, DP_CHANNEL_FIB, &ev);
}

void dp_events_tick(struct dp *dp)
{
	for (struct dp_in *in = dp->sas.moved, *next; in; in = next) {
		next = in->next_moved;
		if (!elsewhere(&in->moved_to, believed(dp, in))) {
			moved_unlink(dp, in);
		} else if (mono_reached(dp->now, in->moved_next)) {
			in->moved_next = mono_add(dp->now, MOVED_AGAIN);
			send_moved(dp, in);
		}
	}
}
