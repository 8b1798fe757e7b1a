/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BGP speaker: its neighbours, and which of them an event is for.
 *
 * Read bgp.h first, then fsm.c for how sessions come and go, update.c for what neighbours announce,
 * advertise.c for what they are told, attribute.c for the table of path attributes.
 */
#include "bgp/bgp_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/sb.h"

static_assert(offsetof(struct bgp_neighbor_cfg, name) == 0, "compared from its beginning");

const char *bgp_fault_name(enum bgp_fault f)
{
	static const char *const names[] = {
#define X(name, text) text,
		BGP_FAULTS(X)
#undef X
	};

	return names[f];
}

struct bgp *bgp_new(struct path_store *paths, const struct bgp_sink *sink,
		    uint32_t (*random)(void *ctx), void *random_ctx, const struct tracer *tracer)
{
	struct bgp *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->paths = paths;
	b->sink = *sink;
	b->random = random;
	b->random_ctx = random_ctx;
	b->tracer = tracer;
	heap_init(&b->timers);
	return b;
}

static void free_blocks(struct bgp *b, bool all)
{
	while (b->blocks && (all || b->blocks->next)) {
		struct bgp_block *next = b->blocks->next;

		free(b->blocks);
		b->blocks = next;
	}
	if (b->blocks)
		b->blocks->n = 0;
}

/* Without a word to anybody. */
static void neighbor_free(struct bgp_neighbor *n)
{
	struct bgp_out out = {0};

	for (int i = 0; i < 2; i++)
		if (n->conns[i])
			bgp_conn_drop(n->conns[i], false, &out);
	bgp_adj_out_clear(n->bgp, &n->adj_out);
	heap_remove(&n->bgp->timers, &n->timer);
	free(n);
}

void bgp_free(struct bgp *b)
{
	if (!b)
		return;
	while (b->n_neighbors)
		neighbor_free(b->neighbors[--b->n_neighbors]);
	free(b->neighbors);
	free(b->conns);
	heap_fini(&b->timers);
	free_blocks(b, true);
	free(b);
}

struct bgp_neighbor *bgp_neighbor_of(const struct bgp *b, uint32_t number)
{
	size_t low = 0, high = b->n_neighbors;

	while (low < high) {
		const size_t mid = low + (high - low) / 2;

		if (b->neighbors[mid]->cfg.neighbor == number)
			return b->neighbors[mid];
		if (number < b->neighbors[mid]->cfg.neighbor)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

/* ----------------------------------------------------------- configuration */

static bool equal_addr(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && ip_equal(a, b);
}

/* Whether a session can go on under the new configuration. */
static bool same_session(const struct bgp_neighbor_cfg *a, const struct bgp_neighbor_cfg *b)
{
	return equal_addr(&a->local, &b->local) && equal_addr(&a->remote, &b->remote) &&
	       equal_addr(&a->next_hop[0], &b->next_hop[0]) &&
	       equal_addr(&a->next_hop[1], &b->next_hop[1]) &&
	       ip_prefix_equal(&a->inside[0], &b->inside[0]) &&
	       ip_prefix_equal(&a->inside[1], &b->inside[1]) && a->local_as == b->local_as &&
	       a->remote_as == b->remote_as && a->multihop == b->multihop &&
	       a->ttl_security == b->ttl_security && a->has_password == b->has_password &&
	       a->hold.ns == b->hold.ns && a->graceful_restart.ns == b->graceful_restart.ns &&
	       memcmp(a->families, b->families, sizeof(a->families)) == 0 &&
	       a->extended_messages == b->extended_messages &&
	       a->add_path_receive == b->add_path_receive && a->role == b->role &&
	       a->role_strict == b->role_strict && a->next_hop_self == b->next_hop_self;
}

/* Whether it would be told anything else. */
static bool same_advertisement(const struct bgp_neighbor_cfg *a, const struct bgp_neighbor_cfg *b)
{
	return a->has_med == b->has_med && a->med == b->med && a->prepend == b->prepend &&
	       a->graceful_shutdown == b->graceful_shutdown;
}

static struct bgp_neighbor *neighbor_new(struct bgp *b, const struct bgp_neighbor_cfg *cfg)
{
	struct bgp_neighbor *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->bgp = b;
	n->cfg = *cfg;
	n->since = b->now;
	n->connect_at = n->restart_at = n->stale_at = MONO_NEVER;
	bgp_adj_out_init(&n->adj_out);
	/* Room in the heap, taken while it can still be refused. */
	if (!heap_set(&b->timers, &n->timer, b->now)) {
		free(n);
		return NULL;
	}
	return n;
}

static void neighbor_change(struct bgp_neighbor *n, const struct bgp_neighbor_cfg *cfg,
			    struct bgp_out *out)
{
	const struct bgp_fault_report report = bgp_report(BGP_ERR_CEASE, BGP_CEASE_CONFIGURATION);
	const struct bgp_neighbor_cfg old = n->cfg;

	if (!same_session(&old, cfg)) {
		bgp_fsm_end(n, &report, "the configuration has changed", out);
		n->cfg = *cfg;
		if (n->started)
			bgp_fsm_start(n);
	} else {
		n->cfg = *cfg;
		if (n->up && !same_advertisement(&old, cfg))
			for (int f = 0; f < BGP_N_FAMILIES; f++)
				if (n->families[f])
					bgp_adj_out_again(&n->adj_out, (enum bgp_family)f);
	}
	bgp_fsm_settle(n);
}

static int by_number(const void *x, const void *y)
{
	const struct bgp_neighbor *const *a = x, *const *b = y;

	return (*a)->cfg.neighbor < (*b)->cfg.neighbor ? -1
						       : (*a)->cfg.neighbor > (*b)->cfg.neighbor;
}

static const struct bgp_neighbor_cfg *cfg_of(const struct bgp_cfg *cfg, uint32_t neighbor)
{
	for (size_t i = 0; i < cfg->n_neighbors; i++)
		if (cfg->neighbors[i].neighbor == neighbor)
			return &cfg->neighbors[i];
	return NULL;
}

/* RFC 4486 3: who is no longer a neighbour is told so. */
static void remove_neighbors(struct bgp *b, const struct bgp_cfg *cfg, struct bgp_out *out)
{
	const struct bgp_fault_report report = bgp_report(BGP_ERR_CEASE, BGP_CEASE_DECONFIGURED);
	size_t kept = 0;

	for (size_t i = 0; i < b->n_neighbors; i++) {
		struct bgp_neighbor *n = b->neighbors[i];

		if (cfg_of(cfg, n->cfg.neighbor)) {
			b->neighbors[kept++] = n;
			continue;
		}
		bgp_fsm_end(n, &report, "no longer configured", out);
		neighbor_free(n);
	}
	b->n_neighbors = kept;
}

bool bgp_configure(struct bgp *b, const struct bgp_cfg *cfg, struct mono now, struct bgp_out *out)
{
	const struct bgp_fault_report report = bgp_report(BGP_ERR_CEASE, BGP_CEASE_CONFIGURATION);
	struct bgp_neighbor **grown;
	const bool first = b->id == 0;

	free_blocks(b, false);
	b->now = now;
	grown = realloc(b->neighbors, (b->n_neighbors + cfg->n_neighbors + 1) * sizeof(*grown));
	if (!grown)
		return false;
	b->neighbors = grown;
	if (first && cfg->restarting) {
		b->restarting = true;
		b->restart_until = MONO_NEVER;
		for (size_t i = 0; i < cfg->n_neighbors; i++)
			if (cfg->neighbors[i].graceful_restart.ns)
				b->restart_until =
					mono_min(b->restart_until,
						 mono_add(now, cfg->neighbors[i].graceful_restart));
	}
	remove_neighbors(b, cfg, out);
	for (size_t i = 0; i < b->n_neighbors; i++) {
		struct bgp_neighbor *n = b->neighbors[i];

		if (cfg->id != b->id && !first) {
			bgp_fsm_end(n, &report, "the BGP identifier has changed", out);
			if (n->started)
				bgp_fsm_start(n);
		}
	}
	b->id = cfg->id;
	for (size_t i = 0; i < cfg->n_neighbors; i++) {
		struct bgp_neighbor *n = bgp_neighbor_of(b, cfg->neighbors[i].neighbor);

		if (n) {
			neighbor_change(n, &cfg->neighbors[i], out);
			continue;
		}
		n = neighbor_new(b, &cfg->neighbors[i]);
		if (!n)
			return false;
		b->neighbors[b->n_neighbors++] = n;
		qsort(b->neighbors, b->n_neighbors, sizeof(*b->neighbors), by_number);
		bgp_fsm_settle(n);
	}
	return !out->overflow;
}

/* ------------------------------------------------------------------ events */

static struct bgp_neighbor *neighbor_at(const struct bgp *b, const struct ip_addr *local,
					const struct ip_addr *remote)
{
	for (size_t i = 0; i < b->n_neighbors; i++)
		if (equal_addr(&b->neighbors[i]->cfg.remote, remote) &&
		    equal_addr(&b->neighbors[i]->cfg.local, local))
			return b->neighbors[i];
	return NULL;
}

static struct bgp_neighbor *accepted(struct bgp *b, const struct bgp_event *ev, struct bgp_out *out)
{
	struct bgp_neighbor *n = neighbor_at(b, &ev->accepted.local, &ev->accepted.remote);
	struct bgp_action *a;

	if (n) {
		bgp_fsm_accepted(n, ev->conn, out);
		return n;
	}
	b->unknown_neighbors++;
	a = bgp_action_add(out, BGP_ACT_CLOSE, NULL);
	if (a)
		a->conn = ev->conn;
	return NULL;
}

/* RFC 9003 2, RFC 8538 3: with the N bit only a hard reset ends a session for good. */
static void stop(struct bgp_neighbor *n, const struct bgp_event *ev, struct bgp_out *out)
{
	struct bgp_fault_report r = bgp_report(BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN);
	struct wr w = wr_of(r.data, sizeof(r.data));
	const size_t size = strnlen(ev->text, BGP_SHUTDOWN_MAX);

	if (n->up && n->cfg.graceful_restart.ns && n->up->peer.graceful_notification) {
		wr_u8(&w, r.code);
		wr_u8(&w, r.subcode);
		r.subcode = BGP_CEASE_HARD_RESET;
	}
	wr_u8(&w, (uint8_t)size);
	wr_bytes(&w, ev->text, size);
	r.data_size = w.n;
	bgp_fsm_end(n, &r, "stopped by the operator", out);
	n->started = false;
	n->connect_at = MONO_NEVER;
}

static void link_down(struct bgp_neighbor *n, const struct bgp_event *ev, struct bgp_out *out)
{
	if (ev->by_bfd)
		bgp_fsm_bfd_down(n, out);
	else
		bgp_fsm_end(n, NULL, "the tunnel is down", out);
	n->started = false;
	n->connect_at = MONO_NEVER;
}

static void about_neighbor(struct bgp_neighbor *n, const struct bgp_event *ev, struct bgp_out *out)
{
	const struct bgp_fault_report reset = bgp_report(BGP_ERR_CEASE, BGP_CEASE_RESET);

	switch (ev->type) {
	case BGP_EV_START: bgp_fsm_start(n); break;
	case BGP_EV_STOP: stop(n, ev, out); break;
	case BGP_EV_RESET:
		bgp_fsm_end(n, &reset, "reset by the operator", out);
		if (n->started)
			bgp_fsm_start(n);
		break;
	case BGP_EV_REFRESH:
		if (n->up)
			bgp_refresh_request(n->up, ev->family, out);
		break;
	case BGP_EV_LINK_DOWN: link_down(n, ev, out); break;
	case BGP_EV_CONNECTED: bgp_fsm_connected(n, ev->conn, out); break;
	case BGP_EV_CLOSED: bgp_fsm_closed(n, NULL, ev->text, out); break;
	case BGP_EV_TICK:
	case BGP_EV_ACCEPTED:
	case BGP_EV_DATA:
	case BGP_EV_SENT: break;
	}
}

static void about_conn(struct bgp_conn *c, const struct bgp_event *ev, struct bgp_out *out)
{
	if (ev->type == BGP_EV_DATA) {
		bgp_conn_data(c, ev->data.bytes, ev->data.size, out);
	} else if (ev->type == BGP_EV_SENT) {
		c->unsent -= ev->sent < c->unsent ? ev->sent : c->unsent;
		/* RFC 9687 3: the peer reads, so the timer begins again. */
		c->send_hold_at = mono_add(c->neighbor->bgp->now, bgp_send_hold(c));
	} else {
		bgp_fsm_closed(c->neighbor, c, ev->text, out);
	}
}

static void tick(struct bgp *b, struct bgp_out *out)
{
	struct heap_node *first;

	while ((first = heap_first(&b->timers)) && mono_reached(b->now, first->deadline)) {
		struct bgp_neighbor *n =
			(struct bgp_neighbor *)((char *)first -
						offsetof(struct bgp_neighbor, timer));

		bgp_fsm_timers(n, out);
		bgp_advertise_run(n, out);
		bgp_fsm_settle(n);
		/* Something is still due: without memory it waits for the next step. */
		if (out->overflow)
			break;
	}
}

void bgp_step(struct bgp *b, const struct bgp_event *ev, struct bgp_out *out)
{
	struct bgp_neighbor *n = NULL;
	struct bgp_conn *c = NULL;

	free_blocks(b, false);
	b->now = ev->now;
	if (ev->type == BGP_EV_DATA || ev->type == BGP_EV_SENT ||
	    (ev->type == BGP_EV_CLOSED && ev->conn != BGP_CONN_NONE)) {
		c = bgp_conn_of(b, ev->conn);
		if (!c)
			return; /* it was given up while the event was on its way */
		n = c->neighbor;
		about_conn(c, ev, out);
	} else if (ev->type == BGP_EV_ACCEPTED) {
		n = accepted(b, ev, out);
	} else if (ev->type != BGP_EV_TICK) {
		n = bgp_neighbor_of(b, ev->neighbor);
		if (n)
			about_neighbor(n, ev, out);
	}
	if (n) {
		bgp_advertise_run(n, out);
		bgp_fsm_settle(n);
	}
	tick(b, out);
}

struct mono bgp_deadline(const struct bgp *b)
{
	return heap_deadline(&b->timers);
}

bool bgp_advertise(struct bgp *b, uint32_t neighbor, const struct ip_prefix *prefix,
		   struct path *path)
{
	struct bgp_neighbor *n = bgp_neighbor_of(b, neighbor);

	if (!n || !n->up)
		return true;
	if (!bgp_adj_out_set(b, &n->adj_out, prefix, path))
		return false;
	bgp_fsm_settle(n);
	return true;
}

void bgp_advertise_end(struct bgp *b, uint32_t neighbor, enum bgp_family f)
{
	struct bgp_neighbor *n = bgp_neighbor_of(b, neighbor);

	if (!n || !n->up || !n->families[f] || n->adj_out.ended[f])
		return;
	n->adj_out.end[f] = true;
	bgp_fsm_settle(n);
}

/* -------------------------------------------------------------------- show */

bool bgp_show(const struct bgp *b, uint32_t neighbor, struct bgp_show_neighbor *out)
{
	const struct bgp_neighbor *n = bgp_neighbor_of(b, neighbor);

	if (!n)
		return false;
	*out = (struct bgp_show_neighbor){
		.cfg = &n->cfg,
		.state = n->state,
		.since = n->since,
		.remote_as = n->last_as,
		.remote_id = n->last_id,
		.messages_in = n->messages_in,
		.messages_out = n->messages_out,
		.updates_in = n->updates_in,
		.updates_out = n->updates_out,
		.flaps = n->flaps,
	};
	memcpy(out->received, n->received, sizeof(out->received));
	memcpy(out->advertised, n->adj_out.count, sizeof(out->advertised));
	memcpy(out->restarting, n->stale, sizeof(out->restarting));
	memcpy(out->faults, n->faults, sizeof(out->faults));
	memcpy(out->last_error, n->last_error, sizeof(out->last_error));
	if (!n->up)
		return true;
	out->hold = n->up->hold;
	out->keepalive = n->up->keepalive;
	memcpy(out->families, n->families, sizeof(out->families));
	out->four_octet_as = n->up->peer.four_octet_as;
	out->route_refresh = n->up->peer.route_refresh;
	out->enhanced_refresh = n->up->peer.enhanced_refresh;
	out->extended_messages = n->cfg.extended_messages && n->up->peer.extended_messages;
	out->graceful_restart = n->cfg.graceful_restart.ns && n->up->peer.graceful_restart;
	out->graceful_notification = out->graceful_restart && n->up->peer.graceful_notification;
	for (int f = 0; f < BGP_N_FAMILIES; f++)
		out->add_path[f] = n->cfg.add_path_receive && n->up->peer.add_path_sends[f];
	return true;
}
