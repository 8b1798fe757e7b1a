/* SPDX-License-Identifier: Apache-2.0 */
/* timer_child: what is due for children and tunnels. */
#include "ike/ike_int.h"
#include "ike/timer_int.h"

#define LINGER          span_s(5)
#define INSTALL_LIMIT   span_s(10)
#define SWITCH_AFTER    span_s(20) /* the peer has installed it, or has failed and said so */
#define SWITCH_SOON     span_s(2)  /* the peer deletes the predecessor and may yet be installing */
#define SETTLE_GRACE    span_s(12)
#define BACKOFF_FIRST   span_s(1)
#define RESOURCES_LATER span_s(60)

/* ------------------------------------------------------------------- children */

void ike_timer_child_installing(struct ike_child *c)
{
	ike_timer_arm(c->tunnel->ike, &c->t_step, INSTALL_LIMIT);
}

void ike_timer_child_installed(struct ike_child *c)
{
	struct ike *ike = c->tunnel->ike;
	const struct ike_tunnel_cfg *cfg = &c->tunnel->cfg;
	const struct mono_span life =
		cfg->child_lifetime.ns ? cfg->child_lifetime : IKE_DEFAULT_LIFE;

	ike_timer_stop(ike, &c->t_step);
	c->rekey_at = mono_add(ike->now, ike_timer_soft(ike, cfg, life));
	c->expires_at = mono_add(ike->now, life);
	if (!c->redundant)
		ike_timer_set(ike, &c->t_rekey, c->rekey_at);
	ike_timer_set(ike, &c->t_expire, c->expires_at);
}

void ike_timer_child_awaits_switch(struct ike_child *c)
{
	ike_timer_arm(c->tunnel->ike, &c->t_step, SWITCH_AFTER);
}

void ike_timer_child_predecessor_gone(struct ike_child *c)
{
	if (c->state == IKE_CH_INSTALLED && !ike_child_sends(c) && !c->pending.link.linked)
		ike_timer_arm(c->tunnel->ike, &c->t_step, SWITCH_SOON);
}

void ike_timer_child_switched(struct ike_child *c)
{
	ike_timer_stop(c->tunnel->ike, &c->t_step);
}

void ike_timer_child_rekey_failed(struct ike_child *c, bool temporary)
{
	struct ike *ike = c->tunnel->ike;
	const unsigned n = c->n_rekey_failures++;
	const struct mono_span d =
		temporary ? ike_timer_doubled(IKE_TEMPORARY_FIRST, n, IKE_TEMPORARY_LONGEST)
			  : ike_timer_doubled(span_s(5), n, IKE_BACKOFF_LONGEST);

	c->want_rekey = false;
	ike_timer_arm(ike, &c->t_rekey, ike_timer_jittered(ike, d, 100));
}

void ike_timer_child_rekey_later(struct ike_child *c)
{
	ike_timer_set(c->tunnel->ike, &c->t_rekey, mono_add(c->created, IKE_CONFIRM_SOON));
}

void ike_timer_child_replaced(struct ike_child *c, bool by_peer)
{
	struct ike *ike = c->tunnel->ike;

	c->want_rekey = false;
	if (by_peer)
		ike_timer_arm(ike, &c->t_rekey, IKE_PEER_DELETE_GRACE);
	else
		ike_timer_stop(ike, &c->t_rekey);
}

void ike_timer_child_revived(struct ike_child *c)
{
	ike_timer_set(c->tunnel->ike, &c->t_rekey, c->rekey_at);
}

void ike_timer_child_lingers(struct ike_child *c)
{
	ike_timer_arm(c->tunnel->ike, &c->t_step, LINGER);
}

void ike_timer_child_resumed(struct ike_child *c)
{
	struct ike *ike = c->tunnel->ike;

	ike_timer_resumed(ike, &c->t_rekey);
	ike_timer_resumed(ike, &c->t_expire);
	ike_timer_resumed(ike, &c->t_step);
}

void ike_timer_child_stop(struct ike_child *c)
{
	struct ike *ike = c->tunnel->ike;

	ike_timer_stop(ike, &c->t_rekey);
	ike_timer_stop(ike, &c->t_expire);
	ike_timer_stop(ike, &c->t_step);
}

void ike_timer_child_rekey_due(struct ike_child *c)
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

void ike_timer_child_expired(struct ike_child *c)
{
	/* RFC 7296 2.8: an SA past its hard lifetime carries nothing any more. */
	ike_child_expire(c, "hard lifetime");
}

void ike_timer_child_step_due(struct ike_child *c)
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
	const struct mono_span d =
		ike_timer_doubled(BACKOFF_FIRST, t->n_failures++, IKE_BACKOFF_LONGEST);

	t->not_before = mono_add(t->ike->now, ike_timer_jittered(t->ike, d, 25));
}

void ike_timer_child_creation_failed(struct ike_tunnel *t, bool temporary)
{
	const struct mono_span first = temporary ? IKE_TEMPORARY_FIRST : BACKOFF_FIRST;
	const struct mono_span d =
		ike_timer_doubled(first, t->n_child_failures++, IKE_BACKOFF_LONGEST);

	t->child_not_before = mono_add(t->ike->now, ike_timer_jittered(t->ike, d, 100));
	ike_timer_set(t->ike, &t->t_retry, t->child_not_before);
}

void ike_timer_tunnel_retry(struct ike_tunnel *t)
{
	ike_timer_set(t->ike, &t->t_retry, ike_tunnel_sa(t) ? t->child_not_before : t->not_before);
}

void ike_timer_settle(struct ike_tunnel *t)
{
	if (!t->t_settle.node.index)
		ike_timer_arm(t->ike, &t->t_settle, SETTLE_GRACE);
}

void ike_timer_resources(struct ike_tunnel *t, struct mono at)
{
	ike_timer_set(t->ike, &t->t_resources, at);
}

void ike_timer_resources_failed(struct ike_tunnel *t, bool temporary)
{
	const struct mono_span first = temporary ? IKE_TEMPORARY_FIRST : BACKOFF_FIRST;
	const struct mono_span d =
		ike_timer_doubled(first, t->n_resource_failures++, IKE_BACKOFF_LONGEST);

	t->resources_not_before = mono_add(t->ike->now, ike_timer_jittered(t->ike, d, 100));
}

void ike_timer_resources_later(struct ike_tunnel *t)
{
	t->resources_not_before =
		mono_add(t->ike->now, ike_timer_jittered(t->ike, RESOURCES_LATER, 25));
}

void ike_timer_dp_lost(struct ike_tunnel *t)
{
	ike_timer_set(t->ike, &t->t_dp_lost, t->ike->now);
}

void ike_timer_tunnel_stop(struct ike_tunnel *t)
{
	ike_timer_stop(t->ike, &t->t_retry);
	ike_timer_stop(t->ike, &t->t_settle);
	ike_timer_stop(t->ike, &t->t_dp_lost);
	ike_timer_stop(t->ike, &t->t_resources);
}

void ike_timer_resources_due(struct ike_tunnel *t)
{
	struct ike_sa *sa = ike_tunnel_sa(t);

	if (sa)
		ike_sa_run(sa);
}

void ike_timer_dp_lost_due(struct ike_tunnel *t)
{
	if (t->resuming)
		ike_tunnel_resume(t);
	else
		ike_tunnel_dp_lost(t);
}
