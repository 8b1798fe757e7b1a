/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site_tcp: streams of bytes through a tunnel. One segment is under way at a time, and it is repeated
 * until it is acknowledged; what a tunnel loses is late, never out of order.
 */
#include <stdlib.h>
#include <string.h>
#include "tests/sim/site.h"

#define AGAIN_FIRST   span_ms(200)
#define AGAIN_LONGEST span_s(3)
#define AGAIN_MOST    20
#define CONNECT_FIRST span_s(1)
#define CONNECT_MOST  5

static struct mono now_of(const struct site *s)
{
	return s->node->w->now;
}

static void send_segment(struct site *s, uint32_t tunnel, uint64_t id, enum tcp_what what,
			 uint32_t seq, const uint8_t *bytes, size_t size)
{
	struct inner i = {.kind = INNER_TCP};

	i.tcp.id = id;
	i.tcp.what = what;
	i.tcp.seq = seq;
	i.tcp.size = size;
	if (size)
		memcpy(i.tcp.bytes, bytes, size);
	(void)site_send(s, tunnel, &i);
}

static void again_later(struct site *s, struct site_conn *c, struct mono_span first)
{
	struct mono_span d = first;

	for (unsigned i = 0; i < c->n_again && d.ns < AGAIN_LONGEST.ns; i++)
		d.ns *= 2;
	c->again_at = mono_add(now_of(s), d.ns < AGAIN_LONGEST.ns ? d : AGAIN_LONGEST);
}

static void drop(struct site_conn *c)
{
	free(c->bytes);
	*c = (struct site_conn){.used = false};
}

static struct site_conn *find(struct site *s, uint64_t id)
{
	for (size_t i = 0; i < SITE_CONNS; i++) {
		if (s->conns[i].used && s->conns[i].id == id)
			return &s->conns[i];
	}
	return NULL;
}

static struct site_conn *make(struct site *s, uint64_t id, uint32_t tunnel)
{
	for (size_t i = 0; i < SITE_CONNS; i++) {
		struct site_conn *c = &s->conns[i];

		if (c->used)
			continue;
		*c = (struct site_conn){.used = true, .id = id, .tunnel = tunnel};
		c->again_at = MONO_NEVER;
		return c;
	}
	fail_world(s->node->w, "site %d: too many connections", s->index);
	return NULL;
}

static uint32_t number(const struct site *s, const struct site_conn *c)
{
	return (uint32_t)(c - s->conns);
}

/* ------------------------------------------------------------------ sending */

static void transmit(struct site *s, struct site_conn *c)
{
	send_segment(s, c->tunnel, c->id, TCP_DATA, c->seq, c->bytes, c->n_segment);
	again_later(s, c, AGAIN_FIRST);
}

static void next_segment(struct site *s, struct site_conn *c)
{
	if (c->connecting || c->under_way || (!c->n && !c->closing))
		return;
	c->n_segment = c->n < SITE_SEGMENT ? c->n : SITE_SEGMENT;
	c->under_way = true;
	c->n_again = 0;
	transmit(s, c);
}

void tcp_connect(struct site *s, uint32_t tunnel)
{
	const uint64_t id = ((uint64_t)s->index << 32 | ++s->n_connections);
	struct site_conn *c = make(s, id, tunnel);

	if (!c)
		return;
	c->connecting = true;
	send_segment(s, tunnel, id, TCP_SYN, 0, NULL, 0);
	again_later(s, c, CONNECT_FIRST);
}

void tcp_write(struct site *s, uint32_t conn, const uint8_t *bytes, size_t size)
{
	struct site_conn *c = &s->conns[conn];

	if (conn >= SITE_CONNS || !c->used || !c->held) {
		fail_world(s->node->w, "site %d writes to connection %u, which it does not have",
			   s->index, conn);
		return;
	}
	c->bytes = realloc(c->bytes, c->n + size);
	if (!c->bytes)
		abort();
	memcpy(c->bytes + c->n, bytes, size);
	c->n += size;
	c->unsaid += size;
}

void tcp_close(struct site *s, uint32_t tunnel, uint32_t conn)
{
	struct site_conn *c;

	if (conn == BGP_CONN_NONE) {
		for (size_t i = 0; i < SITE_CONNS; i++) {
			if (s->conns[i].used && s->conns[i].connecting &&
			    s->conns[i].tunnel == tunnel)
				drop(&s->conns[i]);
		}
		return;
	}
	c = &s->conns[conn];
	if (conn >= SITE_CONNS || !c->used)
		return;
	c->held = false;
	c->closing = true;
	next_segment(s, c);
}

/* ---------------------------------------------------------------- receiving */

static void tell_closed(struct site *s, struct site_conn *c, const char *why)
{
	struct bgp_event ev = {.type = BGP_EV_CLOSED, .neighbor = c->tunnel};
	const bool tell = (c->held || c->connecting) && s->running;

	ev.conn = c->connecting ? BGP_CONN_NONE : number(s, c);
	snprintf(ev.text, sizeof(ev.text), "%s", why);
	drop(c);
	if (tell)
		site_bgp_step(s, &ev);
}

static void on_syn(struct site *s, uint32_t tunnel, uint64_t id)
{
	struct bgp_event ev = {.type = BGP_EV_ACCEPTED};
	struct site_conn *c = find(s, id);

	if (!s->running) {
		send_segment(s, tunnel, id, TCP_RST, 0, NULL, 0);
		return;
	}
	send_segment(s, tunnel, id, TCP_SYN_ACK, 0, NULL, 0);
	if (c)
		return;
	c = make(s, id, tunnel);
	if (!c)
		return;
	c->held = true;
	ev.conn = number(s, c);
	ev.accepted.local = site_inside(s->index, tunnel);
	ev.accepted.remote = site_inside(1 - s->index, tunnel);
	site_bgp_step(s, &ev);
}

static void on_syn_ack(struct site *s, struct site_conn *c)
{
	struct bgp_event ev = {.type = BGP_EV_CONNECTED, .neighbor = c->tunnel};

	if (!c->connecting)
		return;
	c->connecting = false;
	c->held = true;
	c->n_again = 0;
	c->again_at = MONO_NEVER;
	ev.conn = number(s, c);
	site_bgp_step(s, &ev);
}

static void on_data(struct site *s, struct site_conn *c, const struct inner *i)
{
	struct bgp_event ev = {.type = BGP_EV_DATA, .conn = number(s, c)};

	if (i->tcp.seq > c->expected)
		fail_world(s->node->w, "site %d: a segment from the future", s->index);
	send_segment(s, c->tunnel, c->id, TCP_ACK, i->tcp.seq, NULL, 0);
	if (i->tcp.seq != c->expected)
		return;
	c->expected++;
	if (!i->tcp.size) {
		tell_closed(s, c, "the neighbor closed the connection");
		return;
	}
	if (!c->held)
		return;
	ev.data.bytes = i->tcp.bytes;
	ev.data.size = i->tcp.size;
	site_bgp_step(s, &ev);
}

static void on_ack(struct site *s, struct site_conn *c, uint32_t seq)
{
	if (!c->under_way || seq != c->seq)
		return;
	if (!c->n_segment) { /* the end is known */
		drop(c);
		return;
	}
	c->n -= c->n_segment;
	memmove(c->bytes, c->bytes + c->n_segment, c->n);
	c->seq++;
	c->under_way = false;
	c->again_at = MONO_NEVER;
	next_segment(s, c);
}

void tcp_receive(struct site *s, uint32_t tunnel, const struct inner *i)
{
	struct site_conn *c = find(s, i->tcp.id);

	if (i->tcp.what == TCP_SYN) {
		on_syn(s, tunnel, i->tcp.id);
		return;
	}
	if (!c) {
		/* RFC 9293 3.10.7.1: of a connection that is no more. */
		if (i->tcp.what == TCP_DATA || i->tcp.what == TCP_SYN_ACK)
			send_segment(s, tunnel, i->tcp.id, TCP_RST, 0, NULL, 0);
		return;
	}
	switch (i->tcp.what) {
	case TCP_SYN_ACK: on_syn_ack(s, c); break;
	case TCP_DATA: on_data(s, c, i); break;
	case TCP_ACK: on_ack(s, c, i->tcp.seq); break;
	case TCP_RST: tell_closed(s, c, "connection reset"); break;
	case TCP_SYN: break;
	}
}

/* --------------------------------------------------------------------- time */

static void say_sent(struct site *s, struct site_conn *c)
{
	struct bgp_event ev = {.type = BGP_EV_SENT, .conn = number(s, c)};

	ev.sent = c->unsaid;
	c->unsaid = 0;
	if (ev.sent && c->held)
		site_bgp_step(s, &ev);
}

static void repeat(struct site *s, struct site_conn *c)
{
	c->n_again++;
	if (c->n_again > (c->connecting ? CONNECT_MOST : AGAIN_MOST)) {
		tell_closed(s, c, "connection timed out");
	} else if (c->connecting) {
		send_segment(s, c->tunnel, c->id, TCP_SYN, 0, NULL, 0);
		again_later(s, c, CONNECT_FIRST);
	} else {
		transmit(s, c);
	}
}

void tcp_turn(struct site *s)
{
	for (size_t i = 0; i < SITE_CONNS; i++) {
		struct site_conn *c = &s->conns[i];

		if (c->used)
			next_segment(s, c);
		if (c->used && c->unsaid && s->running)
			say_sent(s, c);
		if (c->used && mono_reached(now_of(s), c->again_at))
			repeat(s, c);
	}
}

void tcp_reset(struct site *s, bool told)
{
	for (size_t i = 0; i < SITE_CONNS; i++) {
		struct site_conn *c = &s->conns[i];

		if (c->used && told)
			send_segment(s, c->tunnel, c->id, TCP_RST, 0, NULL, 0);
		drop(c);
	}
}
