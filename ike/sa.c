/* SPDX-License-Identifier: Apache-2.0 */
/* sa: the IKE SA as an object: birth, states, inheritance, end. */
#include <assert.h>
#include <stdlib.h>
#include "ike/ike_int.h"

#define TO(state) (1u << IKE_ST_##state)

/* Which states may follow: everything else is our own bug. */
static const uint32_t legal[IKE_ST_END] = {
	[IKE_ST_NEW] = TO(INIT_SENT) | TO(INIT_DONE) | TO(ESTABLISHED) | TO(GONE),
	[IKE_ST_INIT_SENT] = TO(INTERMEDIATE) | TO(SIGN) | TO(GONE),
	[IKE_ST_INIT_DONE] = TO(VERIFY) | TO(GONE),
	[IKE_ST_INTERMEDIATE] = TO(SIGN) | TO(GONE),
	[IKE_ST_SIGN] = TO(AUTH_SENT) | TO(INSTALL) | TO(ESTABLISHED) | TO(GONE),
	[IKE_ST_AUTH_SENT] = TO(VERIFY) | TO(GONE),
	[IKE_ST_VERIFY] = TO(SIGN) | TO(ESTABLISHED) | TO(DELETING) | TO(GONE),
	[IKE_ST_INSTALL] = TO(ESTABLISHED) | TO(GONE),
	[IKE_ST_ESTABLISHED] = TO(REPLACED) | TO(DELETING) | TO(GONE),
	[IKE_ST_REPLACED] = TO(DELETING) | TO(GONE),
	[IKE_ST_DELETING] = TO(GONE),
};

const char *ike_sa_state_name(enum ike_sa_state s)
{
	static const char *const names[IKE_ST_END] = {
		[IKE_ST_NEW] = "new",
		[IKE_ST_INIT_SENT] = "init",
		[IKE_ST_INIT_DONE] = "half-open",
		[IKE_ST_INTERMEDIATE] = "intermediate",
		[IKE_ST_SIGN] = "signing",
		[IKE_ST_AUTH_SENT] = "auth",
		[IKE_ST_VERIFY] = "verifying",
		[IKE_ST_INSTALL] = "installing",
		[IKE_ST_ESTABLISHED] = "established",
		[IKE_ST_REPLACED] = "replaced",
		[IKE_ST_DELETING] = "deleting",
		[IKE_ST_GONE] = "gone",
	};

	return (unsigned)s < IKE_ST_END ? names[s] : "?";
}

uint64_t ike_sa_our_spi(const struct ike_sa *sa)
{
	return sa->initiator ? sa->spi_i : sa->spi_r;
}

/* As responder, until the peer has proven who it is: anybody may cause these, as often as he likes. */
static bool unproven(const struct ike_sa *sa, enum ike_sa_state to)
{
	return !sa->initiator &&
	       (sa->state == IKE_ST_NEW || sa->state == IKE_ST_INIT_DONE ||
		sa->state == IKE_ST_VERIFY) &&
	       (to == IKE_ST_INIT_DONE || to == IKE_ST_VERIFY || to == IKE_ST_GONE);
}

void ike_sa_set_state(struct ike_sa *sa, enum ike_sa_state to, const char *story,
		      const char *reason)
{
	assert(legal[sa->state] & 1u << to);
	trace(sa->ike->tracer, unproven(sa, to) ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
	      "%s[%016llx] %s: %s -> %s (%s)", sa->tunnel ? sa->tunnel->cfg.name : "-",
	      (unsigned long long)ike_sa_our_spi(sa), story, ike_sa_state_name(sa->state),
	      ike_sa_state_name(to), reason);
	sa->state = to;
	if (sa->tunnel)
		ike_tunnel_note(sa->tunnel);
}

bool ike_sa_live(const struct ike_sa *sa)
{
	return sa->state == IKE_ST_ESTABLISHED && !sa->redundant;
}

bool ike_sa_connecting(const struct ike_sa *sa)
{
	return sa->state < IKE_ST_ESTABLISHED;
}

struct ike_sa *ike_sa_find(struct ike *ike, uint64_t our_spi)
{
	struct ike_link *l = ike_table_first(&ike->by_spi, our_spi);

	return l ? container_of(l, struct ike_sa, by_spi) : NULL;
}

void ike_sa_init_timers(struct ike_sa *sa)
{
	ike_timer_init(&sa->t_retransmit, IKE_TIMER_RETRANSMIT, sa);
	ike_timer_init(&sa->t_half_open, IKE_TIMER_HALF_OPEN, sa);
	ike_timer_init(&sa->t_rekey, IKE_TIMER_IKE_REKEY, sa);
	ike_timer_init(&sa->t_expire, IKE_TIMER_IKE_EXPIRE, sa);
	ike_timer_init(&sa->t_reauth, IKE_TIMER_IKE_REAUTH, sa);
	ike_timer_init(&sa->t_dpd, IKE_TIMER_DPD, sa);
	ike_timer_init(&sa->t_keepalive, IKE_TIMER_KEEPALIVE, sa);
	ike_timer_init(&sa->t_reassembly, IKE_TIMER_REASSEMBLY, sa);
	ike_timer_init(&sa->t_follow, IKE_TIMER_FOLLOW, sa);
	ike_timer_init(&sa->t_puzzle, IKE_TIMER_PUZZLE, sa);
}

struct ike_sa *ike_sa_new(struct ike *ike, struct ike_tunnel *t, bool initiator)
{
	struct ike_sa *sa;
	uint64_t spi;

	if (t && t->n_sas >= IKE_MAX_SAS_OF_TUNNEL) {
		ike_count(ike, IKE_CNT_RESOURCES);
		return NULL;
	}
	sa = calloc(1, sizeof(*sa));
	spi = sa ? ike_spi_new(ike) : 0;
	if (!spi) {
		free(sa);
		ike_count(ike, IKE_CNT_RESOURCES);
		return NULL;
	}
	sa->ike = ike;
	sa->initiator = sa->origin_initiator = initiator;
	sa->created = sa->last_life = sa->last_tx = ike->now;
	sa->rekey_at = sa->expires_at = sa->auth_until = sa->reauth_at = MONO_NEVER;
	*(initiator ? &sa->spi_i : &sa->spi_r) = spi;
	ike_sa_init_timers(sa);
	ike_table_put(&ike->by_spi, &sa->by_spi, spi);
	if (t) {
		sa->tunnel = t;
		TAILQ_INSERT_TAIL(&t->sas, sa, entry);
		t->n_sas++;
	} else {
		TAILQ_INSERT_TAIL(&ike->half_open, sa, entry);
	}
	return sa;
}

bool ike_sa_claim(struct ike_sa *sa, struct ike_tunnel *t)
{
	if (t->n_sas >= IKE_MAX_SAS_OF_TUNNEL) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		return false;
	}
	TAILQ_REMOVE(&sa->ike->half_open, sa, entry);
	sa->tunnel = t;
	t->heard = sa->ike->now;
	TAILQ_INSERT_TAIL(&t->sas, sa, entry);
	t->n_sas++;
	return true;
}

struct ike_sk_dir ike_sa_tx_keys(const struct ike_sa *sa)
{
	const struct ike_sa_keys *k = &sa->keys;

	return sa->initiator ? (struct ike_sk_dir){k->ei, k->ai}
			     : (struct ike_sk_dir){k->er, k->ar};
}

struct ike_sk_dir ike_sa_rx_keys(const struct ike_sa *sa)
{
	const struct ike_sa_keys *k = &sa->keys;

	return sa->initiator ? (struct ike_sk_dir){k->er, k->ar}
			     : (struct ike_sk_dir){k->ei, k->ai};
}

void ike_handshake_free(struct ike_sa *sa)
{
	struct ike_handshake *hs = sa->hs;

	if (!hs)
		return;
	if (hs->spi_in)
		ike_slot_free(sa->ike, hs->slot);
	sa->ike->crypto.dh_free(sa->ike->crypto.ctx, hs->dh);
	free(hs->request);
	free(hs->response);
	free(hs->cas);
	free(hs->announcements);
	free(hs->puzzle);
	ike_session_free(hs->session);
	secret_free(hs->ppk.d);
	secret_free(hs->ppk.pi);
	secret_free(hs->ppk.pr);
	ike_proof_free(&hs->ours);
	ike_proof_free(&hs->no_ppk);
	ike_proof_free(&hs->theirs);
	ike_sa_keys_free(&hs->last_keys);
	bytes_wipe(hs, sizeof(*hs));
	free(hs);
	sa->hs = NULL;
}

void ike_offer_free(struct ike *ike, struct ike_offer *o, bool keep_slot)
{
	if (!o)
		return;
	if (o->spi_in && !keep_slot)
		ike_slot_free(ike, o->slot);
	ike->crypto.dh_free(ike->crypto.ctx, o->dh);
	ike_follow_free(ike, o->follow);
	bytes_wipe(o, sizeof(*o));
	free(o);
}

/* Everything but the memory itself. */
static void release(struct ike_sa *sa)
{
	struct ike *ike = sa->ike;

	ike_half_open_leave(sa);
	ike_timer_sa_stop(sa);
	ike_unawait(ike, &sa->pending);
	ike_table_remove(&ike->by_spi, &sa->by_spi);
	ike_table_remove(&ike->by_init, &sa->by_init);
	ike_window_free(sa);
	ike_reassembly_free(sa, false);
	ike_reassembly_free(sa, true);
	ike_follow_drop(sa);
	ike_handshake_free(sa);
	ike_session_free(sa->session);
	sa->session = NULL;
	ike_sa_keys_free(&sa->keys);
}

void ike_sa_free(struct ike_sa *sa)
{
	release(sa);
	free(sa);
}

static void forget_links(struct ike_sa *gone)
{
	struct ike_sa *sa;

	TAILQ_FOREACH(sa, &gone->tunnel->sas, entry)
	{
		if (sa->rekeyed_by_us == gone)
			sa->rekeyed_by_us = NULL;
		if (sa->rekeyed_by_peer == gone)
			sa->rekeyed_by_peer = NULL;
	}
}

/* `all`: those that linger, too. */
static void retire_children(struct ike_sa *sa, const char *reason, bool all)
{
	struct ike_child *c, *next;

	sa->dying = true;
	for (c = TAILQ_FIRST(&sa->tunnel->children); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->sa == sa && (all || c->state != IKE_CH_LINGER))
			ike_child_retire(c, "ike-down", reason);
	}
}

void ike_sa_close(struct ike_sa *sa, const char *story, const char *reason)
{
	struct ike *ike = sa->ike;
	struct ike_tunnel *t = sa->tunnel;
	const bool was_up = ike_sa_live(sa) || sa->state == IKE_ST_DELETING;
	struct ike_child *c;

	if (sa->state == IKE_ST_GONE)
		return;
	/* A rekey that the peer began and we had not compared yet: its SA is the only one left. */
	if (sa->rekeyed_by_peer && ike_sa_live(sa->rekeyed_by_peer))
		ike_sa_inherit(sa, sa->rekeyed_by_peer);
	else if (sa->rekeyed_by_us && ike_sa_live(sa->rekeyed_by_us))
		ike_sa_inherit(sa, sa->rekeyed_by_us);
	if (t) {
		TAILQ_FOREACH(c, &t->children, entry)
		{
			if (c->sa == sa)
				c->reply_held = false; /* nobody is left to reply */
		}
		/* Answered or not, what the peer sent until now may still be on its way. */
		retire_children(sa, reason, sa->state != IKE_ST_DELETING);
	}
	ike_sa_set_state(sa, IKE_ST_GONE, story, reason);
	release(sa);
	if (t) {
		TAILQ_REMOVE(&t->sas, sa, entry);
		t->n_sas--;
		forget_links(sa);
		TAILQ_FOREACH(c, &t->children, entry)
		{
			if (c->sa == sa)
				c->sa = NULL;
		}
	} else {
		TAILQ_REMOVE(&ike->half_open, sa, entry);
	}
	sa->next_dead = ike->dead_sas;
	ike->dead_sas = sa;
	if (!t)
		return;
	if (was_up && !ike_tunnel_sa(t)) {
		struct sb s = ike_event(ike, IKE_HAP_IKE_DOWN, t);

		sb_str(&s, reason);
	}
	ike_tunnel_note(t);
	ike_tunnel_run(t);
}

void ike_sa_delete(struct ike_sa *sa, const char *reason)
{
	struct ike_tunnel *t = sa->tunnel;
	struct ike_child *c;
	bool replaced = false;

	sa->delete_reason = reason;
	ike_ticket_deleted(sa);
	switch (sa->state) {
	case IKE_ST_ESTABLISHED:
	case IKE_ST_REPLACED: break;
	case IKE_ST_AUTH_SENT:
	case IKE_ST_VERIFY:
		/* The peer may have it already: finish, so that it can be told. */
		if (sa->initiator) {
			sa->want_delete = true;
			return;
		}
		/* Who has not proven anything yet is told nothing else than if his proof were wrong. */
		ike_response_error(sa, IKE_N_AUTHENTICATION_FAILED, NULL, 0);
		ike_sa_close(sa, "ike-delete", reason);
		return;
	case IKE_ST_SIGN:
	case IKE_ST_INSTALL:
		/* RFC 7296 2.21.2: else he would repeat IKE_AUTH until he gives up. */
		if (!sa->initiator)
			ike_response_error(sa, IKE_N_TEMPORARY_FAILURE, NULL, 0);
		ike_sa_close(sa, "ike-delete", reason);
		return;
	case IKE_ST_NEW:
	case IKE_ST_INIT_SENT:
	case IKE_ST_INIT_DONE:
	case IKE_ST_INTERMEDIATE: ike_sa_close(sa, "ike-delete", reason); return;
	case IKE_ST_DELETING:
	case IKE_ST_GONE:
	case IKE_ST_END: return;
	}
	sa->want_delete = true;
	/*
	 * Where another SA takes over, the peer goes on sending by the old children until it has
	 * our Delete: they stay until it is answered. Otherwise they go at once.
	 */
	TAILQ_FOREACH(c, &t->children, entry)
	{
		if (c->sa != sa && c->state == IKE_CH_INSTALLED)
			replaced = true;
	}
	ike_sa_set_state(sa, IKE_ST_DELETING, "ike-delete", reason);
	if (!replaced)
		retire_children(sa, reason, false);
	else if (t->current && t->current->sa == sa && ike_best_child(t, t->current))
		ike_child_switch(ike_best_child(t, t->current), reason);
	if (t->current && t->current->sa != sa) {
		/* The answer may be lost: we send by none of them any more. */
		TAILQ_FOREACH(c, &t->children, entry)
		{
			if (c->sa == sa && c->resource && c->sending)
				ike_child_hand_over(c, reason);
		}
	}
	ike_sa_run(sa);
}

void ike_sa_established(struct ike_sa *sa, const char *story)
{
	struct ike *ike = sa->ike;
	struct ike_tunnel *t = sa->tunnel;
	struct ike_sa *other, *next;
	struct sb s;

	ike_half_open_leave(sa);
	sa->established = sa->line_since = ike->now;
	ike_sa_set_state(sa, IKE_ST_ESTABLISHED, story, sa->initiator ? "initiator" : "responder");
	ike_reauth_begin(sa);
	ike_timer_established(sa);
	ike_count(ike, IKE_CNT_IKE_ESTABLISHED);
	s = ike_event(ike, IKE_HAP_IKE_UP, t);
	sb_str(&s, sa->initiator ? "as initiator with " : "as responder with ");
	{
		char at[IP_ENDPOINT_STRLEN], suite[IKE_SUITE_STRLEN];

		sb_printf(&s, "%s, %s", ip_endpoint_format(&sa->remote, at),
			  ike_suite_format(&sa->suite, suite));
	}
	t->n_failures = 0;
	t->not_before = (struct mono){0};
	ike_extend_established(sa);
	t->resources_refused = false; /* the peer may have been changed meanwhile */
	/* Of two that began at once, one that has not shown its AUTH yet is not needed. */
	for (other = TAILQ_FIRST(&t->sas); other; other = next) {
		next = TAILQ_NEXT(other, entry);
		if (other != sa && other->initiator &&
		    (other->state == IKE_ST_INIT_SENT || other->state == IKE_ST_INTERMEDIATE ||
		     other->state == IKE_ST_SIGN))
			ike_sa_close(other, "ike-duplicate", "the peer was faster");
	}
}

void ike_sa_inherit(struct ike_sa *from, struct ike_sa *to)
{
	struct ike_child *c;

	TAILQ_FOREACH(c, &from->tunnel->children, entry)
	{
		if (c->sa != from)
			continue;
		c->sa = to;
		c->confirmed = true;
		if (!ip_endpoint_equal(&from->remote, &to->remote) ||
		    !ip_endpoint_equal(&from->local, &to->local))
			ike_child_moved(c);
	}
	ike_ticket_inherit(from, to);
	to->auth_local = from->auth_local;
	to->auth_remote = from->auth_remote;
	to->ppk = from->ppk;
	to->want_child |= from->want_child;
	from->want_child = false;
}
