/* SPDX-License-Identifier: Apache-2.0 */
/* check: what must hold. */
#include <stdarg.h>
#include <string.h>
#include "tests/sim/world.h"

void fail_world(struct world *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (w->failure[0])
		return; /* the first one counts */
	n = snprintf(w->failure, sizeof(w->failure), "at %.6f s: ", (double)w->now.ns / 1e9);
	va_start(ap, fmt);
	vsnprintf(w->failure + n, sizeof(w->failure) - (size_t)n, fmt, ap);
	va_end(ap);
	if (w->verbose)
		fprintf(stderr, "FAILURE %s\n", w->failure);
}

/* No key serves two outbound halves, in the whole life of the world. */
void check_key(struct world *w, uint64_t key)
{
	for (size_t i = 0; i < w->n_keys; i++) {
		if (w->keys[i] == key)
			fail_world(w, "a key was used for a second SA");
	}
	if (w->n_keys < SIM_KEYS)
		w->keys[w->n_keys++] = key;
}

struct counting {
	struct sim_count c;
	struct sim_node *n;
	uint32_t tunnel;
	unsigned n_current;
};

static bool count_one(void *ctx, const struct ike_show_sa *s)
{
	struct counting *k = ctx;

	if (s->tunnel != k->tunnel)
		return true;
	if (s->is_child) {
		k->c.child++;
		k->n_current += s->current_out;
		if (!strcmp(s->state, "installed")) {
			k->c.live_child++;
			k->c.spi_in = s->spi_in;
			k->c.spi_out = s->spi_out;
			k->c.esp_suite = s->suite;
			k->c.child_initiator = s->initiator;
		}
		return true;
	}
	k->c.ike++;
	if (!strcmp(s->state, "established")) {
		k->c.live_ike++;
		k->c.spi_i = s->spi_i;
		k->c.spi_r = s->spi_r;
		k->c.natt = s->natt;
		k->c.remote = s->remote;
		k->c.ike_suite = s->suite;
		k->c.ike_initiator = s->initiator;
	}
	if (!mono_is_never(s->expires_at) &&
	    mono_before(mono_add(s->expires_at, span_s(40)), k->n->w->now))
		fail_world(k->n->w, "node %d: an IKE SA outlived its hard lifetime", k->n->index);
	return true;
}

struct sim_count count_sas(struct sim_node *n, uint32_t tunnel)
{
	struct counting k = {.n = n, .tunnel = tunnel};

	if (!n->off)
		ike_show_sas(n->ike, count_one, &k);
	return k.c;
}

void check_node(struct sim_node *n)
{
	if (n->off)
		return;
	for (uint32_t t = 0; t < n->n_tunnels; t++) {
		struct counting k = {.n = n, .tunnel = t};

		ike_show_sas(n->ike, count_one, &k);
		if (k.n_current > 1)
			fail_world(n->w, "node %d: %u current outbound halves", n->index,
				   k.n_current);
		if (n->up[t] && k.n_current != 1)
			fail_world(n->w, "node %d: up without a current outbound half", n->index);
	}
	if (ike_counter_get(n->ike, IKE_CNT_ACTION_OVERFLOW))
		fail_world(n->w, "node %d: actions overflowed", n->index);
}

bool both_up(struct world *w)
{
	return w->node[0].up[0] && w->node[1].up[0];
}

bool both_down(struct world *w)
{
	return !w->node[0].up[0] && !w->node[1].up[0];
}

bool both_empty(struct world *w)
{
	for (int i = 0; i < SIM_NODES; i++) {
		const struct sim_count c = count_sas(&w->node[i], 0);

		if (c.ike || c.child)
			return false;
	}
	return true;
}

bool settled(struct world *w)
{
	for (uint32_t t = 0; t < w->node[0].n_tunnels; t++) {
		const struct sim_count a = count_sas(&w->node[0], t), b = count_sas(&w->node[1], t);

		if (!w->node[0].up[t] || !w->node[1].up[t] || a.ike != 1 || b.ike != 1 ||
		    a.live_ike != 1 || b.live_ike != 1 || a.child != 1 || b.child != 1 ||
		    a.live_child != 1 || b.live_child != 1)
			return false;
		if (a.spi_i != b.spi_i || a.spi_r != b.spi_r || a.spi_in != b.spi_out ||
		    a.spi_out != b.spi_in)
			return false;
		for (int i = 0; i < SIM_NODES; i++) {
			unsigned halves = 0;

			for (size_t s = 0; s < SIM_SLOTS; s++) {
				const struct sim_node *n = &w->node[i];

				halves += n->in[s].on && n->in[s].tunnel == t;
				halves += n->out_half[s].on && n->out_half[s].tunnel == t;
			}
			if (halves != 2)
				return false;
		}
	}
	return true;
}
