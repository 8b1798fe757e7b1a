/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child_dp: a child's way into the dataplane and out of it, in the order that loses no packet
 * (RFC 7296 2.8):
 *
 *	in:  inbound half, outbound half, switch. As responder the response is held until both halves
 *	     stand, and where an older child carries the traffic we switch only when the peer has
 *	     shown that it has the new one: by a packet on it, or by deleting the old one.
 *	out: switch to the replacement, outbound half, and some seconds later the inbound half.
 */
#include "ike/ike_int.h"

/*
 * RFC 9611 1: who decrypts. The peer's other resources, for which we have none to send by, are spread.
 */
static uint32_t receiver(const struct ike_child *c)
{
	const uint32_t n = c->tunnel->ike->limits.n_resources;

	if (c->resource == IKE_RESOURCE_SPARE)
		return n ? 1 + c->slot % n : 0;
	return c->resource;
}

static void fill(struct ike_action *a, const struct ike_child *c)
{
	const struct ike_tunnel *t = c->tunnel;
	struct ike_child_sa *s = &a->child;

	s->slot = c->slot;
	s->spi_in = c->spi_in;
	s->spi_out = c->spi_out;
	s->tunnel = t->cfg.tunnel;
	s->resource = c->resource == IKE_RESOURCE_SPARE ? 0 : c->resource;
	s->suite = c->suite;
	s->replay_window = t->cfg.replay_window;
	memcpy(s->local_ts, c->local_ts, sizeof(s->local_ts));
	memcpy(s->remote_ts, c->remote_ts, sizeof(s->remote_ts));
	s->n_local_ts = c->n_local_ts;
	s->n_remote_ts = c->n_remote_ts;
	if (!c->sa)
		return;
	s->udp_encap = c->sa->natt;
	s->ports_vary = c->sa->natt && c->sa->agreed.ports_vary;
	s->local = c->sa->local;
	s->remote = c->sa->remote;
	if (!s->udp_encap)
		s->local.port = s->remote.port = 0;
}

static void fill_limits(struct ike_child_sa *s, const struct ike_child *c)
{
	const struct ike_tunnel_cfg *cfg = &c->tunnel->cfg;
	/* RFC 4303 3.3.3: the sequence number must not cycle. */
	const uint64_t last = c->suite.esn == IKE_ESN_YES ? UINT64_MAX >> 1 : UINT32_MAX - 65536u;
	const uint64_t soft = last / 4 * 3;

	s->hard_packets = last;
	s->soft_packets = cfg->child_soft_packets && cfg->child_soft_packets < soft
				  ? cfg->child_soft_packets
				  : soft;
	s->soft_bytes = cfg->child_soft_bytes;
	s->hard_bytes = cfg->child_soft_bytes > UINT64_MAX / 2 ? 0 : cfg->child_soft_bytes * 2;
}

static struct ike_action *child_act(struct ike_child *c, enum ike_action_type type)
{
	struct ike_action *a = ike_act(c->tunnel->ike, type, c->tunnel->cfg.tunnel);

	if (a)
		fill(a, c);
	return a;
}

static void add_half(struct ike_child *c, bool outbound)
{
	/* Keys: initiator to responder first (RFC 7296 2.17). */
	const bool from_initiator = outbound == c->initiator;
	const struct secret *e = from_initiator ? c->keys.ei : c->keys.er;
	const struct secret *i = from_initiator ? c->keys.ai : c->keys.ar;
	struct ike_action *a =
		child_act(c, outbound ? IKE_ACT_CHILD_ADD_OUT : IKE_ACT_CHILD_ADD_IN);

	if (!a || secret_size(e) > sizeof(a->child.key) ||
	    secret_size(i) > sizeof(a->child.integ_key)) {
		ike_child_failed(c, "no room to install it");
		return;
	}
	if (!outbound)
		a->child.resource = receiver(c);
	memcpy(a->child.key, secret_data(e), secret_size(e));
	if (i)
		memcpy(a->child.integ_key, secret_data(i), secret_size(i));
	fill_limits(&a->child, c);
	if (outbound)
		c->has_out = true;
	else
		c->has_in = true;
	ike_await(c->tunnel->ike, &c->pending, outbound ? IKE_PEND_ADD_OUT : IKE_PEND_ADD_IN, c, a);
	if (outbound) /* both halves have their keys now: nobody else needs them */
		ike_child_keys_free(&c->keys);
}

void ike_child_install(struct ike_child *c)
{
	ike_child_set_state(c, IKE_CH_ADDING_IN, "child-install", c->initiator ? "ours" : "peer's");
	ike_timer_child_installing(c);
	add_half(c, false);
}

bool ike_child_goes(const struct ike_child *c)
{
	const struct ike_child *sender = ike_resource_sender(c->tunnel, c->resource);

	return c->sa && c->sa->state == IKE_ST_DELETING && sender && sender->sa != c->sa;
}

void ike_child_switch(struct ike_child *c, const char *reason)
{
	struct ike_tunnel *t = c->tunnel;
	struct ike_child *old = ike_resource_sender(t, c->resource);
	struct ike_action *a;

	/* RFC 9611: who has fewer resources only receives on what it has none for. */
	if (old == c || c->state != IKE_CH_INSTALLED || c->resource == IKE_RESOURCE_SPARE)
		return;
	a = child_act(c, IKE_ACT_CHILD_SWITCH);
	if (!a)
		return;
	trace(t->ike->tracer, LOG_LEVEL_INFO, "%s[%08x] child-switch: %08x -> %08x (%s)",
	      t->cfg.name, c->spi_in, old ? old->spi_in : 0, c->spi_in, reason);
	/* There is no better one any more, and nobody may think that it is about to go. */
	if (c->redundant)
		ike_timer_child_revived(c);
	c->redundant = false;
	ike_timer_child_installing(c);
	if (old)
		old->sending = false;
	if (c->resource)
		c->sending = true;
	else
		t->current = c;
	ike_await(t->ike, &c->pending, IKE_PEND_SWITCH, c, a);
}

/* The response that told the peer of this child may go out now, or is due as an error. */
static void reply(struct ike_child *c, bool ok)
{
	struct ike_sa *sa = c->sa;

	if (!c->reply_held)
		return;
	c->reply_held = false;
	if (!sa)
		return;
	if (sa->state == IKE_ST_INSTALL)
		ike_auth_child_done(sa, ok ? c : NULL);
	else if (ok)
		ike_response_release(sa);
	else
		ike_response_error(sa, IKE_N_TEMPORARY_FAILURE, NULL, 0);
}

static void report_up(struct ike_child *c)
{
	struct ike *ike = c->tunnel->ike;
	const bool rekey = c->replaces != NULL;
	char suite[IKE_SUITE_STRLEN];
	struct sb s = ike_event(ike, rekey ? IKE_HAP_CHILD_REKEYED : IKE_HAP_CHILD_UP, c->tunnel);

	sb_printf(&s, "SPIs in %08x, out %08x, %s%s", c->spi_in, c->spi_out,
		  ike_suite_format(&c->suite, suite), c->sa && c->sa->natt ? ", in UDP" : "");
	if (c->resource == IKE_RESOURCE_SPARE)
		sb_str(&s, ", of a resource of the peer's");
	else if (c->resource)
		sb_printf(&s, ", of worker %u", c->resource - 1);
	ike_count(ike, rekey ? IKE_CNT_CHILD_REKEYED : IKE_CNT_CHILD_ESTABLISHED);
}

static void switched(struct ike_child *c)
{
	struct ike_tunnel *t = c->tunnel;
	struct ike_child *old = c->replaces;

	ike_timer_child_switched(c);
	reply(c, true);
	if (!ike_child_sends(c))
		return;
	if (!c->resource)
		ike_tunnel_up(t);
	/* RFC 7296 2.8: who rekeyed deletes the old SA, now that nothing is sent on it. */
	if (old && c->initiator && !c->redundant)
		ike_child_request_delete(old, "replaced");
	ike_settle_tunnel(t);
	if (c->sa)
		ike_sa_run(c->sa);
}

/* Both halves stand. */
static void installed(struct ike_child *c)
{
	struct ike_tunnel *t = c->tunnel;
	const bool spare = c->resource == IKE_RESOURCE_SPARE;
	const bool first = !spare && !ike_resource_sender(t, c->resource);

	ike_child_set_state(c, IKE_CH_INSTALLED, "child-install", "both halves");
	ike_timer_child_installed(c);
	report_up(c);
	if (c->resource)
		t->n_resource_failures = 0;
	else
		t->n_child_failures = 0;
	if (c->initiator && c->replaces)
		ike_settle_child_rekey(c->replaces);
	if (c->state != IKE_CH_INSTALLED)
		return;
	if (spare) { /* nothing of ours moves to it */
		switched(c);
		return;
	}
	/* A worker has the common one until the peer surely receives on what it has asked for (2.8). */
	if ((first && (c->initiator || !c->resource)) ||
	    (c->initiator && !c->redundant && !ike_child_goes(c))) {
		ike_child_switch(c, first ? "first" : "rekeyed by us");
		return; /* the rest when that is acknowledged */
	}
	reply(c, true);
	if (!c->initiator)
		ike_timer_child_awaits_switch(c);
	ike_settle_tunnel(t);
	if (c->sa)
		ike_sa_run(c->sa);
}

void ike_child_dp_result(struct ike_child *c, enum ike_pending_kind kind, bool ok)
{
	if (!ok) {
		if (kind == IKE_PEND_ADD_IN)
			c->has_in = false;
		if (kind == IKE_PEND_ADD_OUT)
			c->has_out = false;
		ike_child_failed(c, "the dataplane refused it");
		return;
	}
	switch (kind) {
	case IKE_PEND_ADD_IN:
		ike_child_set_state(c, IKE_CH_ADDING_OUT, "child-install", "inbound half");
		add_half(c, true);
		break;
	case IKE_PEND_ADD_OUT: installed(c); break;
	case IKE_PEND_SWITCH: switched(c); break;
	case IKE_PEND_SIGN:
	case IKE_PEND_VERIFY:
	case IKE_PEND_PPK: break;
	}
}

static void stop_sending(struct ike_child *c)
{
	c->sending = false;
	if (c->tunnel->current == c)
		c->tunnel->current = NULL;
}

/* Takes the halves out of the dataplane; the inbound one may be left for stragglers. */
static void take_out(struct ike_child *c, bool keep_in)
{
	struct ike_tunnel *t = c->tunnel;

	if (t->current == c || c->sending) {
		struct ike_child *next = ike_best_child(t, c);

		if (next)
			ike_child_switch(next, "its predecessor goes");
		stop_sending(c); /* its worker sends by the common one */
	}
	if (c->has_out && child_act(c, IKE_ACT_CHILD_DEL_OUT))
		c->has_out = false;
	if (c->has_in && !keep_in && child_act(c, IKE_ACT_CHILD_DEL_IN))
		c->has_in = false;
	c->has_out = false;
	if (!keep_in)
		c->has_in = false;
}

/* Its worker has another or the common one; what the peer sends arrives until the IKE SA has gone. */
void ike_child_hand_over(struct ike_child *c, const char *reason)
{
	struct ike_child *next = ike_best_child(c->tunnel, c);

	if (next) {
		ike_child_switch(next, reason);
		return;
	}
	stop_sending(c);
	if (c->has_out)
		child_act(c, IKE_ACT_CHILD_DEL_OUT);
	c->has_out = false;
	ike_child_set_state(c, IKE_CH_DELETING, "child-delete", reason);
}

void ike_child_retire(struct ike_child *c, const char *story, const char *reason)
{
	struct ike_tunnel *t = c->tunnel;
	const bool was_current = t->current == c;
	struct sb s;

	if (c->state == IKE_CH_LINGER) {
		if (!t->current) {
			take_out(c, false);
			ike_child_gone(c, story, reason);
		}
		return;
	}
	if (c->state >= IKE_CH_GONE)
		return;
	ike_unawait(t->ike, &c->pending);
	ike_timer_child_stop(c);
	/* Stragglers are worth waiting for only where the tunnel lives on. */
	take_out(c, c->state >= IKE_CH_INSTALLED &&
			    (ike_best_child(t, c) || (t->current && t->current != c)));
	if (c->reply_held)
		reply(c, false);
	if (was_current && !t->current) {
		ike_tunnel_down(t, reason);
		s = ike_event(t->ike, IKE_HAP_CHILD_DOWN, t);
		sb_printf(&s, "SPIs in %08x, out %08x: %s", c->spi_in, c->spi_out, reason);
	}
	if (c->has_in) {
		ike_child_set_state(c, IKE_CH_LINGER, story, reason);
		ike_timer_child_lingers(c);
	} else {
		ike_child_gone(c, story, reason);
	}
}

/* It may carry nothing any more; the peer hears of it. */
void ike_child_expire(struct ike_child *c, const char *reason)
{
	struct ike_tunnel *t = c->tunnel;
	const bool was_current = t->current == c;

	if (c->state >= IKE_CH_LINGER)
		return;
	ike_unawait(t->ike, &c->pending);
	ike_timer_child_stop(c);
	take_out(c, false);
	reply(c, false);
	if (was_current && !t->current)
		ike_tunnel_down(t, reason);
	if (c->state == IKE_CH_DELETING)
		return;
	if (c->sa)
		ike_child_request_delete(c, reason);
	else
		ike_child_gone(c, "child-expire", reason);
	ike_tunnel_run(t);
}

/* Out at once, with no thought for traffic: the tunnel is being shut. */
void ike_child_drop(struct ike_child *c, const char *reason)
{
	if (c->state == IKE_CH_GONE)
		return;
	stop_sending(c);
	c->reply_held = false;
	take_out(c, false);
	ike_child_gone(c, "child-drop", reason);
}

/* Sends no more; receives what the peer sends until it has the Delete that is about to go out. */
void ike_child_linger(struct ike_child *c, const char *reason)
{
	struct ike_tunnel *t = c->tunnel;

	if (c->state == IKE_CH_LINGER)
		return;
	if (c->state != IKE_CH_INSTALLED || !c->sa) {
		ike_child_drop(c, reason);
		return;
	}
	stop_sending(c);
	ike_unawait(t->ike, &c->pending);
	ike_timer_child_stop(c);
	c->reply_held = false;
	take_out(c, true);
	ike_child_set_state(c, IKE_CH_LINGER, "child-delete", reason);
	ike_timer_child_lingers(c);
}

/* It cannot be used: the peer is told, somebody tries again. */
void ike_child_failed(struct ike_child *c, const char *reason)
{
	struct ike_tunnel *t = c->tunnel;
	struct ike_child *old = c->replaces;
	const bool was_current = t->current == c;
	const bool tell = !c->reply_held && c->sa && c->state != IKE_CH_NEW;
	struct sb s;

	if (c->state >= IKE_CH_DELETING)
		return;
	ike_unawait(t->ike, &c->pending);
	ike_timer_child_stop(c);
	/* The peer may be sending on it until it has our Delete. */
	take_out(c, tell);
	s = ike_event(t->ike, IKE_HAP_CHILD_DOWN, t);
	sb_printf(&s, "SPIs in %08x, out %08x: %s", c->spi_in, c->spi_out, reason);
	if (was_current && !t->current)
		ike_tunnel_down(t, reason);
	if (old) { /* it is alive again, and to be rekeyed another time */
		if (old->rekeyed_by_us == c)
			old->rekeyed_by_us = NULL;
		if (old->rekeyed_by_peer == c)
			old->rekeyed_by_peer = NULL;
		ike_timer_child_rekey_failed(old, false);
	}
	if (c->resource)
		ike_resource_failed(t, 0);
	else
		ike_timer_child_creation_failed(t, false);
	reply(c, false);
	if (c->state >= IKE_CH_DELETING)
		return;
	if (tell) {
		ike_child_request_delete(c, reason);
	} else {
		take_out(c, false);
		ike_child_gone(c, "child-install", reason);
	}
	ike_tunnel_run(t);
}

/* The dataplane has forgotten it: no action can reach it any more. */
void ike_child_lost(struct ike_child *c)
{
	struct ike_tunnel *t = c->tunnel;

	ike_unawait(t->ike, &c->pending);
	ike_timer_child_stop(c);
	c->has_in = c->has_out = false;
	stop_sending(c);
	reply(c, false);
	if (c->state == IKE_CH_GONE)
		return;
	if (c->state == IKE_CH_NEW || c->state == IKE_CH_LINGER || !c->sa)
		ike_child_gone(c, "dataplane-restart", "the dataplane lost it");
	else if (c->state != IKE_CH_DELETING)
		ike_child_request_delete(c, "the dataplane lost it");
}

void ike_child_moved(struct ike_child *c)
{
	if (c->has_out)
		child_act(c, IKE_ACT_CHILD_PEER);
}
