/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer: all policy of time. The other files say what happened; these decide what is due when: timer_sa
 * for IKE SAs, timer_child for children and tunnels. A node sits in one heap, so that ike_deadline() is a
 * look at its top.
 */
#include "ike/ike_int.h"
#include "ike/timer_int.h"

/* The most actions of one expiry. */
#define TICK_ACTIONS (24 + IKE_FRAGMENTS_SENT + 4 * IKE_MAX_RESOURCES)

void ike_timer_set(struct ike *ike, struct ike_timer *t, struct mono at)
{
	if (!heap_set(&ike->timers, &t->node, at))
		ike_count(ike, IKE_CNT_RESOURCES);
}

void ike_timer_arm(struct ike *ike, struct ike_timer *t, struct mono_span in)
{
	ike_timer_set(ike, t, mono_add(ike->now, in));
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
struct mono_span ike_timer_jittered(struct ike *ike, struct mono_span d, unsigned percent)
{
	return span_ns(d.ns + ike_jitter(ike, d.ns / 100 * percent + 1));
}

struct mono_span ike_timer_doubled(struct mono_span first, unsigned n, struct mono_span longest)
{
	struct mono_span d = first;

	while (n-- && d.ns < longest.ns)
		d.ns *= 2;
	return d.ns < longest.ns ? d : longest;
}

/* margin * (1 + rand(0..fuzz)), never so much that an SA is rekeyed in the first half of its life. */
struct mono_span ike_timer_soft(struct ike *ike, const struct ike_tunnel_cfg *cfg,
				struct mono_span life)
{
	struct mono_span margin = cfg->rekey_margin;

	if (margin.ns >= life.ns)
		margin.ns = life.ns / 10;
	margin = ike_timer_jittered(ike, margin, cfg->rekey_fuzz_percent);
	if (margin.ns > life.ns / 2)
		margin.ns = life.ns / 4 + ike_jitter(ike, life.ns / 4 + 1);
	return span_ns(life.ns - margin.ns);
}

/* The nodes hold the deadlines that the record had. */
void ike_timer_resumed(struct ike *ike, struct ike_timer *t)
{
	ike_timer_set(ike, t, t->node.deadline);
}

/* --------------------------------------------------------------------- expiry */

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
	case IKE_TIMER_RETRANSMIT: ike_timer_retransmit_due(t->owner); break;
	case IKE_TIMER_HALF_OPEN: ike_timer_half_open_due(t->owner); break;
	case IKE_TIMER_IKE_REKEY: ike_timer_ike_rekey_due(t->owner); break;
	case IKE_TIMER_IKE_EXPIRE: ike_timer_ike_expired(t->owner); break;
	case IKE_TIMER_IKE_REAUTH: ike_reauth_due(t->owner); break;
	case IKE_TIMER_DPD: ike_timer_dpd_due(t->owner); break;
	case IKE_TIMER_KEEPALIVE: ike_timer_keepalive_due(t->owner); break;
	case IKE_TIMER_CHILD_REKEY: ike_timer_child_rekey_due(t->owner); break;
	case IKE_TIMER_CHILD_EXPIRE: ike_timer_child_expired(t->owner); break;
	case IKE_TIMER_CHILD_STEP: ike_timer_child_step_due(t->owner); break;
	case IKE_TIMER_TUNNEL_RETRY: ike_tunnel_run(t->owner); break;
	case IKE_TIMER_TUNNEL_SETTLE: ike_settle_tunnel(t->owner); break;
	case IKE_TIMER_RESOURCES: ike_timer_resources_due(t->owner); break;
	case IKE_TIMER_DP_LOST: ike_timer_dp_lost_due(t->owner); break;
	case IKE_TIMER_REASSEMBLY: ike_timer_reassembly_due(t->owner); break;
	case IKE_TIMER_FOLLOW: ike_timer_follow_due(t->owner); break;
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
