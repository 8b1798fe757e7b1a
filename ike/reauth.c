/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reauth: authentication that ends (RFC 4478), and the new one before that.
 *
 * A line of IKE SAs, from IKE_AUTH over all its rekeys, is believed until `auth_until`: the end of the
 * peer's certificates, our own `reauth` limit, or what the responder grants by AUTH_LIFETIME. Nothing
 * lives longer. Only who initiated the line can prove himself anew: he begins another IKE SA in time,
 * while the old one carries on (make before break), without INITIAL_CONTACT because he knows another;
 * once the new one has its child, the old one is a duplicate of the same maker and goes (settle.c). A
 * reauthentication that fails is repeated until the end; then the responder, too, deletes the line.
 */
#include "ike/ike_int.h"

#define SHORTEST    60         /* seconds: with less left, the end is waited for */
#define GRANT_LEAST 10         /* seconds: nobody makes us prove ourselves more often */
#define AGAIN_AFTER span_s(45) /* longer than a handshake may take */

static uint64_t seconds_left(const struct ike_sa *sa)
{
	return mono_since(sa->auth_until, sa->ike->now).ns / span_s(1).ns;
}

static void plan(struct ike_sa *sa)
{
	sa->reauth_at = MONO_NEVER;
	if (!sa->origin_initiator || mono_is_never(sa->auth_until) || seconds_left(sa) <= SHORTEST)
		return;
	sa->reauth_at = mono_add(sa->ike->now,
				 ike_timer_soft_life(sa, mono_since(sa->auth_until, sa->ike->now)));
}

void ike_reauth_begin(struct ike_sa *sa)
{
	const struct mono_span limit = sa->tunnel->cfg.reauth;

	if (limit.ns)
		sa->auth_until = mono_min(sa->auth_until, mono_add(sa->ike->now, limit));
	plan(sa);
}

/* ---------------------------------------------------------------------- wire */

/* RFC 4478 3: in IKE_AUTH, from the original responder, in seconds. */
void ike_reauth_build(const struct ike_sa *sa, struct ike_builder *b)
{
	const struct mono_span limit = sa->tunnel->cfg.reauth;
	uint64_t left = limit.ns ? limit.ns / span_s(1).ns : UINT64_MAX;
	uint8_t data[4];
	struct wr w = wr_of(data, sizeof(data));

	if (!mono_is_never(sa->auth_until) && seconds_left(sa) < left)
		left = seconds_left(sa);
	if (left == UINT64_MAX)
		return;
	wr_u32(&w, left < UINT32_MAX ? (uint32_t)left : UINT32_MAX);
	ike_build_notify(b, IKE_PROTO_NONE, NULL, 0, IKE_N_AUTH_LIFETIME, data, sizeof(data));
}

uint32_t ike_reauth_granted(const struct ike_msg *m)
{
	const struct ike_notify_payload *n = ike_msg_notify(m, IKE_N_AUTH_LIFETIME);
	uint32_t seconds;
	struct rd data;

	if (!n)
		return 0;
	data = n->data;
	if (!rd_u32(&data, &seconds) || !rd_empty(&data))
		return 0;
	return seconds > GRANT_LEAST ? seconds : GRANT_LEAST;
}

/* Never more than is left already. */
void ike_reauth_limit(struct ike_sa *sa, uint32_t seconds)
{
	struct mono until;

	if (!seconds)
		return;
	until = mono_add(sa->ike->now, span_s(seconds));
	if (!mono_before(until, sa->auth_until))
		return;
	sa->auth_until = until;
	if (sa->state != IKE_ST_ESTABLISHED)
		return; /* the rest when it is */
	plan(sa);
	ike_timer_reauth(sa);
}

/* ----------------------------------------------------------------------- due */

static bool on_its_way(const struct ike_tunnel *t)
{
	const struct ike_sa *sa;

	TAILQ_FOREACH(sa, &t->sas, entry)
	{
		if (ike_sa_connecting(sa) && sa->initiator)
			return true;
	}
	return false;
}

void ike_reauth_due(struct ike_sa *sa)
{
	struct ike_tunnel *t = sa->tunnel;
	struct ike *ike = sa->ike;
	struct sb s;

	if (!ike_sa_live(sa) || t->removed || t->unable || t->cfg.remote.family == IP_NONE)
		return;
	/* Again, should this come to nothing; its end comes with the new one. */
	sa->reauth_at = mono_add(ike->now, AGAIN_AFTER);
	if (!mono_reached(ike->now, t->not_before))
		sa->reauth_at = t->not_before;
	ike_timer_reauth(sa);
	if (!mono_reached(ike->now, t->not_before) || on_its_way(t))
		return;
	s = ike_event(ike, IKE_HAP_IKE_REAUTH, t);
	sb_printf(&s, "its authentication ends in %llu s: a new IKE SA is made",
		  (unsigned long long)seconds_left(sa));
	if (!ike_init_start(t))
		ike_timer_initiation_failed(t);
}
