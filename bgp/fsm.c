/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsm: the state machine of a neighbour (RFC 4271 8).
 *
 *	Idle         not started, or its tunnel is down
 *	Connect      an outgoing connection is being made
 *	Active       waiting: for the next try, or for the peer to connect
 *	OpenSent     a connection stands; our OPEN is on its way
 *	OpenConfirm  the peer's OPEN was good; its KEEPALIVE is awaited
 *	Established  routes are exchanged
 *
 * There may be two connections for a while, each with a state of its own; 6.8 decides between them
 * as soon as both have shown who the peer is. The neighbour's state is that of the further one.
 */
#include <string.h>
#include "base/sb.h"
#include "bgp/bgp_int.h"

#define FAILURES_MAX 5 /* the pause between tries grows up to 2^5 times */
#define BFD_PATIENCE span_s(6)
#define STABLE       span_s(60)  /* a session of this age was no failure */
#define PAUSE_MAX    span_s(120) /* between tries, however often they fail */

const char *bgp_state_name(enum bgp_state s)
{
	static const char *const names[] = {"Idle",     "Connect",     "Active",
					    "OpenSent", "OpenConfirm", "Established"};

	return names[s];
}

static bool gr_notification(const struct bgp_conn *c)
{
	/* Our own OPEN has the N bit whenever it has the capability. */
	return c->neighbor->cfg.graceful_restart.ns && c->peer.graceful_notification;
}

static void remember(struct bgp_neighbor *n, const char *prefix, const char *what)
{
	struct sb s = sb_of(n->last_error, sizeof(n->last_error));

	sb_printf(&s, "%s%s", prefix, what);
}

/* ----------------------------------------------------------------- timers */

static void pause_before_retry(struct bgp_neighbor *n)
{
	struct mono_span d = span_ns(n->cfg.connect_retry.ns << n->failures);

	if (n->failures < FAILURES_MAX)
		n->failures++;
	if (d.ns > PAUSE_MAX.ns)
		d = PAUSE_MAX;
	n->connect_at = n->started && !n->cfg.passive ? mono_add(n->bgp->now, bgp_jitter(n->bgp, d))
						      : MONO_NEVER;
}

static enum bgp_state state_of(const struct bgp_neighbor *n)
{
	enum bgp_state s;

	if (!n->started)
		return BGP_IDLE;
	if (n->up)
		return BGP_ESTABLISHED;
	s = n->connecting ? BGP_CONNECT : BGP_ACTIVE;
	if (mono_before(n->bgp->now, n->blocked_until))
		s = BGP_IDLE;
	for (int i = 0; i < 2; i++) {
		if (!n->conns[i])
			continue;
		if (n->conns[i]->state == BGP_CONN_OPEN_CONFIRM)
			return BGP_OPEN_CONFIRM;
		s = BGP_OPEN_SENT;
	}
	return s;
}

void bgp_fsm_settle(struct bgp_neighbor *n)
{
	struct bgp *b = n->bgp;
	const enum bgp_state s = state_of(n);
	struct mono at = mono_min(n->connect_at, mono_min(n->restart_at, n->stale_at));

	if (s != n->state) {
		trace(b->tracer, LOG_LEVEL_INFO, "%s bgp: %s -> %s", n->cfg.name,
		      bgp_state_name(n->state), bgp_state_name(s));
		n->state = s;
		n->since = b->now;
	}
	for (int i = 0; i < 2; i++) {
		const struct bgp_conn *c = n->conns[i];

		if (!c)
			continue;
		at = mono_min(at, mono_min(c->hold_at, c->keepalive_at));
		if (c->unsent)
			at = mono_min(at, c->send_hold_at);
	}
	if (n->up && n->up->unsent < BGP_UNSENT_MAX && bgp_adj_out_due(&n->adj_out))
		at = b->now;
	/* Cannot fail: the heap has had room for every neighbour since bgp_configure(). */
	(void)heap_set(&b->timers, &n->timer, at);
}

/* ------------------------------------------------------- end of a session */

void bgp_fsm_purge(struct bgp_neighbor *n, enum bgp_family f, bool only_stale)
{
	const struct bgp_sink *sink = &n->bgp->sink;

	n->stale[f] = false;
	n->received[f] = (uint32_t)sink->purge(sink->ctx, n->cfg.neighbor, f, only_stale);
}

/* RFC 4724 4.2: the peer may be restarting, and still forwards what it announced. */
static void keep_as_stale(struct bgp_neighbor *n, const struct bgp_open *peer, enum bgp_family f)
{
	const struct bgp_sink *sink = &n->bgp->sink;

	/* "a route previously marked as stale MUST be deleted": it restarts for the second time. */
	if (n->stale[f])
		bgp_fsm_purge(n, f, true);
	sink->stale(sink->ctx, n->cfg.neighbor, f);
	n->stale[f] = true;
	n->restart_at = mono_add(n->bgp->now, span_s(peer->restart_s));
	n->stale_at = MONO_NEVER;
}

static void session_down(struct bgp_neighbor *n, bool keep, struct bgp_out *out)
{
	const struct bgp_open peer = n->up->peer;

	if (mono_since(n->bgp->now, n->since).ns >= STABLE.ns)
		n->failures = 0;
	n->up = NULL;
	n->flaps++;
	bgp_adj_out_clear(n->bgp, &n->adj_out);
	for (int f = 0; f < BGP_N_FAMILIES; f++) {
		n->warned[f] = false;
		if (!n->families[f])
			continue;
		if (keep && n->cfg.graceful_restart.ns && peer.graceful_restart &&
		    peer.gr_family[f])
			keep_as_stale(n, &peer, (enum bgp_family)f);
		else
			bgp_fsm_purge(n, (enum bgp_family)f, false);
		n->families[f] = false;
	}
	(void)bgp_action_add(out, BGP_ACT_DOWN, n);
	bgp_event_add(out, n, "bgp-down", LOG_LEVEL_WARN, "%s", n->last_error);
}

static void give_up_connecting(struct bgp_neighbor *n, struct bgp_out *out)
{
	if (n->connecting)
		(void)bgp_action_add(out, BGP_ACT_CLOSE, n);
	n->connecting = false;
}

/* Routes that are still waiting for a peer's return have waited in vain. */
static void forget_stale(struct bgp_neighbor *n)
{
	for (int f = 0; f < BGP_N_FAMILIES; f++)
		if (n->stale[f])
			bgp_fsm_purge(n, (enum bgp_family)f, false);
	n->restart_at = n->stale_at = MONO_NEVER;
}

static void end(struct bgp_neighbor *n, const struct bgp_fault_report *report, const char *why,
		bool keep, struct bgp_out *out)
{
	remember(n, "", why);
	for (int i = 0; i < 2; i++) {
		struct bgp_conn *c = n->conns[i];

		if (!c)
			continue;
		if (report)
			bgp_conn_notify(c, report, out);
		if (c == n->up)
			session_down(n, keep, out);
		bgp_conn_drop(c, true, out);
	}
	give_up_connecting(n, out);
}

void bgp_fsm_end(struct bgp_neighbor *n, const struct bgp_fault_report *report, const char *why,
		 struct bgp_out *out)
{
	end(n, report, why, false, out);
	forget_stale(n);
}

void bgp_fsm_bfd_down(struct bgp_neighbor *n, struct bgp_out *out)
{
	const struct bgp_fault_report r = bgp_report(BGP_ERR_CEASE, BGP_CEASE_BFD_DOWN);

	/*
	 * RFC 9384 3; RFC 5882 4.3.2: the peer's control process may have restarted, and BFD with it. Not
	 * for as long as it asked for: whoever has another way is to hear soon if it was the path.
	 */
	end(n, &r, "BFD is down", n->up && gr_notification(n->up), out);
	if (n->stale[0] || n->stale[1])
		n->restart_at = mono_min(n->restart_at, mono_add(n->bgp->now, BFD_PATIENCE));
}

void bgp_fsm_fault(struct bgp_conn *c, enum bgp_fault fault, const struct bgp_fault_report *report,
		   struct bgp_out *out)
{
	struct bgp_neighbor *n = c->neighbor;
	/* RFC 8538 4: with the N bit silence, too, is survived. */
	const bool keep =
		gr_notification(c) && (fault == BGP_FAULT_HOLD || fault == BGP_FAULT_SEND_HOLD);
	char text[BGP_TEXT_SIZE];

	n->faults[fault]++;
	bgp_report_format(report, text, sizeof(text));
	if (fault != BGP_FAULT_COLLISION) {
		remember(n, "we sent ", text);
		bgp_event_add(out, n, "bgp-notification-sent", LOG_LEVEL_WARN, "%s", text);
	}
	bgp_conn_notify(c, report, out);
	if (c == n->up)
		session_down(n, keep, out);
	bgp_conn_drop(c, true, out);
	if (fault == BGP_FAULT_COLLISION)
		return;
	if (fault == BGP_FAULT_PREFIX_LIMIT) {
		struct mono_span pause = n->cfg.prefixes[0].restart;

		if (n->cfg.prefixes[1].restart.ns > pause.ns)
			pause = n->cfg.prefixes[1].restart;
		n->blocked_until = pause.ns ? mono_add(n->bgp->now, pause) : MONO_NEVER;
		n->connect_at = n->cfg.passive ? MONO_NEVER : n->blocked_until;
		return;
	}
	pause_before_retry(n);
}

/* ------------------------------------------------------- connections come */

void bgp_fsm_start(struct bgp_neighbor *n)
{
	n->started = true;
	n->failures = 0;
	n->blocked_until = (struct mono){0};
	if (!n->up && !n->connecting && !n->conns[0] && !n->cfg.passive)
		n->connect_at = n->bgp->now;
}

void bgp_fsm_connected(struct bgp_neighbor *n, uint32_t number, struct bgp_out *out)
{
	if (!n->connecting) {
		struct bgp_action *a = bgp_action_add(out, BGP_ACT_CLOSE, n);

		if (a)
			a->conn = number;
		return;
	}
	n->connecting = false;
	n->connect_at = MONO_NEVER;
	(void)bgp_conn_new(n, number, true, out);
}

/* A peer that was Established and connects anew has restarted (RFC 4724 4.2). */
static void peer_restarted(struct bgp_neighbor *n, struct bgp_out *out)
{
	struct bgp_conn *c = n->up;

	remember(n, "", "the peer has restarted: it connected again");
	session_down(n, true, out);
	bgp_conn_drop(c, true, out);
}

void bgp_fsm_accepted(struct bgp_neighbor *n, uint32_t number, struct bgp_out *out)
{
	struct bgp_action *a;

	if (!n->started || mono_before(n->bgp->now, n->blocked_until)) {
		a = bgp_action_add(out, BGP_ACT_CLOSE, n);
		if (a)
			a->conn = number;
		return;
	}
	if (n->up && n->cfg.graceful_restart.ns && n->up->peer.graceful_restart)
		peer_restarted(n, out);
	/* The peer has given its earlier one up, or it would not make another. */
	if (n->conns[1] && n->conns[1] != n->up)
		bgp_conn_drop(n->conns[1], true, out);
	if (n->conns[1]) {
		a = bgp_action_add(out, BGP_ACT_CLOSE, n);
		if (a)
			a->conn = number;
		n->faults[BGP_FAULT_COLLISION]++;
		return;
	}
	(void)bgp_conn_new(n, number, false, out);
}

void bgp_fsm_closed(struct bgp_neighbor *n, struct bgp_conn *c, const char *why,
		    struct bgp_out *out)
{
	if (!c) {
		if (!n->connecting)
			return;
		n->connecting = false;
		remember(n, "cannot connect: ", why);
		pause_before_retry(n);
		return;
	}
	remember(n, "connection closed: ", *why ? why : "by the peer");
	if (c == n->up)
		session_down(n, true, out);
	bgp_conn_drop(c, false, out);
	if (!n->up)
		pause_before_retry(n);
}

/* ------------------------------------------------------------------- OPEN */

/* RFC 4271 6.8, RFC 6286 2.3: which of two connections stays. */
static bool keep_outgoing(const struct bgp_neighbor *n, const struct bgp_open *peer)
{
	if (n->bgp->id != peer->id)
		return n->bgp->id > peer->id;
	return n->cfg.local_as > peer->as;
}

/* False: it is `c` that had to go. */
static bool resolve_collision(struct bgp_conn *c, struct bgp_out *out)
{
	const struct bgp_fault_report report = bgp_report(BGP_ERR_CEASE, BGP_CEASE_COLLISION);
	struct bgp_neighbor *n = c->neighbor;
	struct bgp_conn *other = n->conns[c->outgoing ? 1 : 0];

	if (!other || other->state == BGP_CONN_OPEN_SENT)
		return true;
	if (other->state == BGP_CONN_ESTABLISHED || keep_outgoing(n, &c->peer) != c->outgoing) {
		bgp_fsm_fault(c, BGP_FAULT_COLLISION, &report, out);
		return false;
	}
	bgp_fsm_fault(other, BGP_FAULT_COLLISION, &report, out);
	return true;
}

/* RFC 9234 4.2 */
static bool role_ok(const struct bgp_neighbor *n, const struct bgp_open *peer)
{
	static const uint8_t opposite[] = {
		[BGP_ROLE_PROVIDER] = BGP_ROLE_CUSTOMER, [BGP_ROLE_RS] = BGP_ROLE_RS_CLIENT,
		[BGP_ROLE_RS_CLIENT] = BGP_ROLE_RS,      [BGP_ROLE_CUSTOMER] = BGP_ROLE_PROVIDER,
		[BGP_ROLE_PEER] = BGP_ROLE_PEER,
	};

	if (n->cfg.role == BGP_ROLE_NONE || peer->as == n->cfg.local_as)
		return true;
	if (peer->role == BGP_ROLE_NONE)
		return !n->cfg.role_strict;
	return peer->role == opposite[n->cfg.role];
}

static bool open_ok(const struct bgp_neighbor *n, const struct bgp_open *peer,
		    struct bgp_fault_report *report)
{
	bool common = false;

	*report = bgp_report(BGP_ERR_OPEN, BGP_OPEN_UNSPECIFIC);
	if (n->cfg.remote_as && peer->as != n->cfg.remote_as)
		report->subcode = BGP_OPEN_PEER_AS;
	/* RFC 6286 2.1: within an AS identifiers differ. */
	else if (peer->as == n->cfg.local_as && peer->id == n->bgp->id)
		report->subcode = BGP_OPEN_IDENTIFIER;
	else if (!role_ok(n, peer))
		report->subcode = BGP_OPEN_ROLE;
	if (report->subcode)
		return false;
	for (int f = 0; f < BGP_N_FAMILIES; f++)
		common |= n->cfg.families[f] && peer->families[f];
	if (common)
		return true;
	/* RFC 5492 3: which capabilities we wanted. */
	struct wr w = wr_of(report->data, sizeof(report->data));

	report->subcode = BGP_OPEN_CAPABILITY;
	for (int f = 0; f < BGP_N_FAMILIES; f++) {
		if (!n->cfg.families[f])
			continue;
		wr_u8(&w, BGP_CAP_MULTIPROTOCOL);
		wr_u8(&w, 4);
		wr_u16(&w, f == BGP_IPV4_UNICAST ? BGP_AFI_IPV4 : BGP_AFI_IPV6);
		wr_u8(&w, 0);
		wr_u8(&w, BGP_SAFI_UNICAST);
	}
	report->data_size = w.n;
	return false;
}

static bool on_open(struct bgp_conn *c, struct rd body, struct bgp_out *out)
{
	struct bgp_neighbor *n = c->neighbor;
	struct bgp_fault_report report;

	if (!bgp_open_parse(body, &c->peer, &report) || !open_ok(n, &c->peer, &report)) {
		bgp_fsm_fault(c, BGP_FAULT_OPEN, &report, out);
		return false;
	}
	n->last_as = c->peer.as;
	n->last_id = c->peer.id;
	if (!resolve_collision(c, out))
		return false;
	/* RFC 4271 4.2: the smaller of the two; 0: none at all. */
	c->hold = span_s(c->peer.hold_s);
	if (n->cfg.hold.ns < c->hold.ns)
		c->hold = n->cfg.hold;
	c->keepalive = span_ns(c->hold.ns / 3);
	c->hold_at = c->hold.ns ? mono_add(n->bgp->now, c->hold) : MONO_NEVER;
	c->state = BGP_CONN_OPEN_CONFIRM;
	bgp_conn_keepalive(c, out);
	return true;
}

/* ------------------------------------------------------------ Established */

/* RFC 4724 4.2: what the peer does not say it still forwards goes at once. */
static void review_stale(struct bgp_neighbor *n, const struct bgp_open *peer)
{
	bool waiting = false;

	n->restart_at = MONO_NEVER;
	for (int f = 0; f < BGP_N_FAMILIES; f++) {
		if (!n->stale[f])
			continue;
		if (!n->families[f] || !peer->graceful_restart || !peer->gr_family[f] ||
		    !peer->gr_forwarding[f])
			bgp_fsm_purge(n, (enum bgp_family)f, false);
		else
			waiting = true;
	}
	n->stale_at = waiting ? mono_add(n->bgp->now, n->cfg.stale_max) : MONO_NEVER;
}

static void established(struct bgp_conn *c, struct bgp_out *out)
{
	const struct bgp_fault_report report = bgp_report(BGP_ERR_CEASE, BGP_CEASE_COLLISION);
	struct bgp_neighbor *n = c->neighbor;
	struct bgp_conn *other = n->conns[c->outgoing ? 1 : 0];

	if (other)
		bgp_fsm_fault(other, BGP_FAULT_COLLISION, &report, out);
	give_up_connecting(n, out);
	n->connect_at = MONO_NEVER;
	c->state = BGP_CONN_ESTABLISHED;
	n->up = c;
	n->was_up = true;
	n->last_error[0] = '\0';
	for (int f = 0; f < BGP_N_FAMILIES; f++)
		n->families[f] = n->cfg.families[f] && c->peer.families[f];
	review_stale(n, &c->peer);
	(void)bgp_action_add(out, BGP_ACT_UP, n);
	bgp_event_add(out, n, "bgp-up", LOG_LEVEL_INFO, "AS %u, hold time %u s", c->peer.as,
		      (unsigned)(c->hold.ns / 1000000000));
	bgp_fsm_settle(n); /* the sink may look at it */
	n->bgp->sink.up(n->bgp->sink.ctx, n->cfg.neighbor);
}

static bool on_notification(struct bgp_conn *c, struct rd body, struct bgp_out *out)
{
	struct bgp_neighbor *n = c->neighbor;
	struct bgp_fault_report r = {0};
	bool keep = gr_notification(c);
	char text[BGP_TEXT_SIZE];

	if (!rd_u8(&body, &r.code) || !rd_u8(&body, &r.subcode))
		return true; /* cannot be: the header's length was checked */
	/* RFC 8538 3: what it is really about stands within. */
	if (r.code == BGP_ERR_CEASE && r.subcode == BGP_CEASE_HARD_RESET) {
		keep = false;
		if (body.size >= 2 && (!rd_u8(&body, &r.code) || !rd_u8(&body, &r.subcode)))
			return true;
	}
	r.data_size = body.size < sizeof(r.data) ? body.size : sizeof(r.data);
	if (r.data_size)
		memcpy(r.data, body.p, r.data_size);
	bgp_report_format(&r, text, sizeof(text));
	if (r.code != BGP_ERR_CEASE || r.subcode != BGP_CEASE_COLLISION) {
		remember(n, "peer sent ", text);
		bgp_event_add(out, n, "bgp-notification-received", LOG_LEVEL_WARN, "%s", text);
	}
	if (c == n->up)
		session_down(n, keep, out);
	bgp_conn_drop(c, true, out);
	if (!n->up && !n->conns[0] && !n->conns[1])
		pause_before_retry(n);
	return false;
}

static bool unexpected(struct bgp_conn *c, struct bgp_out *out)
{
	/* RFC 6608 3: the subcode is the state's, from 1 for OpenSent. */
	const struct bgp_fault_report report =
		bgp_report(BGP_ERR_FSM, (uint8_t)(1 + c->state - BGP_CONN_OPEN_SENT));

	bgp_fsm_fault(c, BGP_FAULT_FSM, &report, out);
	return false;
}

bool bgp_fsm_message(struct bgp_conn *c, uint8_t type, struct rd body, struct bgp_out *out)
{
	struct bgp_neighbor *n = c->neighbor;

	if (type == BGP_NOTIFICATION)
		return on_notification(c, body, out);
	if (c->state == BGP_CONN_OPEN_SENT)
		return type == BGP_OPEN ? on_open(c, body, out) : unexpected(c, out);
	if (type == BGP_OPEN)
		return unexpected(c, out);
	if (c->state == BGP_CONN_OPEN_CONFIRM && type != BGP_KEEPALIVE)
		return unexpected(c, out);
	/* RFC 4271 8.2.2: KEEPALIVE and UPDATE are signs of life. */
	if (c->hold.ns && (type == BGP_KEEPALIVE || type == BGP_UPDATE))
		c->hold_at = mono_add(n->bgp->now, c->hold);
	if (c->state == BGP_CONN_OPEN_CONFIRM) {
		established(c, out);
		return true;
	}
	switch (type) {
	case BGP_UPDATE: return bgp_update_receive(c, body, out);
	case BGP_ROUTE_REFRESH: return bgp_refresh_receive(c, body, out);
	default: return true;
	}
}

/* ------------------------------------------------------------------ timers */

/* False: the connection is gone. */
static bool conn_timers(struct bgp_conn *c, struct bgp_out *out)
{
	const struct mono now = c->neighbor->bgp->now;

	if (mono_reached(now, c->hold_at)) {
		const struct bgp_fault_report report = bgp_report(BGP_ERR_HOLD, 0);

		bgp_fsm_fault(c, BGP_FAULT_HOLD, &report, out);
		return false;
	}
	if (c->unsent && mono_reached(now, c->send_hold_at)) {
		const struct bgp_fault_report report = bgp_report(BGP_ERR_SEND_HOLD, 0);

		bgp_fsm_fault(c, BGP_FAULT_SEND_HOLD, &report, out);
		return false;
	}
	if (mono_reached(now, c->keepalive_at))
		bgp_conn_keepalive(c, out);
	return true;
}

static void retry(struct bgp_neighbor *n, struct bgp_out *out)
{
	give_up_connecting(n, out);
	n->connect_at = MONO_NEVER;
	if (!n->started || n->up || n->conns[0] || n->cfg.passive)
		return;
	n->connecting = bgp_action_add(out, BGP_ACT_CONNECT, n) != NULL;
	n->connect_at = mono_add(n->bgp->now, bgp_jitter(n->bgp, n->cfg.connect_retry));
}

void bgp_fsm_timers(struct bgp_neighbor *n, struct bgp_out *out)
{
	const struct mono now = n->bgp->now;

	for (int i = 0; i < 2; i++)
		if (n->conns[i])
			(void)conn_timers(n->conns[i], out);
	if (mono_reached(now, n->connect_at))
		retry(n, out);
	if (mono_reached(now, n->restart_at)) {
		bgp_event_add(out, n, "bgp-restart-timeout", LOG_LEVEL_WARN,
			      "the peer did not come back in time: its routes are gone");
		forget_stale(n);
	}
	if (mono_reached(now, n->stale_at)) {
		n->stale_at = MONO_NEVER;
		for (int f = 0; f < BGP_N_FAMILIES; f++)
			if (n->stale[f])
				bgp_fsm_purge(n, (enum bgp_family)f, true);
	}
}
