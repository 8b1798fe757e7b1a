/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel: a configured tunnel and its will: to be up, to wait, to be gone. */
#include <assert.h>
#include <stdlib.h>
#include "ike/ike_int.h"

#define CLOCKS_DIFFER span_s(30)

/* ------------------------------------------------------------------- look-up */

static uint64_t addresses_key(const struct ip_addr *local, const struct ip_addr *remote)
{
	uint64_t l[2], r[2];

	memcpy(l, local->b, sizeof(l));
	memcpy(r, remote->b, sizeof(r));
	return (l[0] ^ l[1] * 3) + (r[0] ^ r[1] * 3) * 0x9e3779b97f4a7c15ull + remote->family;
}

struct ike_tunnel *ike_tunnel_find(const struct ike *ike, uint32_t number)
{
	struct ike_link *l = ike_table_first(&ike->by_number, number);

	return l ? container_of(l, struct ike_tunnel, by_number) : NULL;
}

static struct ike_tunnel *scan(struct ike_link *l, const struct ip_addr *local,
			       const struct ip_addr *remote)
{
	for (; l; l = ike_table_next(l)) {
		struct ike_tunnel *t = container_of(l, struct ike_tunnel, by_addresses);

		if (ip_equal(&t->cfg.local, local) && ip_equal(&t->cfg.remote, remote))
			return t;
	}
	return NULL;
}

struct ike_tunnel *ike_tunnel_next_by_addresses(struct ike *ike, const struct ip_addr *local,
						const struct ip_addr *remote,
						struct ike_tunnel *after)
{
	static const struct ip_addr any;
	struct ike_tunnel *t;

	if (after && after->cfg.remote.family == IP_NONE)
		return scan(ike_table_next(&after->by_addresses), local, &any);
	t = scan(after ? ike_table_next(&after->by_addresses)
		       : ike_table_first(&ike->by_addresses, addresses_key(local, remote)),
		 local, remote);
	return t ? t
		 : scan(ike_table_first(&ike->by_addresses, addresses_key(local, &any)), local,
			&any);
}

/* The IKE SA to negotiate on: the one whose child is in use, else the youngest. */
struct ike_sa *ike_tunnel_sa(const struct ike_tunnel *t)
{
	struct ike_sa *sa, *best = NULL;

	if (t->current && t->current->sa && ike_sa_live(t->current->sa))
		return t->current->sa;
	TAILQ_FOREACH(sa, &t->sas, entry)
	{
		if (ike_sa_live(sa))
			best = sa;
	}
	return best;
}

/* --------------------------------------------------------------------- phase */

static const char *phase_of(const struct ike_tunnel *t)
{
	struct ike_sa *sa;
	bool deleting = false;

	if (t->up)
		return "up";
	TAILQ_FOREACH(sa, &t->sas, entry)
	{
		/* A handshake that ends with a Delete is on its way out as well. */
		if (sa->state == IKE_ST_DELETING || sa->want_delete)
			deleting = true;
		else if (sa->state != IKE_ST_GONE)
			return "connecting";
	}
	if (deleting)
		return "deleting";
	return t->wanted && t->cfg.remote.family != IP_NONE ? "backoff" : "down";
}

void ike_tunnel_note(struct ike_tunnel *t)
{
	const char *phase = phase_of(t);
	struct ike *ike = t->ike;

	if (phase != t->phase) {
		t->phase = phase;
		t->since = ike->now;
	}
	if (!t->removed || t->gone || t->n_sas || t->n_children)
		return;
	t->gone = true;
	ike_timer_tunnel_stop(t);
	TAILQ_REMOVE(&ike->tunnels, t, entry);
	t->next_dead = ike->dead_tunnels;
	ike->dead_tunnels = t;
}

void ike_tunnel_reason(struct ike_tunnel *t, const char *reason)
{
	struct sb s = sb_of(t->reason, sizeof(t->reason));

	sb_str(&s, reason);
}

void ike_tunnel_up(struct ike_tunnel *t)
{
	if (t->up)
		return;
	t->up = true;
	t->up_changed = t->ike->now;
	ike_tunnel_reason(t, "");
	ike_mismatch_clear(t);
	trace(t->ike->tracer, LOG_LEVEL_INFO, "%s[%08x] tunnel: down -> up (usable pair)",
	      t->cfg.name, t->current->spi_in);
	ike_act(t->ike, IKE_ACT_TUNNEL_UP, t->cfg.tunnel);
	ike_tunnel_note(t);
}

void ike_tunnel_down(struct ike_tunnel *t, const char *reason)
{
	if (!t->up)
		return;
	t->up = false;
	t->up_changed = t->ike->now;
	ike_tunnel_reason(t, reason);
	trace(t->ike->tracer, LOG_LEVEL_INFO, "%s[] tunnel: up -> down (%s)", t->cfg.name, reason);
	ike_act(t->ike, IKE_ACT_TUNNEL_DOWN, t->cfg.tunnel);
	ike_tunnel_note(t);
}

/* ---------------------------------------------------------------------- will */

/* One that lives, or whose request the peer is answering. */
bool ike_tunnel_has_child(const struct ike_tunnel *t)
{
	struct ike_child *c;
	struct ike_sa *sa;

	TAILQ_FOREACH(sa, &t->sas, entry)
	{
		if (ike_sa_live(sa) && sa->req.data && sa->req.task == IKE_TASK_NEW_CHILD &&
		    !(sa->req.offer && sa->req.offer->resource))
			return true;
	}

	TAILQ_FOREACH(c, &t->children, entry)
	{
		if (ike_child_live(c) && c->sa && !c->resource)
			return true;
	}
	return false;
}

/* RFC 9611 3: those of single workers, which are nothing without the common one. */
static bool has_others(const struct ike_sa *sa)
{
	const struct ike_child *c;

	TAILQ_FOREACH(c, &sa->tunnel->children, entry)
	{
		if (c->sa == sa && c->resource && ike_child_live(c))
			return true;
	}
	return false;
}

void ike_tunnel_run(struct ike_tunnel *t)
{
	struct ike *ike = t->ike;
	struct ike_sa *sa = ike_tunnel_sa(t);

	if (t->removed || t->gone || t->resuming || ike->resume)
		return;
	if (sa) {
		if (ike_tunnel_has_child(t) || sa->redirected ||
		    !(t->wanted || sa->origin_initiator || has_others(sa)))
			return;
		if (!mono_reached(ike->now, t->child_not_before)) {
			ike_timer_tunnel_retry(t);
			return;
		}
		sa->want_child = true;
		ike_sa_run(sa);
		return;
	}
	/* Others are on their way in or out: their end calls again. */
	if (!t->wanted || !TAILQ_EMPTY(&t->sas))
		return;
	if (t->unable) {
		ike_tunnel_reason(t, t->unable);
		return;
	}
	if (t->cfg.remote.family == IP_NONE) {
		ike_tunnel_reason(t, "no remote address is configured: only the peer can initiate");
		return;
	}
	if (!mono_reached(ike->now, t->not_before)) {
		ike_timer_tunnel_retry(t);
		return;
	}
	if (!ike_init_start(t)) {
		ike_timer_initiation_failed(t);
		ike_timer_tunnel_retry(t);
	}
}

/* Everything goes: the dataplane's part at once, the IKE SAs as soon as the peer was told. */
/*
 * `gently`: what the peer sent before it heard of it still arrives; our side stops sending at once,
 * so that traffic moves to another tunnel of the connection without loss.
 */
static void shut(struct ike_tunnel *t, const char *reason, bool gently)
{
	struct ike_child *c, *next_c;
	struct ike_sa *sa, *next;

	ike_tunnel_down(t, reason);
	ike_tunnel_reason(t, reason);
	for (c = TAILQ_FIRST(&t->children); c; c = next_c) {
		next_c = TAILQ_NEXT(c, entry);
		if (gently)
			ike_child_linger(c, reason);
		else
			ike_child_drop(c, reason);
	}
	for (sa = TAILQ_FIRST(&t->sas); sa; sa = next) {
		next = TAILQ_NEXT(sa, entry);
		ike_sa_delete(sa, reason);
	}
	ike_tunnel_note(t);
}

void ike_tunnel_shut(struct ike_tunnel *t, const char *reason)
{
	shut(t, reason, false);
}

void ike_tunnel_dead(struct ike_sa *sa, const char *reason)
{
	struct ike_tunnel *t = sa->tunnel;
	struct ike *ike = sa->ike;
	const bool was_live = ike_sa_live(sa);
	const char *why = reason;
	struct sb s;

	if (was_live) {
		ike_count(ike, IKE_CNT_DPD_TIMEOUT);
		s = ike_event(ike, IKE_HAP_DPD_TIMEOUT, t);
		sb_printf(&s, "%s for %llu ms", reason,
			  (unsigned long long)span_to_ms(mono_since(ike->now, sa->last_life)));
		switch (t->cfg.dpd_action) {
		case IKE_DPD_NONE:
			/* Reported; the SAs stay until they expire, requests go on. */
			sa->dpd_reported = true;
			if (sa->req.data)
				ike_request_again(sa);
			return;
		case IKE_DPD_CLEAR: t->wanted = false; break;
		case IKE_DPD_RESTART: t->wanted = !t->removed; break;
		}
	} else if (sa->initiator && ike_sa_connecting(sa)) {
		ike_timer_initiation_failed(t);
		why = sa->state == IKE_ST_AUTH_SENT ? "no answer to IKE_AUTH"
		      : sa->state == IKE_ST_INTERMEDIATE
			      ? "no answer to IKE_INTERMEDIATE: do long UDP datagrams get through?"
			      : "no answer to IKE_SA_INIT: is the peer reachable on "
				"UDP 500, and does it know this tunnel?";
		if (!(sa->hs && sa->hs->refused))
			ike_tunnel_reason(t, why);
	}
	ike_redirect_failed(t);
	if (was_live)
		ike_ticket_keep(sa);
	ike_sa_close(sa, was_live ? "dead-peer" : "timeout", why);
}

/*
 * The peer has deleted this IKE SA. Where the peer is the one to initiate, it is the one to come back;
 * an `up` was good for as long as the tunnel stood.
 */
void ike_tunnel_dismissed(const struct ike_sa *gone)
{
	struct ike_tunnel *t = gone->tunnel;
	const struct ike_sa *sa;

	TAILQ_FOREACH(sa, &t->sas, entry)
	{
		if (sa != gone && (ike_sa_live(sa) || ike_sa_connecting(sa)))
			return;
	}
	/* RFC 4478 3: its time was up, by the peer's clock, and it was for us to renew it. */
	if (!mono_is_never(gone->reauth_at) &&
	    mono_reached(mono_add(t->ike->now, CLOCKS_DIFFER), gone->auth_until))
		return;
	if (t->cfg.startup == IKE_STARTUP_ADD)
		t->wanted = false;
}

/* No action can reach the dataplane's former SAs. RFC 7296: never a child with old keys again. */
void ike_tunnel_dp_lost(struct ike_tunnel *t)
{
	struct ike_child *c, *next;
	struct ike_sa *sa;
	const bool had = ike_tunnel_has_child(t) || t->current;

	ike_tunnel_down(t, "the dataplane restarted");
	for (c = TAILQ_FIRST(&t->children); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		ike_child_lost(c);
	}
	sa = ike_tunnel_sa(t);
	if (!had || !sa || t->removed)
		return;
	t->child_not_before = t->ike->now;
	sa->want_child = true;
	ike_sa_run(sa);
}

/* ------------------------------------------------------------- configuration */

static bool same_id(const struct ike_id *a, const struct ike_id *b)
{
	return a->type == b->type && a->size == b->size && !memcmp(a->data, b->data, a->size);
}

static bool ts_equal(const struct ike_ts *a, size_t n_a, const struct ike_ts *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++) {
		if (!ip_equal(&a[i].first, &b[i].first) || !ip_equal(&a[i].last, &b[i].last) ||
		    a[i].port_first != b[i].port_first || a[i].port_last != b[i].port_last ||
		    a[i].protocol != b[i].protocol)
			return false;
	}
	return true;
}

/* What the SAs that stand cannot live with. */
static bool needs_restart(const struct ike_tunnel_cfg *a, const struct ike_tunnel_cfg *b)
{
	return strcmp(a->name, b->name) || !ip_equal(&a->remote, &b->remote) ||
	       !same_id(&a->local_id, &b->local_id) || !same_id(&a->remote_id, &b->remote_id) ||
	       a->remote_auth != b->remote_auth || a->remote_id_wildcard != b->remote_id_wildcard ||
	       (b->ppk == IKE_PPK_REQUIRE && a->ppk != b->ppk) || a->encap != b->encap ||
	       !ts_equal(a->local_ts, a->n_local_ts, b->local_ts, b->n_local_ts) ||
	       !ts_equal(a->remote_ts, a->n_remote_ts, b->remote_ts, b->n_remote_ts);
}

static uint64_t mix_ts(uint64_t h, const struct ike_ts *ts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const uint16_t rest[] = {ts[i].port_first, ts[i].port_last, ts[i].protocol};

		h = ike_mix(h, ts[i].first.b, sizeof(ts[i].first.b));
		h = ike_mix(h, ts[i].last.b, sizeof(ts[i].last.b));
		h = ike_mix(h, rest, sizeof(rest));
	}
	return ike_mix(h, &n, sizeof(n));
}

/* The same members as needs_restart(); `local` is in the endpoints. */
uint64_t ike_cfg_digest(const struct ike_tunnel_cfg *cfg)
{
	const uint32_t rest[] = {cfg->encap,
				 cfg->local_id.type,
				 cfg->remote_id.type,
				 cfg->remote.family,
				 cfg->remote_auth,
				 cfg->remote_id_wildcard,
				 cfg->ppk == IKE_PPK_REQUIRE};
	uint64_t h = ike_mix(0, cfg->name, strnlen(cfg->name, sizeof(cfg->name)));

	h = ike_mix(h, cfg->remote.b, sizeof(cfg->remote.b));
	h = ike_mix(h, cfg->local_id.data, cfg->local_id.size);
	h = ike_mix(h, cfg->remote_id.data, cfg->remote_id.size);
	h = mix_ts(h, cfg->local_ts, cfg->n_local_ts);
	h = mix_ts(h, cfg->remote_ts, cfg->n_remote_ts);
	return ike_mix(h, rest, sizeof(rest));
}

static void change(struct ike_tunnel *t, const struct ike_tunnel_cfg *cfg)
{
	const bool local = !ip_equal(&t->cfg.local, &cfg->local);
	const bool restart = needs_restart(&t->cfg, cfg) ||
			     (local && !(cfg->mobike && ike_mobike_can_move(t, &cfg->local)));
	const bool startup = t->cfg.startup != cfg->startup;
	struct ike_sa *sa;

	if (restart)
		shut(t, "its configuration changed", false);
	t->cfg = *cfg;
	t->unable = ike_restrict(t->ike, &t->cfg);
	ike_ticket_void(t);
	t->psk = 0;
	t->pfs_group = 0;
	t->single_pair = false;
	ike_table_put(&t->ike->by_addresses, &t->by_addresses,
		      addresses_key(&cfg->local, &cfg->remote));
	if (startup)
		t->wanted = cfg->startup == IKE_STARTUP_START;
	if (restart) {
		t->n_failures = 0;
		ike_redirect_failed(t);
	} else if (local) {
		ike_mobike_rehome(t);
	}
	t->not_before = t->ike->now;
	TAILQ_FOREACH(sa, &t->sas, entry)
	{
		const struct mono last = sa->last_life;

		if (sa->state != IKE_ST_ESTABLISHED)
			continue;
		sa->probing = true; /* the timer starts anew with the new interval */
		ike_timer_sign_of_life(sa);
		sa->last_life = last;
	}
	ike_tunnel_run(t);
}

void ike_tunnel_moved(struct ike_tunnel *t, const struct ip_addr *local)
{
	struct ike_tunnel_cfg cfg = t->cfg;

	if (local->family == IP_NONE || ip_equal(local, &cfg.local))
		return;
	cfg.local = *local;
	change(t, &cfg);
}

static struct ike_tunnel *create(struct ike *ike, const struct ike_tunnel_cfg *cfg)
{
	struct ike_tunnel *t = calloc(1, sizeof(*t));

	if (!t) {
		ike_count(ike, IKE_CNT_RESOURCES);
		return NULL;
	}
	t->ike = ike;
	t->cfg = *cfg;
	t->unable = ike_restrict(ike, &t->cfg);
	t->wanted = cfg->startup == IKE_STARTUP_START;
	t->phase = "down";
	t->since = t->up_changed = ike->now;
	t->ticket_floor = ike->ticket_serial;
	TAILQ_INIT(&t->sas);
	TAILQ_INIT(&t->children);
	ike_timer_init(&t->t_retry, IKE_TIMER_TUNNEL_RETRY, t);
	ike_timer_init(&t->t_settle, IKE_TIMER_TUNNEL_SETTLE, t);
	ike_timer_init(&t->t_dp_lost, IKE_TIMER_DP_LOST, t);
	ike_timer_init(&t->t_resources, IKE_TIMER_RESOURCES, t);
	TAILQ_INSERT_TAIL(&ike->tunnels, t, entry);
	ike_table_put(&ike->by_number, &t->by_number, cfg->tunnel);
	ike_table_put(&ike->by_addresses, &t->by_addresses,
		      addresses_key(&cfg->local, &cfg->remote));
	return t;
}

bool ike_tunnel_apply(struct ike *ike, const struct ike_tunnel_cfg *cfg)
{
	struct ike_tunnel *t = ike_tunnel_find(ike, cfg->tunnel);

	if (t) {
		ike_touch(t);
		change(t, cfg);
		return true;
	}
	t = create(ike, cfg);
	if (t)
		ike_tunnel_run(t);
	return t != NULL;
}

void ike_tunnel_drop(struct ike_tunnel *t)
{
	ike_touch(t);
	ike_table_remove(&t->ike->by_number, &t->by_number);
	ike_table_remove(&t->ike->by_addresses, &t->by_addresses);
	/* First of all, or the end of a handshake in progress would begin the next one. */
	t->wanted = false;
	ike_ticket_void(t);
	shut(t, "the tunnel was removed", false);
	t->removed = true;
	ike_tunnel_note(t);
}

void ike_tunnel_command(struct ike_tunnel *t, enum ike_event_type command)
{
	struct ike_sa *sa = ike_tunnel_sa(t);
	struct ike_child *c;
	bool common = false;

	ike_touch(t);
	if (command == IKE_EV_INITIATE) {
		t->wanted = true;
		t->not_before = t->child_not_before = t->ike->now;
		t->n_failures = t->n_child_failures = 0;
		if (t->cfg.remote.family == IP_NONE && !sa) {
			struct sb s = ike_event(t->ike, IKE_HAP_IKE_DOWN, t);

			sb_str(&s, "cannot initiate: no remote address is configured");
		}
		ike_tunnel_run(t);
	} else if (command == IKE_EV_TERMINATE) {
		t->wanted = false;
		shut(t, "terminated by command", true);
	} else if (command == IKE_EV_REKEY_IKE && sa) {
		sa->want_rekey = true;
		ike_sa_run(sa);
	} else if (command == IKE_EV_REKEY_CHILD) {
		TAILQ_FOREACH(c, &t->children, entry)
		{
			if (c->state != IKE_CH_INSTALLED || !ike_child_live(c) || !c->sa ||
			    (!c->resource && common))
				continue;
			common |= !c->resource; /* of duplicates one is enough */
			ike_child_request_rekey(c);
		}
	}
}

/* Without a word to anyone. */
void ike_tunnel_free(struct ike_tunnel *t)
{
	struct ike_child *c;
	struct ike_sa *sa;

	ike_mismatch_clear(t);
	while ((c = TAILQ_FIRST(&t->children))) {
		TAILQ_REMOVE(&t->children, c, entry);
		ike_child_free(c);
	}
	while ((sa = TAILQ_FIRST(&t->sas))) {
		TAILQ_REMOVE(&t->sas, sa, entry);
		ike_sa_free(sa);
	}
	ike_timer_tunnel_stop(t);
	free(t->cas);
	ike_session_free(t->session);
	ike_untouch(t);
	free(t);
}
