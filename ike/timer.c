/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer: all policy of time. The other files say what happened; this one decides what is due when.
 * A node sits in one heap, so that ike_deadline() is a look at its top.
 */
#include "ike/ike_int.h"

#define RETRANSMIT_FIRST    span_ms(500)
#define RETRANSMIT_LONGEST  span_s(16)
#define REQUEST_LIMIT       span_ms(31500) /* sent at 0, 0.5, 1.5, 3.5, 7.5, 15.5 s */
#define PROBES_IN_WINDOW    4              /* first transmission and three more */
#define PROBE_SHORTEST      span_ms(20)
#define HALF_OPEN_LIMIT     span_s(30)
#define SESSION_LIMIT       span_s(12) /* sent at 0, 0.5, 1.5, 3.5, 7.5 s */
#define LINGER              span_s(5)
#define INSTALL_LIMIT       span_s(10)
#define SWITCH_AFTER        span_s(20) /* the peer has installed it, or has failed and said so */
#define SWITCH_SOON         span_s(2) /* the peer deletes the predecessor and may yet be installing */
#define PEER_DELETE_GRACE   span_s(20) /* the peer should have deleted what it replaced */
#define SETTLE_GRACE        span_s(12)
#define BACKOFF_FIRST       span_s(1)
#define BACKOFF_LONGEST     span_s(60)
#define TEMPORARY_FIRST     span_ms(500)
#define TEMPORARY_LONGEST   span_s(16)
#define SPAN_DEFAULT_LIFE   span_s(8 * 3600)
#define BLACK_HOLE_PART     4 /* of the DPD interval */
#define BLACK_HOLE_SHORTEST span_s(1)
#define RESOURCES_LATER     span_s(60)
#define PUZZLE_PAUSE        span_ms(4)
/* The most actions of one expiry. */
#define TICK_ACTIONS (24 + IKE_FRAGMENTS_SENT + 4 * IKE_MAX_RESOURCES)

static void set(struct ike *ike, struct ike_timer *t, struct mono at)
{
	if (!heap_set(&ike->timers, &t->node, at))
		ike_count(ike, IKE_CNT_RESOURCES);
}

static void arm(struct ike *ike, struct ike_timer *t, struct mono_span in)
{
	set(ike, t, mono_add(ike->now, in));
}

void ike_timer_init(struct ike_timer *t, enum ike_timer_kind kind, void *owner)
{
	*t = (struct ike_timer){.kind = kind, .owner = owner};
}

void ike_timer_stop(struct ike *ike, struct ike_timer *t)
{
	heap_remove(&ike->timers, &t->node);
}

/* d, up to `percent` longer. */
static struct mono_span jittered(struct ike *ike, struct mono_span d, unsigned percent)
{
	return span_ns(d.ns + ike_jitter(ike, d.ns / 100 * percent + 1));
}

static struct mono_span doubled(struct mono_span first, unsigned n, struct mono_span longest)
{
	struct mono_span d = first;

	while (n-- && d.ns < longest.ns)
		d.ns *= 2;
	return d.ns < longest.ns ? d : longest;
}

/* ------------------------------------------------------------------ requests */

static struct mono_span probe_spacing(const struct ike_sa *sa)
{
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	struct mono_span d = {0};

	if (cfg->dpd_timeout.ns > cfg->dpd_interval.ns)
		d.ns = (cfg->dpd_timeout.ns - cfg->dpd_interval.ns) / PROBES_IN_WINDOW;
	return d.ns > PROBE_SHORTEST.ns ? d : PROBE_SHORTEST;
}

void ike_timer_request_sent(struct ike_sa *sa)
{
	struct ike_request *r = &sa->req;
	struct mono_span wait;

	if (r->n_sent == 1) { /* drawn once a message: its retransmissions double it */
		r->first_sent = sa->ike->now;
		r->interval = jittered(sa->ike, RETRANSMIT_FIRST, 10);
	}
	wait = r->interval;
	if (r->interval.ns * 2 <= RETRANSMIT_LONGEST.ns + RETRANSMIT_LONGEST.ns / 4)
		r->interval.ns *= 2;
	if (sa->probing && probe_spacing(sa).ns < wait.ns)
		wait = probe_spacing(sa);
	arm(sa->ike, &sa->t_retransmit, wait);
}

/* Like a request, which waits for it. */
void ike_timer_sync_sent(struct ike_sa *sa)
{
	struct ike_resync *s = &sa->resync;

	if (s->n_sent == 1)
		s->first_sent = sa->ike->now;
	arm(sa->ike, &sa->t_retransmit,
	    jittered(sa->ike, doubled(RETRANSMIT_FIRST, s->n_sent - 1, RETRANSMIT_LONGEST), 10));
}

void ike_timer_request_done(struct ike_sa *sa)
{
	ike_timer_stop(sa->ike, &sa->t_retransmit);
}

static void retransmit_due(struct ike_sa *sa)
{
	const struct mono now = sa->ike->now;
	struct mono limit;

	if (sa->resync.data) {
		if (!sa->dpd_reported &&
		    mono_reached(now, mono_add(sa->resync.first_sent, REQUEST_LIMIT)))
			ike_tunnel_dead(sa, "no answer after the takeover");
		else
			ike_sync_again(sa);
		return;
	}
	if (!sa->req.data)
		return;
	limit = mono_add(sa->req.first_sent, REQUEST_LIMIT);
	/* A probe lives as long as the timeout says, and a peer that was reported with dpd_action
	 * none as long as its SA; but a Delete waits no longer for it. */
	if (sa->state != IKE_ST_DELETING &&
	    (sa->dpd_reported ||
	     (sa->probing && sa->req.task == IKE_TASK_DPD && sa->tunnel->cfg.dpd_timeout.ns)))
		limit = MONO_NEVER;
	if (mono_reached(now, limit))
		ike_tunnel_dead(sa, "no answer to our requests");
	else
		ike_request_again(sa);
}

void ike_timer_reassembly(struct ike_sa *sa)
{
	/* RFC 7383 2.6: as long as we would go on repeating a request. */
	if (!sa->t_reassembly.node.index)
		arm(sa->ike, &sa->t_reassembly, REQUEST_LIMIT);
}

static void reassembly_due(struct ike_sa *sa)
{
	set(sa->ike, &sa->t_reassembly, ike_reassembly_expire(sa, REQUEST_LIMIT));
}

void ike_timer_follow(struct ike_sa *sa)
{
	/* RFC 9370 2.2.4: the responder keeps it for a limited time; as long as requests are sent. */
	arm(sa->ike, &sa->t_follow, REQUEST_LIMIT);
}

void ike_timer_follow_done(struct ike_sa *sa)
{
	ike_timer_stop(sa->ike, &sa->t_follow);
}

static void follow_due(struct ike_sa *sa)
{
	ike_follow_drop(sa);
	ike_sa_run(sa);
}

/* A slice of work, then as long a rest. */
void ike_timer_puzzle(struct ike_sa *sa)
{
	arm(sa->ike, &sa->t_puzzle, PUZZLE_PAUSE);
}

void ike_timer_half_open(struct ike_sa *sa)
{
	arm(sa->ike, &sa->t_half_open, HALF_OPEN_LIMIT);
}

/* RFC 5723 4.3.2: a gateway that does not know the exchange says nothing. */
void ike_timer_session(struct ike_sa *sa)
{
	arm(sa->ike, &sa->t_half_open, SESSION_LIMIT);
}

static void half_open_due(struct ike_sa *sa)
{
	if (sa->state == IKE_ST_INIT_SENT && sa->hs->session) {
		ike_session_silent(sa);
		return;
	}
	if (sa->initiator && sa->tunnel)
		ike_timer_initiation_failed(sa->tunnel);
	ike_sa_close(sa, "half-open", "never authenticated");
}

/* ----------------------------------------------------- dead peers, keepalives */

static bool watches(const struct ike_sa *sa)
{
	return sa->tunnel && sa->tunnel->cfg.dpd_interval.ns &&
	       (sa->state == IKE_ST_ESTABLISHED || sa->state == IKE_ST_REPLACED ||
		sa->state == IKE_ST_DELETING);
}

void ike_timer_sign_of_life(struct ike_sa *sa)
{
	sa->last_life = sa->tunnel->heard = sa->ike->now;
	sa->dpd_reported = false;
	/* While idle the timer looks at last_life when it fires; that spares a heap operation. */
	if (sa->probing || !sa->t_dpd.node.index) {
		sa->probing = false;
		if (watches(sa))
			arm(sa->ike, &sa->t_dpd, sa->tunnel->cfg.dpd_interval);
	}
}

static void dpd_due(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	const struct mono probe_at = mono_add(sa->last_life, cfg->dpd_interval);
	const struct mono dead_at = mono_add(sa->last_life, cfg->dpd_timeout);

	if (!watches(sa) || sa->dpd_reported)
		return;
	if (!mono_reached(ike->now, probe_at)) {
		set(ike, &sa->t_dpd, probe_at);
		if (ike_mobike_look_due(sa)) {
			sa->want_dpd = true;
			ike_sa_run(sa);
		}
		return;
	}
	if (sa->probing && mono_reached(ike->now, dead_at)) {
		ike_tunnel_dead(sa, "the peer is silent");
		return;
	}
	sa->probing = true;
	set(ike, &sa->t_dpd,
	    mono_reached(ike->now, dead_at) ? mono_add(ike->now, probe_spacing(sa)) : dead_at);
	if (sa->req.data || sa->resync.data) {
		ike_request_again(sa); /* an outstanding request is as good a probe */
		return;
	}
	sa->want_dpd = true;
	ike_sa_run(sa);
}

/*
 * RFC 7296 2.4: traffic goes out and none comes in. That may be how it is meant, or a black hole: the
 * probe need not wait for the whole interval. What it finds is judged as ever.
 */
void ike_timer_sent_unanswered(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	struct mono_span patience;

	if (!watches(sa) || sa->probing || sa->dpd_reported || sa->req.data)
		return;
	patience = span_ns(sa->tunnel->cfg.dpd_interval.ns / BLACK_HOLE_PART);
	if (patience.ns < BLACK_HOLE_SHORTEST.ns)
		patience = BLACK_HOLE_SHORTEST;
	if (mono_since(ike->now, sa->last_life).ns < patience.ns)
		return;
	ike_touch(sa->tunnel);
	sa->want_dpd = true;
	ike_sa_run(sa);
}

/* RFC 3948 4: only from behind a NAT, only when nothing else was sent. */
void ike_timer_sent(struct ike_sa *sa)
{
	sa->last_tx = sa->ike->now;
	if (sa->local_nat && sa->natt && sa->tunnel && sa->tunnel->cfg.nat_keepalive.ns &&
	    !sa->t_keepalive.node.index)
		arm(sa->ike, &sa->t_keepalive, sa->tunnel->cfg.nat_keepalive);
}

static void keepalive_due(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	const struct mono at = mono_add(sa->last_tx, sa->tunnel->cfg.nat_keepalive);
	struct ike_action *a;

	if (!sa->tunnel->cfg.nat_keepalive.ns || sa->state != IKE_ST_ESTABLISHED || sa->redundant)
		return;
	if (!mono_reached(ike->now, at)) {
		set(ike, &sa->t_keepalive, at);
		return;
	}
	a = ike_act(ike, IKE_ACT_KEEPALIVE, sa->tunnel->cfg.tunnel);
	if (a) {
		a->send.local = sa->local;
		a->send.remote = sa->remote;
		a->send.natt = true;
	}
	ike_timer_sent(sa);
}

/* ------------------------------------------------------------------ lifetimes */

/* margin * (1 + rand(0..fuzz)), never so much that an SA is rekeyed in the first half of its life. */
static struct mono_span soft_life(struct ike *ike, const struct ike_tunnel_cfg *cfg,
				  struct mono_span life)
{
	struct mono_span margin = cfg->rekey_margin;

	if (margin.ns >= life.ns)
		margin.ns = life.ns / 10;
	margin = jittered(ike, margin, cfg->rekey_fuzz_percent);
	if (margin.ns > life.ns / 2)
		margin.ns = life.ns / 4 + ike_jitter(ike, life.ns / 4 + 1);
	return span_ns(life.ns - margin.ns);
}

struct mono_span ike_timer_soft_life(const struct ike_sa *sa, struct mono_span life)
{
	return soft_life(sa->ike, &sa->tunnel->cfg, life);
}

void ike_timer_reauth(struct ike_sa *sa)
{
	if (mono_before(sa->auth_until, sa->expires_at)) {
		sa->expires_at = sa->auth_until;
		set(sa->ike, &sa->t_expire, sa->mute ? sa->ike->now : sa->expires_at);
	}
	if (mono_is_never(sa->reauth_at))
		ike_timer_stop(sa->ike, &sa->t_reauth);
	else
		set(sa->ike, &sa->t_reauth, sa->reauth_at);
}

void ike_timer_established(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	const struct mono_span life = cfg->ike_lifetime.ns ? cfg->ike_lifetime : SPAN_DEFAULT_LIFE;

	ike_timer_stop(ike, &sa->t_half_open);
	sa->rekey_at = mono_add(ike->now, soft_life(ike, cfg, life));
	/* No IKE SA outlives what it was believed for, however often it is rekeyed. */
	sa->expires_at = mono_min(mono_add(ike->now, life), sa->auth_until);
	set(ike, &sa->t_rekey, sa->rekey_at);
	set(ike, &sa->t_expire, sa->mute ? ike->now : sa->expires_at);
	ike_timer_reauth(sa);
	sa->probing = false;
	sa->last_life = ike->now;
	if (watches(sa))
		arm(ike, &sa->t_dpd, cfg->dpd_interval);
	ike_timer_sent(sa);
}

void ike_timer_ike_rekey_failed(struct ike_sa *sa, bool temporary)
{
	const unsigned n = sa->n_rekey_failures++;
	const struct mono_span d = temporary ? doubled(TEMPORARY_FIRST, n, TEMPORARY_LONGEST)
					     : doubled(span_s(5), n, BACKOFF_LONGEST);

	sa->want_rekey = false;
	arm(sa->ike, &sa->t_rekey, jittered(sa->ike, d, 100));
}

void ike_timer_ike_replaced(struct ike_sa *sa, bool by_peer)
{
	if (by_peer)
		arm(sa->ike, &sa->t_rekey, PEER_DELETE_GRACE);
	else
		ike_timer_stop(sa->ike, &sa->t_rekey);
}

static void ike_rekey_due(struct ike_sa *sa)
{
	if (sa->state == IKE_ST_REPLACED || sa->redundant) {
		ike_sa_delete(sa, "the peer did not delete it");
		return;
	}
	sa->want_rekey = true;
	ike_sa_run(sa);
}

void ike_timer_redirected(struct ike_sa *sa, struct mono_span in)
{
	sa->redirected = true;
	arm(sa->ike, &sa->t_expire, in);
}

void ike_timer_response_failed(struct ike_sa *sa)
{
	sa->mute = true;
	arm(sa->ike, &sa->t_expire, span_ns(0));
}

static void ike_expired(struct ike_sa *sa)
{
	const char *reason = sa->mute         ? "a response could not be made"
			     : sa->redirected ? "the peer did not go where it was sent"
			     : mono_reached(sa->ike->now, sa->auth_until)
				     ? "its authentication has ended"
				     : "hard lifetime";

	if (sa->state == IKE_ST_DELETING) {
		ike_sa_close(sa, "ike-expire", reason);
		return;
	}
	/* The Delete may have to wait for the end of another request; the SA has that long at most. */
	arm(sa->ike, &sa->t_expire, REQUEST_LIMIT);
	ike_sa_delete(sa, reason);
}

/* The nodes hold the deadlines that the record had. */
static void resumed(struct ike *ike, struct ike_timer *t)
{
	set(ike, t, t->node.deadline);
}

void ike_timer_sa_resumed(struct ike_sa *sa)
{
	if (sa->state < IKE_ST_ESTABLISHED)
		return;
	resumed(sa->ike, &sa->t_rekey);
	resumed(sa->ike, &sa->t_expire);
	if (!mono_is_never(sa->reauth_at))
		set(sa->ike, &sa->t_reauth, sa->reauth_at);
	sa->last_life = sa->ike->now;
	if (watches(sa))
		arm(sa->ike, &sa->t_dpd, sa->tunnel->cfg.dpd_interval);
	ike_timer_sent(sa);
}

void ike_timer_sa_stop(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;

	ike_timer_stop(ike, &sa->t_retransmit);
	ike_timer_stop(ike, &sa->t_half_open);
	ike_timer_stop(ike, &sa->t_rekey);
	ike_timer_stop(ike, &sa->t_expire);
	ike_timer_stop(ike, &sa->t_reauth);
	ike_timer_stop(ike, &sa->t_dpd);
	ike_timer_stop(ike, &sa->t_keepalive);
	ike_timer_stop(ike, &sa->t_reassembly);
	ike_timer_stop(ike, &sa->t_follow);
	ike_timer_stop(ike, &sa->t_puzzle);
}

/* ------------------------------------------------------------------- children */

void ike_timer_child_installing(struct ike_child *c)
{
	arm(c->tunnel->ike, &c->t_step, INSTALL_LIMIT);
}

void ike_timer_child_installed(struct ike_child *c)
{
	struct ike *ike = c->tunnel->ike;
	const struct ike_tunnel_cfg *cfg = &c->tunnel->cfg;
	const struct mono_span life =
		cfg->child_lifetime.ns ? cfg->child_lifetime : SPAN_DEFAULT_LIFE;

	ike_timer_stop(ike, &c->t_step);
	c->rekey_at = mono_add(ike->now, soft_life(ike, cfg, life));
	c->expires_at = mono_add(ike->now, life);
	if (!c->redundant)
		set(ike, &c->t_rekey, c->rekey_at);
	set(ike, &c->t_expire, c->expires_at);
}

void ike_timer_child_awaits_switch(struct ike_child *c)
{
	arm(c->tunnel->ike, &c->t_step, SWITCH_AFTER);
}

void ike_timer_child_predecessor_gone(struct ike_child *c)
{
	if (c->state == IKE_CH_INSTALLED && !ike_child_sends(c) && !c->pending.link.linked)
		arm(c->tunnel->ike, &c->t_step, SWITCH_SOON);
}

void ike_timer_child_switched(struct ike_child *c)
{
	ike_timer_stop(c->tunnel->ike, &c->t_step);
}

void ike_timer_child_rekey_failed(struct ike_child *c, bool temporary)
{
	struct ike *ike = c->tunnel->ike;
	const unsigned n = c->n_rekey_failures++;
	const struct mono_span d = temporary ? doubled(TEMPORARY_FIRST, n, TEMPORARY_LONGEST)
					     : doubled(span_s(5), n, BACKOFF_LONGEST);

	c->want_rekey = false;
	arm(ike, &c->t_rekey, jittered(ike, d, 100));
}

void ike_timer_child_rekey_later(struct ike_child *c)
{
	set(c->tunnel->ike, &c->t_rekey, mono_add(c->created, IKE_CONFIRM_SOON));
}

void ike_timer_child_replaced(struct ike_child *c, bool by_peer)
{
	struct ike *ike = c->tunnel->ike;

	c->want_rekey = false;
	if (by_peer)
		arm(ike, &c->t_rekey, PEER_DELETE_GRACE);
	else
		ike_timer_stop(ike, &c->t_rekey);
}

void ike_timer_child_revived(struct ike_child *c)
{
	set(c->tunnel->ike, &c->t_rekey, c->rekey_at);
}

void ike_timer_child_lingers(struct ike_child *c)
{
	arm(c->tunnel->ike, &c->t_step, LINGER);
}

void ike_timer_child_resumed(struct ike_child *c)
{
	struct ike *ike = c->tunnel->ike;

	resumed(ike, &c->t_rekey);
	resumed(ike, &c->t_expire);
	resumed(ike, &c->t_step);
}

void ike_timer_child_stop(struct ike_child *c)
{
	struct ike *ike = c->tunnel->ike;

	ike_timer_stop(ike, &c->t_rekey);
	ike_timer_stop(ike, &c->t_expire);
	ike_timer_stop(ike, &c->t_step);
}

static void child_rekey_due(struct ike_child *c)
{
	if (c->state != IKE_CH_INSTALLED)
		return;
	if (c->rekeyed_by_us || c->rekeyed_by_peer || c->redundant) {
		const struct ike_child *best = ike_best_child(c->tunnel, c);

		/* Not before the peer has surely got what replaces it. */
		if (best && ike_child_confirmed(best, IKE_CONFIRM_LATE))
			ike_child_request_delete(c, "the peer did not delete it");
		else
			ike_timer_child_replaced(c, true);
		return;
	}
	ike_child_request_rekey(c);
}

static void child_expired(struct ike_child *c)
{
	/* RFC 7296 2.8: an SA past its hard lifetime carries nothing any more. */
	ike_child_expire(c, "hard lifetime");
}

static void child_step_due(struct ike_child *c)
{
	switch (c->state) {
	case IKE_CH_ADDING_IN:
	case IKE_CH_ADDING_OUT: ike_child_failed(c, "the dataplane does not answer"); break;
	case IKE_CH_INSTALLED:
		if (ike_child_sends(c) && c->pending.link.linked)
			ike_child_failed(c, "the dataplane does not answer");
		if (c->redundant || ike_child_sends(c) || c->state != IKE_CH_INSTALLED)
			break;
		/* Who only receives on it has nothing more to say, and would have told us by a Delete. */
		if ((c->confirmed || ike_child_confirmed(c, IKE_CONFIRM_SURE)) &&
		    !ike_child_goes(c))
			ike_child_switch(c, "the peer has it");
		else
			ike_timer_child_awaits_switch(c);
		break;
	case IKE_CH_LINGER: ike_child_drop(c, "stragglers had their time"); break;
	case IKE_CH_NEW:
	case IKE_CH_DELETING:
	case IKE_CH_GONE:
	case IKE_CH_END: break;
	}
}

/* -------------------------------------------------------------------- tunnels */

void ike_timer_initiation_failed(struct ike_tunnel *t)
{
	const struct mono_span d = doubled(BACKOFF_FIRST, t->n_failures++, BACKOFF_LONGEST);

	t->not_before = mono_add(t->ike->now, jittered(t->ike, d, 25));
}

void ike_timer_child_creation_failed(struct ike_tunnel *t, bool temporary)
{
	const struct mono_span first = temporary ? TEMPORARY_FIRST : BACKOFF_FIRST;
	const struct mono_span d = doubled(first, t->n_child_failures++, BACKOFF_LONGEST);

	t->child_not_before = mono_add(t->ike->now, jittered(t->ike, d, 100));
	set(t->ike, &t->t_retry, t->child_not_before);
}

void ike_timer_tunnel_retry(struct ike_tunnel *t)
{
	set(t->ike, &t->t_retry, ike_tunnel_sa(t) ? t->child_not_before : t->not_before);
}

void ike_timer_settle(struct ike_tunnel *t)
{
	if (!t->t_settle.node.index)
		arm(t->ike, &t->t_settle, SETTLE_GRACE);
}

void ike_timer_resources(struct ike_tunnel *t, struct mono at)
{
	set(t->ike, &t->t_resources, at);
}

void ike_timer_resources_failed(struct ike_tunnel *t, bool temporary)
{
	const struct mono_span first = temporary ? TEMPORARY_FIRST : BACKOFF_FIRST;
	const struct mono_span d = doubled(first, t->n_resource_failures++, BACKOFF_LONGEST);

	t->resources_not_before = mono_add(t->ike->now, jittered(t->ike, d, 100));
}

void ike_timer_resources_later(struct ike_tunnel *t)
{
	t->resources_not_before = mono_add(t->ike->now, jittered(t->ike, RESOURCES_LATER, 25));
}

void ike_timer_dp_lost(struct ike_tunnel *t)
{
	set(t->ike, &t->t_dp_lost, t->ike->now);
}

void ike_timer_tunnel_stop(struct ike_tunnel *t)
{
	ike_timer_stop(t->ike, &t->t_retry);
	ike_timer_stop(t->ike, &t->t_settle);
	ike_timer_stop(t->ike, &t->t_dp_lost);
	ike_timer_stop(t->ike, &t->t_resources);
}

/* --------------------------------------------------------------------- expiry */

static void resources_due(struct ike_tunnel *t)
{
	struct ike_sa *sa = ike_tunnel_sa(t);

	if (sa)
		ike_sa_run(sa);
}

static void dp_lost_due(struct ike_tunnel *t)
{
	if (t->resuming)
		ike_tunnel_resume(t);
	else
		ike_tunnel_dp_lost(t);
}

/* Whose records may change by it. */
static struct ike_tunnel *tunnel_of(const struct ike_timer *t)
{
	switch (t->kind) {
	case IKE_TIMER_RETRANSMIT:
	case IKE_TIMER_HALF_OPEN:
	case IKE_TIMER_IKE_REKEY:
	case IKE_TIMER_IKE_EXPIRE:
	case IKE_TIMER_IKE_REAUTH:
	case IKE_TIMER_DPD:
	case IKE_TIMER_KEEPALIVE:
	case IKE_TIMER_REASSEMBLY:
	case IKE_TIMER_FOLLOW:
	case IKE_TIMER_PUZZLE: return ((struct ike_sa *)t->owner)->tunnel;
	case IKE_TIMER_CHILD_REKEY:
	case IKE_TIMER_CHILD_EXPIRE:
	case IKE_TIMER_CHILD_STEP: return ((struct ike_child *)t->owner)->tunnel;
	case IKE_TIMER_TUNNEL_RETRY:
	case IKE_TIMER_TUNNEL_SETTLE:
	case IKE_TIMER_RESOURCES:
	case IKE_TIMER_DP_LOST: return t->owner;
	}
	return NULL;
}

static void expire(struct ike_timer *t)
{
	ike_touch(tunnel_of(t));
	switch (t->kind) {
	case IKE_TIMER_RETRANSMIT: retransmit_due(t->owner); break;
	case IKE_TIMER_HALF_OPEN: half_open_due(t->owner); break;
	case IKE_TIMER_IKE_REKEY: ike_rekey_due(t->owner); break;
	case IKE_TIMER_IKE_EXPIRE: ike_expired(t->owner); break;
	case IKE_TIMER_IKE_REAUTH: ike_reauth_due(t->owner); break;
	case IKE_TIMER_DPD: dpd_due(t->owner); break;
	case IKE_TIMER_KEEPALIVE: keepalive_due(t->owner); break;
	case IKE_TIMER_CHILD_REKEY: child_rekey_due(t->owner); break;
	case IKE_TIMER_CHILD_EXPIRE: child_expired(t->owner); break;
	case IKE_TIMER_CHILD_STEP: child_step_due(t->owner); break;
	case IKE_TIMER_TUNNEL_RETRY: ike_tunnel_run(t->owner); break;
	case IKE_TIMER_TUNNEL_SETTLE: ike_settle_tunnel(t->owner); break;
	case IKE_TIMER_RESOURCES: resources_due(t->owner); break;
	case IKE_TIMER_DP_LOST: dp_lost_due(t->owner); break;
	case IKE_TIMER_REASSEMBLY: reassembly_due(t->owner); break;
	case IKE_TIMER_FOLLOW: follow_due(t->owner); break;
	case IKE_TIMER_PUZZLE: ike_init_puzzle_due(t->owner); break;
	}
}

/* Stops while there is room for the actions of one more; the deadline then stays in the past. */
void ike_timers_run(struct ike *ike)
{
	struct heap_node *n;

	while ((n = heap_first(&ike->timers)) && mono_reached(ike->now, n->deadline) &&
	       ike->out->n + ike->n_saves + TICK_ACTIONS <= IKE_OUT_MAX) {
		struct ike_timer *t = container_of(n, struct ike_timer, node);

		heap_remove(&ike->timers, n);
		expire(t);
	}
}
