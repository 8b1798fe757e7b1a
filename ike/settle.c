/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle: two SAs where one should be. Every rule is decided by facts that both ends hold, so that
 * both ends decide alike; the loser is deleted by who made it, and only after the traffic has left
 * it. Should the peer not do its part, we do it after a grace time.
 *
 * Rekey collisions (RFC 7296 2.8.1, 2.8.2): of the four nonces the lowest one's exchange loses.
 *
 * Duplicates, when both ends initiated at once, or a peer came again without INITIAL_CONTACT:
 *   - made by different ends: the one whose exchange has the lowest nonce loses, as above;
 *   - made by the same end: the older one loses.
 * Nothing happens before the winner has an installed child. After the grace time the winner must
 * have shown life since the loser was made; if it has not, it is the peer's past, and it loses.
 * A rekeyed IKE SA keeps its line's rank and maker. INITIAL_CONTACT removes only SAs that stood at
 * our end before the first message of the new one came: what was begun at the same time is left to
 * these rules.
 */
#include "ike/ike_int.h"

#define GRACE span_s(12)

static int nonce_cmp(const uint8_t *a, size_t n_a, const uint8_t *b, size_t n_b)
{
	const int d = memcmp(a, b, n_a < n_b ? n_a : n_b);

	/* RFC 7296 2.8.1: octet by octet; a nonce that is the other's beginning is lower. */
	return d ? d : (n_a > n_b) - (n_a < n_b);
}

struct ike_rank ike_rank_of(const uint8_t *ni, size_t ni_size, const uint8_t *nr, size_t nr_size)
{
	const bool i = nonce_cmp(ni, ni_size, nr, nr_size) < 0;
	const uint8_t *low = i ? ni : nr;
	struct ike_rank r = {.size = (uint16_t)(i ? ni_size : nr_size)};

	memcpy(r.b, low, r.size < sizeof(r.b) ? r.size : sizeof(r.b));
	return r;
}

int ike_rank_cmp(const struct ike_rank *a, const struct ike_rank *b)
{
	const size_t n_a = a->size < sizeof(a->b) ? a->size : sizeof(a->b);
	const size_t n_b = b->size < sizeof(b->b) ? b->size : sizeof(b->b);
	const int d = nonce_cmp(a->b, n_a, b->b, n_b);

	return d ? d : (a->size > b->size) - (a->size < b->size);
}

/* How sure it is that the peer receives on it: an initiator's is installed there before it is here. */
static int trust(const struct ike_child *c)
{
	if (c->redundant)
		return 0;
	return c->initiator || c->proven ? 3 : c->confirmed ? 2 : 1;
}

/* Not one whose IKE SA we are deleting: the peer may have our Delete, and it no more. */
static bool usable(const struct ike_child *c)
{
	return c && c->state == IKE_CH_INSTALLED && c->has_in && c->has_out &&
	       !(c->sa && (c->sa->dying || c->sa->state == IKE_ST_DELETING));
}

/*
 * What replaces `but`, of those of the same resource: the youngest of those that the peer surely receives on; else its successor,
 * which who deletes it mostly sends by already.
 */
struct ike_child *ike_best_child(struct ike_tunnel *t, const struct ike_child *but)
{
	struct ike_child *c, *best = NULL;

	TAILQ_FOREACH(c, &t->children, entry)
	{
		/* A worker has the common one in place of one that the peer may not receive on. */
		if (c != but && c->resource == (but ? but->resource : 0) && usable(c) &&
		    (!c->resource || trust(c) == 3) && (!best || trust(c) >= trust(best)))
			best = c;
	}
	if (!best || !but || trust(best) == 3)
		return best;
	if (usable(but->rekeyed_by_peer) && !but->rekeyed_by_peer->redundant)
		return but->rekeyed_by_peer;
	if (usable(but->rekeyed_by_us) && !but->rekeyed_by_us->redundant)
		return but->rekeyed_by_us;
	return best;
}

/* ------------------------------------------------------------ rekey collisions */

void ike_settle_child_rekey(struct ike_child *old)
{
	struct ike_child *ours = old->rekeyed_by_us, *theirs = old->rekeyed_by_peer;

	if (!ours || !theirs)
		return;
	if (ike_rank_cmp(&ours->rank, &theirs->rank) < 0) {
		trace(old->tunnel->ike->tracer, LOG_LEVEL_INFO,
		      "%s[%08x] child-collision: both -> %08x (the peer's wins)",
		      old->tunnel->cfg.name, old->spi_in, theirs->spi_in);
		ours->redundant = true;
		ike_timer_child_replaced(old, true); /* the peer deletes it */
		if (ours->state == IKE_CH_INSTALLED)
			ike_child_request_delete(ours, "lost the collision");
	} else {
		trace(old->tunnel->ike->tracer, LOG_LEVEL_INFO,
		      "%s[%08x] child-collision: both -> %08x (ours wins)", old->tunnel->cfg.name,
		      old->spi_in, ours->spi_in);
		theirs->redundant = true;
		ike_timer_child_replaced(theirs, true);
	}
}

void ike_settle_ike_rekey(struct ike_sa *old)
{
	struct ike_sa *ours = old->rekeyed_by_us, *theirs = old->rekeyed_by_peer;
	struct ike_sa *winner, *loser;

	if (!ours && !theirs)
		return;
	winner = ours ? ours : theirs;
	loser = NULL;
	if (ours && theirs) {
		const bool we_lose = ike_rank_cmp(&ours->rank, &theirs->rank) < 0;

		winner = we_lose ? theirs : ours;
		loser = we_lose ? ours : theirs;
		trace(old->ike->tracer, LOG_LEVEL_INFO,
		      "%s[%016llx] ike-collision: both -> %016llx (%s wins)", old->tunnel->cfg.name,
		      (unsigned long long)ike_sa_our_spi(old),
		      (unsigned long long)ike_sa_our_spi(winner), we_lose ? "the peer's" : "ours");
	}
	ike_sa_inherit(old, winner);
	if (old->state == IKE_ST_ESTABLISHED)
		ike_sa_set_state(old, IKE_ST_REPLACED, "ike-rekey",
				 winner == ours ? "by us" : "by the peer");
	ike_timer_ike_replaced(old, winner != ours);
	/* Who made the winner deletes the old one, who made the loser deletes that. */
	if (winner == ours)
		ike_sa_delete(old, "replaced");
	if (loser) {
		loser->redundant = true;
		if (loser == ours)
			ike_sa_delete(loser, "lost the collision");
		else
			ike_timer_ike_replaced(loser, true);
	}
	ike_sa_run(winner);
}

/* -------------------------------------------------------------------- duplicates */

static bool carries(const struct ike_sa *sa, bool late)
{
	struct ike_child *c;

	TAILQ_FOREACH(c, &sa->tunnel->children, entry)
	{
		if (c->sa == sa && !c->resource && usable(c) && trust(c) >= (late ? 2 : 3))
			return true;
	}
	return false;
}

static bool sa_counts(const struct ike_sa *sa)
{
	return ike_sa_live(sa) && !sa->rekeyed_by_us && !sa->rekeyed_by_peer;
}

/* Whether a loses against b. */
static bool sa_loses(const struct ike_sa *a, const struct ike_sa *b)
{
	if (a->origin_initiator != b->origin_initiator)
		return ike_rank_cmp(&a->origin, &b->origin) < 0;
	/* Of the lines, not of their latest rekeys: else frequent ones would turn the verdict. */
	return a->line_since.ns < b->line_since.ns;
}

/* When there began to be two. Who still asks for the answer that made one of them has not begun. */
static struct mono pair_since(const struct ike_sa *a, const struct ike_sa *b)
{
	struct mono at = a->line_since;

	if (mono_before(at, b->line_since))
		at = b->line_since;
	if (mono_before(at, a->repeated_at))
		at = a->repeated_at;
	return mono_before(at, b->repeated_at) ? b->repeated_at : at;
}

static bool settle_pair(struct ike_sa *loser, struct ike_sa *winner)
{
	struct ike *ike = loser->ike;
	struct ike_tunnel *t = loser->tunnel;
	const struct mono both = pair_since(loser, winner);
	const bool late = mono_reached(ike->now, mono_add(both, GRACE));

	if (!carries(winner, late)) {
		if (late && carries(loser, late)) {
			ike_sa_delete(winner, "duplicate without a child");
			return true;
		}
		ike_timer_settle(t);
		return false;
	}
	if (!loser->origin_initiator) {
		ike_timer_settle(t);
		if (!late) {
			if (!mono_before(both, winner->last_life)) {
				winner->want_dpd =
					true; /* it shall show life within the grace time */
				ike_sa_run(winner);
			}
			return false;
		}
		if (!mono_before(both, winner->last_life)) {
			ike_sa_delete(winner, "duplicate without a sign of life");
			return true;
		}
	}
	ike_sa_delete(loser, "duplicate");
	return true;
}

static bool settle_sas(struct ike_tunnel *t)
{
	struct ike_sa *a, *b;

	TAILQ_FOREACH(a, &t->sas, entry)
	{
		if (!sa_counts(a))
			continue;
		for (b = TAILQ_NEXT(a, entry); b; b = TAILQ_NEXT(b, entry)) {
			if (!sa_counts(b))
				continue;
			if (sa_loses(a, b) ? settle_pair(a, b) : settle_pair(b, a))
				return true;
		}
	}
	return false;
}

/* Its successor is on the way: the peer would move to that, and we do not receive on it yet. */
static bool being_rekeyed(const struct ike_child *c)
{
	return c->sa && c->sa->req.data && c->sa->req.task == IKE_TASK_REKEY_CHILD &&
	       c->sa->req.child == c;
}

static bool settle_children(struct ike_tunnel *t)
{
	struct ike_child *a, *b, *loser, *winner;
	bool late;

	TAILQ_FOREACH(a, &t->children, entry)
	{
		/* RFC 9611: those of single resources stand beside each other. */
		if (a->state != IKE_CH_INSTALLED || !ike_child_live(a) || a->resource)
			continue;
		for (b = TAILQ_NEXT(a, entry); b; b = TAILQ_NEXT(b, entry)) {
			if (b->state != IKE_CH_INSTALLED || !ike_child_live(b) || a->sa != b->sa ||
			    b->resource)
				continue;
			loser = a->initiator == b->initiator           ? a
				: ike_rank_cmp(&a->rank, &b->rank) < 0 ? a
								       : b;
			winner = loser == a ? b : a;
			ike_timer_settle(t);
			late = mono_reached(t->ike->now, mono_add(b->created, GRACE));
			if (trust(winner) < (late ? 2 : 3) || (!late && !loser->initiator) ||
			    being_rekeyed(loser))
				continue;
			ike_child_switch(winner, "duplicate");
			ike_child_request_delete(loser, "duplicate");
			return true;
		}
	}
	return false;
}

void ike_settle_tunnel(struct ike_tunnel *t)
{
	while (settle_sas(t) || settle_children(t))
		continue;
}

/* RFC 7296 2.4: the peer says, authenticated, that it knows no other IKE SA with us. */
void ike_initial_contact(struct ike_sa *sa)
{
	struct ike_sa *other, *next;

	for (other = TAILQ_FIRST(&sa->tunnel->sas); other; other = next) {
		next = TAILQ_NEXT(other, entry);
		if (other == sa || ike_sa_connecting(other) || other->state == IKE_ST_GONE)
			continue;
		if (mono_before(other->line_since, sa->created))
			ike_sa_close(other, "initial-contact", "the peer knows it no more");
	}
}
