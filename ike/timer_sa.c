/* SPDX-License-Identifier: Apache-2.0 */
/* timer_sa: what is due for an IKE SA: repetitions, dead peers, keepalives, its lifetime. */
#include "ike/ike_int.h"
#include "ike/timer_int.h"

#define RETRANSMIT_FIRST    span_ms(500)
#define RETRANSMIT_LONGEST  span_s(16)
#define REQUEST_LIMIT       span_ms(31500) /* sent at 0, 0.5, 1.5, 3.5, 7.5, 15.5 s */
#define PROBES_IN_WINDOW    4              /* first transmission and three more */
#define PROBE_SHORTEST      span_ms(20)
#define HALF_OPEN_LIMIT     span_s(30)
#define SESSION_LIMIT       span_s(12) /* sent at 0, 0.5, 1.5, 3.5, 7.5 s */
#define BLACK_HOLE_PART     4          /* of the DPD interval */
#define BLACK_HOLE_SHORTEST span_s(1)
#define PUZZLE_PAUSE        span_ms(4)

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
		r->interval = ike_timer_jittered(sa->ike, RETRANSMIT_FIRST, 10);
	}
	wait = r->interval;
	if (r->interval.ns * 2 <= RETRANSMIT_LONGEST.ns + RETRANSMIT_LONGEST.ns / 4)
		r->interval.ns *= 2;
	if (sa->probing && probe_spacing(sa).ns < wait.ns)
		wait = probe_spacing(sa);
	ike_timer_arm(sa->ike, &sa->t_retransmit, wait);
}

/* Like a request, which waits for it. */
void ike_timer_sync_sent(struct ike_sa *sa)
{
	struct ike_resync *s = &sa->resync;

	if (s->n_sent == 1)
		s->first_sent = sa->ike->now;
	ike_timer_arm(sa->ike, &sa->t_retransmit,
		      ike_timer_jittered(sa->ike,
					 ike_timer_doubled(RETRANSMIT_FIRST, s->n_sent - 1,
							   RETRANSMIT_LONGEST),
					 10));
}

void ike_timer_request_done(struct ike_sa *sa)
{
	ike_timer_stop(sa->ike, &sa->t_retransmit);
}

void ike_timer_retransmit_due(struct ike_sa *sa)
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
		ike_timer_arm(sa->ike, &sa->t_reassembly, REQUEST_LIMIT);
}

void ike_timer_reassembly_due(struct ike_sa *sa)
{
	ike_timer_set(sa->ike, &sa->t_reassembly, ike_reassembly_expire(sa, REQUEST_LIMIT));
}

void ike_timer_follow(struct ike_sa *sa)
{
	/* RFC 9370 2.2.4: the responder keeps it for a limited time; as long as requests are sent. */
	ike_timer_arm(sa->ike, &sa->t_follow, REQUEST_LIMIT);
}

void ike_timer_follow_done(struct ike_sa *sa)
{
	ike_timer_stop(sa->ike, &sa->t_follow);
}

void ike_timer_follow_due(struct ike_sa *sa)
{
	ike_follow_drop(sa);
	ike_sa_run(sa);
}

/* A slice of work, then as long a rest. */
void ike_timer_puzzle(struct ike_sa *sa)
{
	ike_timer_arm(sa->ike, &sa->t_puzzle, PUZZLE_PAUSE);
}

void ike_timer_half_open(struct ike_sa *sa)
{
	ike_timer_arm(sa->ike, &sa->t_half_open, HALF_OPEN_LIMIT);
}

/* RFC 5723 4.3.2: a gateway that does not know the exchange says nothing. */
void ike_timer_session(struct ike_sa *sa)
{
	ike_timer_arm(sa->ike, &sa->t_half_open, SESSION_LIMIT);
}

void ike_timer_half_open_due(struct ike_sa *sa)
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
			ike_timer_arm(sa->ike, &sa->t_dpd, sa->tunnel->cfg.dpd_interval);
	}
}

void ike_timer_dpd_due(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	const struct mono probe_at = mono_add(sa->last_life, cfg->dpd_interval);
	const struct mono dead_at = mono_add(sa->last_life, cfg->dpd_timeout);

	if (!watches(sa) || sa->dpd_reported)
		return;
	if (!mono_reached(ike->now, probe_at)) {
		ike_timer_set(ike, &sa->t_dpd, probe_at);
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
	ike_timer_set(ike, &sa->t_dpd,
		      mono_reached(ike->now, dead_at) ? mono_add(ike->now, probe_spacing(sa))
						      : dead_at);
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
		ike_timer_arm(sa->ike, &sa->t_keepalive, sa->tunnel->cfg.nat_keepalive);
}

void ike_timer_keepalive_due(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	const struct mono at = mono_add(sa->last_tx, sa->tunnel->cfg.nat_keepalive);
	struct ike_action *a;

	if (!sa->tunnel->cfg.nat_keepalive.ns || sa->state != IKE_ST_ESTABLISHED || sa->redundant)
		return;
	if (!mono_reached(ike->now, at)) {
		ike_timer_set(ike, &sa->t_keepalive, at);
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

struct mono_span ike_timer_soft_life(const struct ike_sa *sa, struct mono_span life)
{
	return ike_timer_soft(sa->ike, &sa->tunnel->cfg, life);
}

void ike_timer_reauth(struct ike_sa *sa)
{
	if (mono_before(sa->auth_until, sa->expires_at)) {
		sa->expires_at = sa->auth_until;
		ike_timer_set(sa->ike, &sa->t_expire, sa->mute ? sa->ike->now : sa->expires_at);
	}
	if (mono_is_never(sa->reauth_at))
		ike_timer_stop(sa->ike, &sa->t_reauth);
	else
		ike_timer_set(sa->ike, &sa->t_reauth, sa->reauth_at);
}

void ike_timer_established(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;
	const struct ike_tunnel_cfg *cfg = &sa->tunnel->cfg;
	const struct mono_span life = cfg->ike_lifetime.ns ? cfg->ike_lifetime : IKE_DEFAULT_LIFE;

	ike_timer_stop(ike, &sa->t_half_open);
	sa->rekey_at = mono_add(ike->now, ike_timer_soft(ike, cfg, life));
	/* No IKE SA outlives what it was believed for, however often it is rekeyed. */
	sa->expires_at = mono_min(mono_add(ike->now, life), sa->auth_until);
	ike_timer_set(ike, &sa->t_rekey, sa->rekey_at);
	ike_timer_set(ike, &sa->t_expire, sa->mute ? ike->now : sa->expires_at);
	ike_timer_reauth(sa);
	sa->probing = false;
	sa->last_life = ike->now;
	if (watches(sa))
		ike_timer_arm(ike, &sa->t_dpd, cfg->dpd_interval);
	ike_timer_sent(sa);
}

void ike_timer_ike_rekey_failed(struct ike_sa *sa, bool temporary)
{
	const unsigned n = sa->n_rekey_failures++;
	const struct mono_span d =
		temporary ? ike_timer_doubled(IKE_TEMPORARY_FIRST, n, IKE_TEMPORARY_LONGEST)
			  : ike_timer_doubled(span_s(5), n, IKE_BACKOFF_LONGEST);

	sa->want_rekey = false;
	ike_timer_arm(sa->ike, &sa->t_rekey, ike_timer_jittered(sa->ike, d, 100));
}

void ike_timer_ike_replaced(struct ike_sa *sa, bool by_peer)
{
	if (by_peer)
		ike_timer_arm(sa->ike, &sa->t_rekey, IKE_PEER_DELETE_GRACE);
	else
		ike_timer_stop(sa->ike, &sa->t_rekey);
}

void ike_timer_ike_rekey_due(struct ike_sa *sa)
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
	ike_timer_arm(sa->ike, &sa->t_expire, in);
}

void ike_timer_response_failed(struct ike_sa *sa)
{
	sa->mute = true;
	ike_timer_arm(sa->ike, &sa->t_expire, span_ns(0));
}

void ike_timer_ike_expired(struct ike_sa *sa)
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
	ike_timer_arm(sa->ike, &sa->t_expire, REQUEST_LIMIT);
	ike_sa_delete(sa, reason);
}

void ike_timer_sa_resumed(struct ike_sa *sa)
{
	if (sa->state < IKE_ST_ESTABLISHED)
		return;
	ike_timer_resumed(sa->ike, &sa->t_rekey);
	ike_timer_resumed(sa->ike, &sa->t_expire);
	if (!mono_is_never(sa->reauth_at))
		ike_timer_set(sa->ike, &sa->t_reauth, sa->reauth_at);
	sa->last_life = sa->ike->now;
	if (watches(sa))
		ike_timer_arm(sa->ike, &sa->t_dpd, sa->tunnel->cfg.dpd_interval);
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
