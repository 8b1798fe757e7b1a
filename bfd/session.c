/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: the state machine of one session (RFC 5880 6.2) and its timers (6.8.2 to 6.8.4).
 *
 * Two pairs of intervals are kept: what the peer is told (desired_min_tx, required_min_rx) and what
 * is in force (tx_us, rx_us). They differ while a Poll Sequence tells the peer of a change that
 * would otherwise make one side believe the other dead (6.8.3).
 */
#include "bfd/bfd_int.h"

/* RFC 5880 6.8.2: the greater of what we want and what the peer can take. */
struct mono_span bfd_session_tx(const struct bfd_session *s)
{
	const uint32_t us = s->tx_us > s->remote_min_rx ? s->tx_us : s->remote_min_rx;

	return s->remote_min_rx == 0 ? span_ns(0) : span_us(us);
}

/* RFC 5880 6.8.4: by the peer's multiplier and the interval agreed on for its packets. */
struct mono_span bfd_session_detection(const struct bfd_session *s)
{
	const uint32_t us = s->rx_us > s->remote_min_tx ? s->rx_us : s->remote_min_tx;

	return span_us((uint64_t)us * s->remote_mult);
}

static void arm(struct bfd *b, struct bfd_session *s)
{
	/* Cannot fail: the heap has had room for every session since bfd_configure(). */
	(void)heap_set(&b->timers, &s->timer, mono_min(s->tx_at, s->detect_at));
}

static void send_now(struct bfd_session *s, uint8_t flags, struct bfd_out *out)
{
	struct bfd_action *a = bfd_action_add(out, BFD_ACT_SEND, s);
	const struct bfd_packet p = {
		.diagnostic = s->local_diag,
		.state = (uint8_t)s->state,
		.flags = flags,
		.multiplier = s->cfg.multiplier,
		.my_discriminator = s->local_discr,
		.your_discriminator = s->remote_discr,
		.desired_min_tx = s->desired_min_tx,
		.required_min_rx = s->required_min_rx,
	};

	if (!a)
		return;
	a->send.local = s->cfg.local;
	a->send.remote = s->cfg.remote;
	a->send.multihop = s->cfg.multihop;
	bfd_packet_build(&p, a->send.data);
	s->packets_out++;
}

/* RFC 5880 6.8.7: 75 to 100 % of the interval; 75 to 90 % if one lost packet is too many. */
static struct mono next_tx(struct bfd *b, const struct bfd_session *s, struct mono now)
{
	const uint64_t ns = bfd_session_tx(s).ns;
	const uint64_t range = ns * (s->cfg.multiplier == 1 ? 15 : 25) / 100;

	/* A passive end waits for the first packet; a peer that takes none gets none. */
	if (ns == 0 || (s->cfg.passive && s->remote_discr == 0))
		return MONO_NEVER;
	return mono_add(now, span_ns(ns * 75 / 100 +
				     (uint64_t)b->random(b->random_ctx) * range / UINT32_MAX));
}

/* The intervals that the configuration wants in this state, told by polling if they are new. */
static void want_intervals(struct bfd *b, struct bfd_session *s, struct mono now)
{
	const uint32_t configured = (uint32_t)(s->cfg.tx.ns / 1000);
	const uint32_t rx = (uint32_t)(s->cfg.rx.ns / 1000);
	const uint32_t tx =
		s->state == BFD_UP || configured > BFD_SLOW_TX_US ? configured : BFD_SLOW_TX_US;

	if (tx == s->desired_min_tx && rx == s->required_min_rx)
		return;
	s->desired_min_tx = tx;
	s->required_min_rx = rx;
	/* 6.8.3: in a session that is up, what the peer might take for silence waits for its Final. */
	if (tx < s->tx_us || s->state != BFD_UP)
		s->tx_us = tx;
	if (rx > s->rx_us || s->state != BFD_UP)
		s->rx_us = rx;
	if (s->state == BFD_UP)
		s->poll = true;
	s->tx_at = mono_min(s->tx_at, next_tx(b, s, now));
}

static void change(struct bfd *b, struct bfd_session *s, enum bfd_state to, uint8_t diagnostic,
		   struct mono now, struct bfd_out *out)
{
	const enum bfd_state from = s->state;
	struct bfd_action *a;

	s->state = to;
	s->local_diag = diagnostic;
	s->since = now;
	s->poll = false;
	if (from == BFD_UP)
		s->flaps++;
	want_intervals(b, s, now);
	trace(b->tracer, LOG_LEVEL_INFO, "%s[%08x] bfd: %s -> %s (%s)", s->cfg.name, s->local_discr,
	      bfd_state_name(from), bfd_state_name(to), bfd_diagnostic_name(diagnostic));
	a = bfd_action_add(out, BFD_ACT_STATE, s);
	if (!a)
		return;
	a->state.from = from;
	a->state.to = to;
	a->state.diagnostic = diagnostic;
	a->state.remote_diagnostic = s->remote_diag;
	a->state.peer_admin_down = s->remote_state == BFD_ADMIN_DOWN;
}

void bfd_session_start(struct bfd *b, struct bfd_session *s, struct mono now)
{
	s->state = s->remote_state = BFD_DOWN;
	s->since = now;
	s->remote_min_rx = 1; /* 6.8.1: "MUST be initialized to 1" */
	s->tx_at = s->detect_at = MONO_NEVER;
	want_intervals(b, s, now);
	/* The first packet at once: nothing is gained by waiting for the slow rate. */
	s->tx_at = s->cfg.passive ? MONO_NEVER : now;
	arm(b, s);
}

void bfd_session_retime(struct bfd *b, struct bfd_session *s, struct mono now)
{
	want_intervals(b, s, now);
	arm(b, s);
}

/* RFC 5880 6.8.6, from where the peer's state is known. */
static void advance(struct bfd *b, struct bfd_session *s, struct mono now, struct bfd_out *out)
{
	if (s->remote_state == BFD_ADMIN_DOWN) {
		if (s->state != BFD_DOWN)
			change(b, s, BFD_DOWN, BFD_DIAG_NEIGHBOR_DOWN, now, out);
		return;
	}
	switch (s->state) {
	case BFD_DOWN:
		if (s->remote_state == BFD_DOWN)
			change(b, s, BFD_INIT, BFD_DIAG_NONE, now, out);
		else if (s->remote_state == BFD_INIT)
			change(b, s, BFD_UP, BFD_DIAG_NONE, now, out);
		break;
	case BFD_INIT:
		if (s->remote_state == BFD_INIT || s->remote_state == BFD_UP)
			change(b, s, BFD_UP, BFD_DIAG_NONE, now, out);
		break;
	case BFD_UP:
		if (s->remote_state == BFD_DOWN)
			change(b, s, BFD_DOWN, BFD_DIAG_NEIGHBOR_DOWN, now, out);
		break;
	case BFD_ADMIN_DOWN: break;
	}
}

void bfd_session_receive(struct bfd *b, struct bfd_session *s, const struct bfd_packet *p,
			 struct mono now, struct bfd_out *out)
{
	const uint64_t tx_before = bfd_session_tx(s).ns;
	const enum bfd_state state_before = s->state;
	const bool first = s->remote_discr == 0;

	s->packets_in++;
	s->remote_discr = p->my_discriminator;
	s->remote_state = (enum bfd_state)p->state;
	s->remote_diag = p->diagnostic;
	s->remote_min_rx = p->required_min_rx;
	s->remote_min_tx = p->desired_min_tx;
	s->remote_mult = p->multiplier;
	if (s->poll && (p->flags & BFD_FLAG_FINAL)) {
		/* 6.5: the peer knows; the new intervals are in force. */
		s->poll = false;
		s->tx_us = s->desired_min_tx;
		s->rx_us = s->required_min_rx;
	}
	advance(b, s, now, out);

	/* 6.5: answered at once, whatever the timer says. A change of state tells itself as soon. */
	if (p->flags & BFD_FLAG_POLL)
		send_now(s, BFD_FLAG_FINAL, out);
	if (s->state != state_before && !(p->flags & BFD_FLAG_POLL))
		send_now(s, s->poll ? BFD_FLAG_POLL : 0, out);
	/* 6.8.3: a new interval counts from now on, unless the old deadline is nearer anyway. */
	if (s->state != state_before || first || bfd_session_tx(s).ns < tx_before)
		s->tx_at = next_tx(b, s, now);
	else if (bfd_session_tx(s).ns == 0)
		s->tx_at = MONO_NEVER;
	else if (mono_is_never(s->tx_at))
		s->tx_at = next_tx(b, s, now);
	s->detect_at = mono_add(now, bfd_session_detection(s));
	arm(b, s);
}

static void detection_expired(struct bfd *b, struct bfd_session *s, struct mono now,
			      struct bfd_out *out)
{
	s->detect_at = MONO_NEVER;
	/* 6.8.1: the peer may have restarted; it is met anew. */
	s->remote_discr = 0;
	/* 6.8.4 */
	if (s->state == BFD_INIT || s->state == BFD_UP) {
		s->remote_min_rx = 1;
		change(b, s, BFD_DOWN, BFD_DIAG_DETECTION_EXPIRED, now, out);
		if (!s->cfg.passive)
			send_now(s, 0, out);
		s->tx_at = next_tx(b, s, now);
	}
}

void bfd_session_expire(struct bfd *b, struct bfd_session *s, struct mono now, struct bfd_out *out)
{
	if (mono_reached(now, s->detect_at))
		detection_expired(b, s, now, out);
	if (mono_reached(now, s->tx_at)) {
		send_now(s, s->poll ? BFD_FLAG_POLL : 0, out);
		s->tx_at = next_tx(b, s, now);
	}
	arm(b, s);
}

void bfd_session_force(struct bfd *b, struct bfd_session *s, enum bfd_state to, uint8_t diagnostic,
		       struct mono now, struct bfd_out *out)
{
	if (s->state == to)
		return;
	change(b, s, to, diagnostic, now, out);
	/* The peer learns it at once rather than by our silence (6.8.16). */
	if (s->remote_discr || !s->cfg.passive)
		send_now(s, 0, out);
	s->tx_at = next_tx(b, s, now);
	arm(b, s);
}
