/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resume: how a new core takes up what another one left.
 *
 *	ike_resume(); ike_tunnel_set() for each tunnel; ike_load() for each record;
 *	IKE_EV_DP_INVENTORY with what the dataplane really has.
 *
 * Until the last of the inventory, nothing is begun, answered or given a slot. Then each tunnel is
 * put in order by a timer of its own, due at once: what the dataplane has and no record knows is
 * taken out; children that were being installed have failed, and who asked for them is told; those
 * that the dataplane has lost are deleted and made anew; the tunnel sends by its current child again;
 * requests that were on their way are repeated bit by bit.
 */
#include <stdlib.h>
#include "ike/record.h"

struct ike_resume {
	struct ike_resume_sa *sas;
	struct ike_resume_child *children;
	size_t n_sas, n_children;
	bool stale;
	uint8_t *used;    /* slots, one bit each: of children, of offers */
	uint8_t *orphans; /* likewise: in the dataplane, and of nobody */
};

void ike_resume_free(struct ike *ike)
{
	struct ike_resume *r = ike->resume;

	if (!r)
		return;
	free(r->sas);
	free(r->children);
	free(r->used);
	free(r->orphans);
	free(r);
	ike->resume = NULL;
}

bool ike_resume(struct ike *ike)
{
	struct ike_resume *r;

	if (ike->resume || !TAILQ_EMPTY(&ike->tunnels) || !TAILQ_EMPTY(&ike->half_open))
		return false;
	r = calloc(1, sizeof(*r));
	if (r) {
		r->used = calloc(ike->limits.max_children / 8 + 1, 1);
		r->orphans = calloc(ike->limits.max_children / 8 + 1, 1);
	}
	ike->resume = r;
	if (r && r->used && r->orphans)
		return true;
	ike_count(ike, IKE_CNT_RESOURCES);
	ike_resume_free(ike);
	return false;
}

void ike_resume_stale(struct ike *ike)
{
	if (ike->resume)
		ike->resume->stale = true;
}

bool ike_resume_is_stale(const struct ike *ike)
{
	return ike->resume->stale;
}

bool ike_resume_slot_used(const struct ike *ike, uint32_t slot)
{
	return ike->resume->used[slot / 8] & 1 << slot % 8;
}

void ike_resume_take_slot(struct ike *ike, uint32_t slot)
{
	ike->resume->used[slot / 8] |= (uint8_t)(1 << slot % 8);
}

bool ike_resume_remember(struct ike *ike, const struct ike_resume_sa *sa,
			 const struct ike_resume_child *children, size_t n)
{
	struct ike_resume *r = ike->resume;
	struct ike_resume_sa *sas = realloc(r->sas, (r->n_sas + 1) * sizeof(*sas));
	struct ike_resume_child *all;

	if (sas)
		r->sas = sas;
	all = realloc(r->children, (r->n_children + n + 1) * sizeof(*all));
	if (all)
		r->children = all;
	if (!sas || !all)
		return false;
	sas[r->n_sas++] = *sa;
	for (size_t i = 0; i < n; i++)
		all[r->n_children++] = children[i];
	return true;
}

/* -------------------------------------------------------------------- links */

/* Only within one tunnel: everything else is a record that lies. */
static struct ike_sa *sa_of(struct ike *ike, const struct ike_sa *sa, uint64_t spi)
{
	struct ike_sa *other = spi ? ike_sa_find(ike, spi) : NULL;

	return other && other != sa && other->tunnel == sa->tunnel ? other : NULL;
}

static struct ike_child *child_of(struct ike *ike, const struct ike_tunnel *t,
				  const struct ike_child *but, uint32_t slot)
{
	struct ike_child *c = slot == IKE_NO_SLOT ? NULL : ike_child_by_slot(ike, slot);

	return c && c != but && c->tunnel == t ? c : NULL;
}

static void link_all(struct ike *ike)
{
	const struct ike_resume *r = ike->resume;

	for (size_t i = 0; i < r->n_sas; i++) {
		const struct ike_resume_sa *x = &r->sas[i];
		struct ike_sa *sa = x->sa;

		sa->rekeyed_by_us = sa_of(ike, sa, x->rekeyed_by_us);
		sa->rekeyed_by_peer = sa_of(ike, sa, x->rekeyed_by_peer);
		sa->req.child = child_of(ike, sa->tunnel, NULL, x->request_child);
	}
	for (size_t i = 0; i < r->n_children; i++) {
		const struct ike_resume_child *x = &r->children[i];
		struct ike_child *c = x->c;

		c->replaces = child_of(ike, c->tunnel, c, x->replaces);
		c->rekeyed_by_us = child_of(ike, c->tunnel, c, x->rekeyed_by_us);
		c->rekeyed_by_peer = child_of(ike, c->tunnel, c, x->rekeyed_by_peer);
	}
}

/* ---------------------------------------------------------------- inventory */

static void take_out(struct ike *ike, enum ike_action_type type, const struct ike_dp_slot *s)
{
	struct ike_action *a = ike_act(ike, type, s->tunnel);

	if (!a)
		return;
	a->child.slot = s->slot;
	a->child.spi_in = s->spi_in;
	a->child.spi_out = s->spi_out;
	a->child.tunnel = s->tunnel;
}

static void note_slot(struct ike *ike, const struct ike_dp_slot *s)
{
	struct ike_child *c = ike_child_by_slot(ike, s->slot);

	if (c && c->tunnel->cfg.tunnel == s->tunnel && (!s->in || c->spi_in == s->spi_in) &&
	    (!s->out || c->spi_out == s->spi_out)) {
		c->has_in = s->in;
		c->has_out = s->out;
		/* What was said to a process that had ended. */
		c->missed_first = s->seen && !c->proven;
		c->proven |= s->seen;
		c->confirmed |= s->seen;
		c->missed_soft = s->soft;
		c->missed_hard = s->hard;
		return;
	}
	if (!c && s->slot < ike->limits.max_children)
		ike->resume->orphans[s->slot / 8] |= (uint8_t)(1 << s->slot % 8);
	if (s->out)
		take_out(ike, IKE_ACT_CHILD_DEL_OUT, s);
	if (s->in)
		take_out(ike, IKE_ACT_CHILD_DEL_IN, s);
}

void ike_resume_inventory(struct ike *ike, const struct ike_dp_slot *slots, size_t n, bool last)
{
	struct ike_tunnel *t;

	if (!ike->resume)
		return;
	for (size_t i = 0; i < n && i < IKE_INVENTORY_MAX; i++)
		note_slot(ike, &slots[i]);
	if (!last)
		return;
	link_all(ike);
	ike_slots_resume(ike, ike->resume->used, ike->resume->orphans);
	ike_resume_free(ike);
	TAILQ_FOREACH(t, &ike->tunnels, entry)
	{
		t->resuming = true;
		ike_timer_dp_lost(t);
	}
	ike_timers_run(ike);
}

/* ------------------------------------------------------------------ a tunnel */

static void resume_child(struct ike_child *c)
{
	switch (c->state) {
	case IKE_CH_ADDING_IN:
	case IKE_CH_ADDING_OUT: ike_child_failed(c, "it was being installed at a restart"); break;
	case IKE_CH_INSTALLED:
		/* The peer hears TEMPORARY_FAILURE and asks again: it never had this one. */
		if (c->reply_held)
			ike_child_failed(c, "it was being installed at a restart");
		else if (!c->has_in || !c->has_out)
			ike_child_expire(c, "the dataplane has it no more");
		else if (c->missed_hard)
			ike_child_expire(c, "hard limit");
		else if (c->missed_soft)
			ike_child_request_rekey(c);
		break;
	case IKE_CH_DELETING: break;
	case IKE_CH_LINGER:
		if (!c->has_in || c->has_out)
			ike_child_drop(c, "stragglers were forgotten");
		break;
	case IKE_CH_NEW:
	case IKE_CH_GONE:
	case IKE_CH_END: break;
	}
}

static void resume_sa(struct ike_sa *sa)
{
	if (sa->resync.wanted) {
		ike_sync_start(sa);
		return;
	}
	/* A request in work whose end would have come from this process. */
	if (sa->busy)
		ike_response_error(sa, IKE_N_TEMPORARY_FAILURE, NULL, 0);
	if (sa->req.data)
		ike_request_again(sa);
	else
		ike_sa_run(sa);
}

void ike_tunnel_resume(struct ike_tunnel *t)
{
	struct ike_child *c, *next, *current = t->current;
	struct ike_sa *sa, *next_sa;

	t->resuming = false;
	TAILQ_FOREACH(sa, &t->sas, entry)
	{
		ike_timer_sa_resumed(sa);
		/* An answer may have gone out already: none before the ids are known. */
		sa->resync.was_busy |= sa->resync.wanted && sa->busy;
		sa->busy &= !sa->resync.wanted;
	}
	TAILQ_FOREACH(c, &t->children, entry)
	ike_timer_child_resumed(c);
	for (c = TAILQ_FIRST(&t->children); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->sa && c->sa->resync.wanted)
			c->sa->resync.half_made |= c->state < IKE_CH_INSTALLED;
		resume_child(c);
	}
	if (t->current && t->current == current && current->state == IKE_CH_INSTALLED) {
		t->current = NULL;
		ike_child_switch(current, "resumed");
	} else if (t->current && !t->current->has_out) {
		t->current = NULL; /* the dataplane has lost what was about to be deleted */
	}
	if (!t->current && (c = ike_best_child(t, NULL)))
		ike_child_switch(c, "resumed");
	TAILQ_FOREACH(c, &t->children, entry)
	{
		if (!c->sending)
			continue;
		c->sending = false;
		if (!ike_resource_sender(t, c->resource))
			ike_child_switch(c, "resumed");
	}
	/* Nobody has heard that the peer sends by its successor: so do we. */
	TAILQ_FOREACH(c, &t->children, entry)
	{
		if (c->missed_first && c->state == IKE_CH_INSTALLED && !c->redundant &&
		    !ike_child_goes(c))
			ike_child_switch(c, "the peer sends on it");
		c->missed_first = false;
	}
	if (!t->changed)
		ike_mobike_resume(t);
	for (sa = TAILQ_FIRST(&t->sas); sa; sa = next_sa) {
		next_sa = TAILQ_NEXT(sa, entry);
		resume_sa(sa);
	}
	if (t->changed)
		ike_tunnel_shut(t, "its configuration changed");
	t->changed = false;
	ike_settle_tunnel(t);
	ike_tunnel_note(t);
	ike_tunnel_run(t);
}
