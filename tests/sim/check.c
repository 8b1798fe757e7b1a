/* SPDX-License-Identifier: Apache-2.0 */
/* check: what must hold. */
#include <stdarg.h>
#include <stdlib.h>
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

/* --------------------------------------------------------------- messages */

struct sim_seen {
	uint64_t key, value; /* key 0: empty */
};

static uint64_t hash(uint64_t h, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		h = (h ^ data[i]) * 0x100000001b3ull;
	h ^= h >> 31;
	return h * 0x9e3779b97f4a7c15ull | 1;
}

static struct sim_seen *place(struct sim_seen *table, size_t size, uint64_t key)
{
	size_t i = key % size;

	while (table[i].key && table[i].key != key)
		i = (i + 1) % size;
	return &table[i];
}

/* True: the key stands for another value already. */
static bool differs(struct world *w, uint64_t key, uint64_t value)
{
	struct sim_seen *s;

	if (w->n_seen * 2 >= w->size_seen) {
		const size_t size = w->size_seen ? w->size_seen * 2 : 4096;
		struct sim_seen *more = calloc(size, sizeof(*more));

		if (!more)
			abort();
		for (size_t i = 0; i < w->size_seen; i++) {
			if (w->seen[i].key)
				*place(more, size, w->seen[i].key) = w->seen[i];
		}
		free(w->seen);
		w->seen = more;
		w->size_seen = size;
	}
	s = place(w->seen, w->size_seen, key);
	if (s->key)
		return s->value != value;
	w->n_seen++;
	*s = (struct sim_seen){key, value};
	return false;
}

#define INITIATOR 0x08
#define RESPONSE  0x20

/*
 * Protected messages: never an IV twice with a key, and one content for a message id (RFC 7296 2.1,
 * 2.2), whatever process of a node sends them.
 */
void check_message(struct world *w, int sender, const uint8_t *data, size_t size)
{
	const bool fragment = size > 16 && data[16] == 53;
	const size_t iv = fragment ? 36 : 32;
	uint8_t who[17], id[4 + 4 + 1];
	uint64_t h, value;

	if (w->lies || size < iv + 8 || data[18] == 34 || data[18] == 38)
		return;
	if (!fragment && data[16] != 46)
		return; /* said outside of any SA (RFC 7296 1.5) */
	value = hash(1, data, size);
	memcpy(who, data, 16);
	who[16] = data[19] & INITIATOR;
	h = hash(2, who, sizeof(who));
	if (differs(w, hash(h, data + iv, 8), value))
		fail_world(w, "node %d used an IV twice", sender);
	if (w->takeovers && data[18] == 37 && !(data[20] | data[21] | data[22] | data[23]))
		return;
	who[16] = data[19] & (INITIATOR | RESPONSE);
	h = hash(3, who, sizeof(who));
	memcpy(id, data + 20, 4);
	memset(id + 4, 0, 4);
	if (fragment)
		memcpy(id + 4, data + 32, 4);
	id[8] = fragment;
	if (differs(w, hash(h, id, sizeof(id)), value))
		fail_world(w, "node %d used message id %u twice", sender,
			   (unsigned)data[22] << 8 | data[23]);
}

/* -------------------------------------------------------------------- nodes */

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
		k->n_current += s->current_out && !s->resource;
		if (!strcmp(s->state, "installed")) {
			k->c.live_child++;
			k->c.spi_in = s->spi_in;
			k->c.spi_out = s->spi_out;
			k->c.esp_suite = s->suite;
			k->c.ports_vary = s->ports_vary;
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
	/* The Delete has half a minute, from when the process is there again that was not when it was due. */
	if (!mono_is_never(s->expires_at) &&
	    mono_before(mono_add(s->expires_at, span_s(45)), node_now(k->n)))
		fail_world(k->n->w, "node %d: an IKE SA outlived its hard lifetime", k->n->index);
	return true;
}

struct sim_count count_sas(struct sim_node *n, uint32_t tunnel)
{
	struct counting k = {.n = n, .tunnel = tunnel};

	if (n->ike)
		ike_show_sas(n->ike, count_one, &k);
	return k.c;
}

void check_node(struct sim_node *n)
{
	if (!n->ike)
		return;
	if (!n->w->lies && !n->resuming)
		process_check(n);
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

static bool digest_one(void *ctx, const struct ike_show_sa *s)
{
	uint64_t *h = ctx;
	const uint64_t facts[] = {s->is_child,   s->tunnel,      s->spi_i,        s->spi_r,
				  s->spi_in,     s->spi_out,     s->remote.port,  s->current_out,
				  s->created.ns, s->rekey_at.ns, s->expires_at.ns};

	*h = hash(*h, (const uint8_t *)facts, sizeof(facts));
	*h = hash(*h, (const uint8_t *)s->state, strlen(s->state));
	return true;
}

uint64_t check_digest(struct sim_node *n)
{
	uint64_t h = 1;

	ike_show_sas(n->ike, digest_one, &h);
	return h;
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

struct pairing {
	uint32_t in[SIM_SLOTS], out[SIM_SLOTS], tunnel;
	unsigned n;
};

static bool pair_one(void *ctx, const struct ike_show_sa *s)
{
	struct pairing *p = ctx;

	if (s->is_child && s->tunnel == p->tunnel && !strcmp(s->state, "installed") &&
	    p->n < SIM_SLOTS) {
		p->in[p->n] = s->spi_in;
		p->out[p->n++] = s->spi_out;
	}
	return true;
}

/* Each child of one is a child of the other. */
static bool same_children(struct world *w, uint32_t tunnel)
{
	struct pairing a = {.tunnel = tunnel}, b = {.tunnel = tunnel};

	ike_show_sas(w->node[0].ike, pair_one, &a);
	ike_show_sas(w->node[1].ike, pair_one, &b);
	for (unsigned i = 0; i < a.n; i++) {
		unsigned j = 0;

		while (j < b.n && (a.in[i] != b.out[j] || a.out[i] != b.in[j]))
			j++;
		if (j == b.n)
			return false;
	}
	return a.n == b.n;
}

static bool tunnel_settled(struct world *w, uint32_t t, unsigned n_children)
{
	const struct sim_count a = count_sas(&w->node[0], t), b = count_sas(&w->node[1], t);

	if (!w->node[0].up[t] || !w->node[1].up[t] || a.ike != 1 || b.ike != 1 || a.live_ike != 1 ||
	    b.live_ike != 1 || a.child != n_children || b.child != n_children ||
	    a.live_child != n_children || b.live_child != n_children)
		return false;
	if (a.spi_i != b.spi_i || a.spi_r != b.spi_r || !same_children(w, t))
		return false;
	for (int i = 0; i < SIM_NODES; i++) {
		unsigned halves = 0;

		for (size_t s = 0; s < SIM_SLOTS; s++) {
			const struct sim_node *n = &w->node[i];

			halves += n->in[s].on && n->in[s].tunnel == t;
			halves += n->out_half[s].on && n->out_half[s].tunnel == t;
		}
		if (halves != 2 * n_children)
			return false;
	}
	return true;
}

bool settled_with(struct world *w, unsigned n_children)
{
	for (uint32_t t = 0; t < w->node[0].n_tunnels; t++) {
		if (!tunnel_settled(w, t, n_children))
			return false;
	}
	return true;
}

bool settled(struct world *w)
{
	return settled_with(w, 1);
}

static unsigned with_own(const struct sim_node *n, uint32_t t)
{
	unsigned mine = 0;

	for (unsigned i = 0; i < n->n_workers; i++)
		mine += n->own[t][i] != SIM_NONE;
	return mine;
}

static bool settled_by_cfg(struct world *w, uint32_t t)
{
	const struct sim_node *a = &w->node[0], *b = &w->node[1];
	const struct sim_count at_a = count_sas(&w->node[0], t), at_b = count_sas(&w->node[1], t);
	const unsigned of_a = a->n_workers > 1 ? a->n_workers : 0;
	const unsigned of_b = b->n_workers > 1 ? b->n_workers : 0;

	if (!a->cfg[t].per_resource || !b->cfg[t].per_resource)
		return tunnel_settled(w, t, 1);
	/*
	 * RFC 9611: one of so many lingers or is in a rekey at most times; who was faster may have
	 * made one that the other had no use for, and who lost them all while a request for the common one
	 * was under way another one.
	 */
	return a->up[t] && b->up[t] && at_a.ike == 1 && at_b.ike == 1 && at_a.spi_i == at_b.spi_i &&
	       at_a.spi_r == at_b.spi_r && same_children(w, t) &&
	       at_a.live_child <= 2 + of_a + of_b && with_own(a, t) == of_a &&
	       with_own(b, t) == of_b;
}

/* With lives of seconds the tunnels are hardly ever all of them between two rekeys at one moment. */
bool settled_as_configured(struct world *w)
{
	const uint32_t all = (1u << w->node[0].n_tunnels) - 1;

	for (uint32_t t = 0; t < w->node[0].n_tunnels; t++)
		if (settled_by_cfg(w, t))
			w->was_settled |= 1u << t;
	return w->was_settled == all;
}
