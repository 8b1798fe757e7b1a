/* SPDX-License-Identifier: Apache-2.0 */
/* child: the CHILD_SA as an object: birth, states, look-up, end. Its installation is child_dp.c. */
#include <assert.h>
#include <stdlib.h>
#include "ike/ike_int.h"

#define TO(state) (1u << IKE_CH_##state)

static const uint32_t legal[IKE_CH_END] = {
	[IKE_CH_NEW] = TO(ADDING_IN) | TO(GONE),
	[IKE_CH_ADDING_IN] = TO(ADDING_OUT) | TO(DELETING) | TO(GONE),
	[IKE_CH_ADDING_OUT] = TO(INSTALLED) | TO(DELETING) | TO(GONE),
	[IKE_CH_INSTALLED] = TO(DELETING) | TO(LINGER) | TO(GONE),
	[IKE_CH_DELETING] = TO(LINGER) | TO(GONE),
	[IKE_CH_LINGER] = TO(GONE),
};

const char *ike_child_state_name(enum ike_child_state s)
{
	static const char *const names[IKE_CH_END] = {
		[IKE_CH_NEW] = "new",
		[IKE_CH_ADDING_IN] = "adding-in",
		[IKE_CH_ADDING_OUT] = "adding-out",
		[IKE_CH_INSTALLED] = "installed",
		[IKE_CH_DELETING] = "deleting",
		[IKE_CH_LINGER] = "lingering",
		[IKE_CH_GONE] = "gone",
	};

	return (unsigned)s < IKE_CH_END ? names[s] : "?";
}

void ike_child_set_state(struct ike_child *c, enum ike_child_state to, const char *story,
			 const char *reason)
{
	assert(legal[c->state] & 1u << to);
	trace(c->tunnel->ike->tracer, LOG_LEVEL_INFO, "%s[%08x] %s: %s -> %s (%s)",
	      c->tunnel->cfg.name, c->spi_in, story, ike_child_state_name(c->state),
	      ike_child_state_name(to), reason);
	c->state = to;
	ike_tunnel_note(c->tunnel);
}

/* Rekeys in quick succession shorten the time that stragglers have; they are not refused for it. */
bool ike_child_room(struct ike_tunnel *t, size_t spare)
{
	const size_t most =
		t->cfg.per_resource ? IKE_MAX_CHILDREN_OF_TUNNEL : IKE_MAX_COMMON_CHILDREN;
	struct ike_child *c, *next;

	for (c = TAILQ_FIRST(&t->children); c && t->n_children + spare >= most; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->state == IKE_CH_LINGER)
			ike_child_drop(c, "room for its successors");
	}
	return t->n_children + spare < most;
}

struct ike_child *ike_child_new(struct ike_sa *sa, bool initiator, uint32_t slot, uint32_t spi_in,
				const struct ike_terms *terms)
{
	struct ike_tunnel *t = sa->tunnel;
	struct ike_child *c;

	if (!ike_child_room(t, 0)) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		return NULL;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		ike_count(sa->ike, IKE_CNT_RESOURCES);
		return NULL;
	}
	c->tunnel = t;
	c->sa = sa;
	c->initiator = initiator;
	c->slot = slot;
	c->spi_in = spi_in;
	c->spi_out = terms->spi_out;
	c->suite = terms->suite;
	c->grouped = terms->grouped;
	c->resource = terms->resource;
	c->n_local_ts = terms->n_local_ts;
	c->n_remote_ts = terms->n_remote_ts;
	memcpy(c->local_ts, terms->local_ts, sizeof(c->local_ts));
	memcpy(c->remote_ts, terms->remote_ts, sizeof(c->remote_ts));
	c->created = sa->ike->now;
	c->rekey_at = c->expires_at = c->switch_at = MONO_NEVER;
	ike_timer_init(&c->t_rekey, IKE_TIMER_CHILD_REKEY, c);
	ike_timer_init(&c->t_expire, IKE_TIMER_CHILD_EXPIRE, c);
	ike_timer_init(&c->t_step, IKE_TIMER_CHILD_STEP, c);
	sa->ike->slots[slot] = c;
	TAILQ_INSERT_TAIL(&t->children, c, entry);
	t->n_children++;
	return c;
}

struct ike_child *ike_child_by_spi_out(struct ike_tunnel *t, uint32_t spi_out)
{
	struct ike_child *c;

	TAILQ_FOREACH(c, &t->children, entry)
	{
		if (c->spi_out == spi_out && c->state < IKE_CH_LINGER)
			return c;
	}
	return NULL;
}

struct ike_child *ike_child_by_spi_in(struct ike_tunnel *t, uint32_t spi_in)
{
	struct ike_child *c;

	TAILQ_FOREACH(c, &t->children, entry)
	{
		if (c->spi_in == spi_in)
			return c;
	}
	return NULL;
}

struct ike_child *ike_child_by_slot(struct ike *ike, uint32_t slot)
{
	return slot < ike->limits.max_children ? ike->slots[slot] : NULL;
}

bool ike_child_live(const struct ike_child *c)
{
	return c->state < IKE_CH_DELETING && !c->redundant && !c->rekeyed_by_us &&
	       !c->rekeyed_by_peer;
}

/*
 * Whether the peer has our response that made it: it said something later, or has had `patience`
 * to repeat its request. Until then it would not know what a rekey is about.
 */
bool ike_child_confirmed(const struct ike_child *c, struct mono_span patience)
{
	return c->initiator || c->confirmed || c->proven ||
	       mono_since(c->tunnel->ike->now, c->created).ns >= patience.ns;
}

/* Asks for a rekey, as soon as the peer can be expected to know what that is about. */
void ike_child_request_rekey(struct ike_child *c)
{
	if (c->state != IKE_CH_INSTALLED || !ike_child_live(c) || !c->sa)
		return;
	if (!ike_child_confirmed(c, IKE_CONFIRM_SOON)) {
		ike_timer_child_rekey_later(c);
		return;
	}
	c->want_rekey = true;
	ike_sa_run(c->sa);
}

void ike_child_free(struct ike_child *c)
{
	struct ike *ike = c->tunnel->ike;

	ike_timer_child_stop(c);
	ike_unawait(ike, &c->pending);
	ike_child_keys_free(&c->keys);
	free(c);
}

static void forget_links(struct ike_child *gone)
{
	struct ike_child *c;
	struct ike_sa *sa;

	TAILQ_FOREACH(c, &gone->tunnel->children, entry)
	{
		if (c->replaces == gone)
			c->replaces = NULL;
		if (c->rekeyed_by_us == gone)
			c->rekeyed_by_us = NULL;
		if (c->rekeyed_by_peer == gone)
			c->rekeyed_by_peer = NULL;
	}
	TAILQ_FOREACH(sa, &gone->tunnel->sas, entry)
	{
		if (sa->req.child == gone)
			sa->req.child = NULL;
	}
}

/* The object ends; what it had in the dataplane must have been taken out before. */
void ike_child_gone(struct ike_child *c, const char *story, const char *reason)
{
	struct ike_tunnel *t = c->tunnel;
	struct ike *ike = t->ike;

	if (c->state == IKE_CH_GONE)
		return;
	assert(!c->has_in && !c->has_out && t->current != c && !c->sending);
	ike_child_set_state(c, IKE_CH_GONE, story, reason);
	ike_timer_child_stop(c);
	ike_unawait(ike, &c->pending);
	ike_child_keys_free(&c->keys);
	ike_slot_free(ike, c->slot);
	TAILQ_REMOVE(&t->children, c, entry);
	t->n_children--;
	forget_links(c);
	c->next_dead = ike->dead_children;
	ike->dead_children = c;
	ike_tunnel_note(t);
}

/* Asks for its deletion with the peer; it stays in the dataplane until that is answered. */
void ike_child_request_delete(struct ike_child *c, const char *reason)
{
	if (c->state >= IKE_CH_DELETING)
		return;
	c->want_delete = true;
	ike_child_set_state(c, IKE_CH_DELETING, "child-delete", reason);
	if (c->sa)
		ike_sa_run(c->sa);
}
