/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ike: IKEv2 (RFC 7296) as a machine of events and actions.
 *
 * Who calls it: the ike process of the daemon, and the simulator. Both bring datagrams, answers and
 * the time as events and carry out the actions in order; nothing else goes in or out.
 *
 * Files, from the outside in: ike.c (this: entry), dispatch.c (a datagram to its handler), one
 * exchange_*.c for each exchange, window.c (message ids, retransmission), sync.c (ids after a
 * failover), fragment.c and reassembly.c (messages in several datagrams), settle.c (which of two SAs
 * stays), half_open.c (limits), cookie.c, nat.c, extend.c (what both ends can do) with mobike.c,
 * crash.c and redirect.c, terms.c (what a child is agreed on), child_dp.c (its way into the
 * dataplane), timer.c (when), save.c, load.c, record.c and resume.c (a process that goes on where
 * another ended), and the objects: tunnel.c, sa.c, child.c, slot.c.
 *
 * Invariants, beyond those of ike.h
 *   - A handler works on locals and commits after everything has been verified.
 *   - States change in one function for each object, which traces and asserts legality.
 *   - An object that ends is unlinked at once and freed at the end of the step.
 *   - Nothing waits in a list of work: what is to be requested are flags on the objects.
 * Non-goals: certificates and EAP, windows above 1.
 */
#include <stdlib.h>
#include "ike/ike_int.h"

/* A step may produce this many actions; a caller that leaves less room loses the event. */
#define ROOM (32 + 2 * IKE_FRAGMENTS_SENT + 4 * IKE_MAX_RESOURCES)

struct ike *ike_new(const struct ike_limits *limits, const struct ike_crypto *crypto,
		    const struct tracer *tracer)
{
	struct ike *ike = calloc(1, sizeof(*ike));
	uint64_t seed = 0;
	bool ok;

	if (!ike)
		return NULL;
	ike->limits = *limits;
	ike->crypto = *crypto;
	ike->tracer = tracer;
	heap_init(&ike->timers);
	TAILQ_INIT(&ike->tunnels);
	TAILQ_INIT(&ike->half_open);
	ok = ike_random(ike, &seed, sizeof(seed));
	ike->save_seed = seed;
	ok &= ike_table_init(&ike->by_number, seed);
	ok &= ike_table_init(&ike->by_addresses, seed);
	ok &= ike_table_init(&ike->by_spi, seed);
	ok &= ike_table_init(&ike->by_init, seed);
	ok &= ike_table_init(&ike->sources, seed);
	ok &= ike_table_init(&ike->pendings, seed);
	ok &= ike_slots_init(ike);
	ok &= ike_half_open_init(ike);
	if (ok)
		return ike;
	ike_free(ike);
	return NULL;
}

/* What ended during the step. */
static void bury(struct ike *ike)
{
	struct ike_child *c;
	struct ike_sa *sa;
	struct ike_tunnel *t;

	while ((c = ike->dead_children)) {
		ike->dead_children = c->next_dead;
		ike_child_free(c);
	}
	while ((sa = ike->dead_sas)) {
		ike->dead_sas = sa->next_dead;
		ike_sa_free(sa);
	}
	while ((t = ike->dead_tunnels)) {
		ike->dead_tunnels = t->next_dead;
		ike_tunnel_free(t);
	}
}

void ike_free(struct ike *ike)
{
	struct ike_tunnel *t;
	struct ike_sa *sa;

	if (!ike)
		return;
	ike->out = NULL;
	ike_resume_free(ike);
	ike_ticket_fini(ike);
	while ((t = TAILQ_FIRST(&ike->tunnels))) {
		TAILQ_REMOVE(&ike->tunnels, t, entry);
		ike_tunnel_free(t);
	}
	while ((sa = TAILQ_FIRST(&ike->half_open))) {
		TAILQ_REMOVE(&ike->half_open, sa, entry);
		ike_sa_free(sa);
	}
	bury(ike);
	ike_table_fini(&ike->by_number);
	ike_table_fini(&ike->by_addresses);
	ike_table_fini(&ike->by_spi);
	ike_table_fini(&ike->by_init);
	ike_table_fini(&ike->sources);
	ike_table_fini(&ike->pendings);
	ike_slots_fini(ike);
	heap_fini(&ike->timers);
	bytes_wipe(ike, sizeof(*ike));
	free(ike);
}

static void begin(struct ike *ike, struct mono now, struct ike_out *out)
{
	/* A clock that jumps back would stretch every timer. */
	if (mono_before(ike->now, now))
		ike->now = now;
	ike->out = out;
	ike->out_from = out->n;
}

static void end(struct ike *ike)
{
	ike_saves_flush(ike, ike->out_from);
	bury(ike);
	ike->out = NULL;
}

bool ike_tunnel_set(struct ike *ike, const struct ike_tunnel_cfg *cfg, struct mono now,
		    struct ike_out *out)
{
	bool ok;

	begin(ike, now, out);
	ok = ike_tunnel_apply(ike, cfg);
	end(ike);
	return ok;
}

void ike_tunnel_remove(struct ike *ike, uint32_t tunnel, struct mono now, struct ike_out *out)
{
	struct ike_tunnel *t = ike_tunnel_find(ike, tunnel);

	begin(ike, now, out);
	if (t)
		ike_tunnel_drop(t);
	end(ike);
}

struct mono ike_deadline(const struct ike *ike)
{
	return ike->resume ? MONO_NEVER : heap_deadline(&ike->timers);
}

/* ------------------------------------------------------------------- events */

static void on_auth_result(struct ike *ike, const struct ike_event *ev)
{
	struct ike_link *l = ike_table_first(&ike->pendings, ev->auth.request);
	struct ike_pending *p = l ? container_of(l, struct ike_pending, link) : NULL;
	struct ike_sa *sa;

	if (!p || p->kind > IKE_PEND_PPK)
		return; /* for an SA that is gone */
	ike_unawait(ike, p);
	sa = p->owner;
	ike_touch(sa->tunnel);
	if (p->kind == IKE_PEND_SIGN)
		ike_auth_signed(sa, ev);
	else if (p->kind == IKE_PEND_VERIFY)
		ike_auth_verified(sa, ev);
	else
		ike_auth_mixed(sa, ev);
}

static void on_trust(struct ike *ike, const struct ike_event *ev)
{
	struct ike_tunnel *t = ike_tunnel_find(ike, ev->trust.tunnel);

	if (t) {
		if (t->n_cas && (t->n_cas != ev->trust.n_cas ||
				 memcmp(t->cas, ev->trust.cas, t->n_cas * IKE_CA_SIZE) != 0))
			ike_ticket_void(t);
		ike_proof_trust(t, ev->trust.cas, ev->trust.n_cas);
	}
}

static void on_dp_result(struct ike *ike, const struct ike_event *ev)
{
	struct ike_link *l = ike_table_first(&ike->pendings, ev->dp.request);
	struct ike_pending *p = l ? container_of(l, struct ike_pending, link) : NULL;

	if (!p || p->kind <= IKE_PEND_PPK)
		return;
	ike_unawait(ike, p);
	ike_touch(((struct ike_child *)p->owner)->tunnel);
	ike_child_dp_result(p->owner, p->kind, ev->dp.ok);
}

static void on_child(struct ike *ike, const struct ike_event *ev)
{
	struct ike_child *c = ike_child_by_slot(ike, ev->child.slot);

	if (!c || c->tunnel->resuming)
		return;
	ike_touch(c->tunnel);
	if (ev->type == IKE_EV_CHILD_FIRST_IN) {
		c->confirmed = c->proven = true;
		if (!c->redundant && !ike_child_goes(c))
			ike_child_switch(c, "the peer sends on it");
		ike_settle_tunnel(c->tunnel);
		if (c->sa)
			ike_sa_run(c->sa);
	} else if (ev->type == IKE_EV_CHILD_SOFT) {
		ike_child_request_rekey(c);
	} else if (ev->type == IKE_EV_CHILD_HARD) {
		ike_child_expire(c, "hard limit");
	} else if (c->sa && c->state < IKE_CH_LINGER) {
		ike_nat_follow(c->sa, &ev->child.local, &ev->child.remote);
	}
}

static void on_traffic(struct ike *ike, const struct ike_event *ev)
{
	struct ike_tunnel *t = ike_tunnel_find(ike, ev->traffic.tunnel);
	struct ike_sa *sa = t ? ike_tunnel_sa(t) : NULL;

	if (!sa)
		return;
	if (ev->traffic.in)
		ike_timer_sign_of_life(sa);
	else if (ev->traffic.out)
		ike_timer_sent_unanswered(sa);
	if (ev->traffic.out)
		ike_timer_sent(sa);
}

static void on_dp_restarted(struct ike *ike)
{
	struct ike_tunnel *t;

	/* One timer each, due at once: a thousand tunnels do not fit into one step's actions. */
	TAILQ_FOREACH(t, &ike->tunnels, entry)
	ike_timer_dp_lost(t);
	ike_timers_run(ike);
}

static void on_command(struct ike *ike, const struct ike_event *ev)
{
	struct ike_tunnel *t = ike_tunnel_find(ike, ev->tunnel.tunnel);

	if (t)
		ike_tunnel_command(t, ev->type);
}

static void on_address(struct ike *ike, const struct ike_event *ev)
{
	struct ike_tunnel *t = ike_tunnel_find(ike, ev->address.tunnel);

	if (!t)
		return;
	ike_touch(t);
	if (ev->type == IKE_EV_REDIRECT)
		ike_redirect_command(t, &ev->address.addr);
	else
		ike_tunnel_moved(t, &ev->address.addr);
}

void ike_step(struct ike *ike, const struct ike_event *ev, struct ike_out *out)
{
	struct ike_packet p;

	begin(ike, ev->now, out);
	if (ike->resume && ev->type != IKE_EV_DP_INVENTORY) {
		end(ike);
		return;
	}
	if (ev->type != IKE_EV_TICK && out->n + ROOM > IKE_OUT_MAX) {
		ike_count(ike, IKE_CNT_ACTION_OVERFLOW);
		end(ike);
		return;
	}
	switch (ev->type) {
	case IKE_EV_TICK: ike_timers_run(ike); break;
	case IKE_EV_PACKET:
		p = (struct ike_packet){ev->packet.local, ev->packet.remote, ev->packet.data,
					ev->packet.size};
		ike_dispatch(ike, &p);
		break;
	case IKE_EV_INITIATE:
	case IKE_EV_TERMINATE:
	case IKE_EV_REKEY_CHILD:
	case IKE_EV_REKEY_IKE: on_command(ike, ev); break;
	case IKE_EV_AUTH_RESULT: on_auth_result(ike, ev); break;
	case IKE_EV_RELOADED: ike_ticket_void_all(ike); break;
	case IKE_EV_TRUST: on_trust(ike, ev); break;
	case IKE_EV_DP_RESULT: on_dp_result(ike, ev); break;
	case IKE_EV_CHILD_FIRST_IN:
	case IKE_EV_CHILD_SOFT:
	case IKE_EV_CHILD_HARD:
	case IKE_EV_CHILD_MOVED: on_child(ike, ev); break;
	case IKE_EV_TRAFFIC: on_traffic(ike, ev); break;
	case IKE_EV_UNKNOWN_ESP:
		ike_crash_unknown_esp(ike, &ev->esp.local, &ev->esp.remote, ev->esp.spi);
		break;
	case IKE_EV_ADDRESS_CHANGED:
	case IKE_EV_REDIRECT: on_address(ike, ev); break;
	case IKE_EV_DP_RESTARTED: on_dp_restarted(ike); break;
	case IKE_EV_DP_INVENTORY:
		ike_resume_inventory(ike, ev->inventory.slots, ev->inventory.n, ev->inventory.last);
		break;
	}
	end(ike);
}
