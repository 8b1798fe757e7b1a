/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdlib.h>
#include <string.h>
#include "base/wr.h"
#include "bgp/wire.h"

#define DELAY span_us(500)

static uint32_t draw(void *ctx)
{
	struct world *w = ctx;

	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 17;
	w->rng ^= w->rng << 5;
	return w->rng;
}

/* -------------------------------------------------------------------- sink */

static size_t find(const struct end *e, uint32_t neighbor, const struct path_nlri *n)
{
	size_t i = 0;

	while (i < e->n_routes &&
	       !(e->routes[i].neighbor == neighbor && e->routes[i].path_id == n->path_id &&
		 ip_prefix_equal(&e->routes[i].prefix, &n->prefix)))
		i++;
	return i;
}

static void forget(struct end *e, size_t i)
{
	path_unref(e->paths, e->routes[i].path);
	e->routes[i] = e->routes[--e->n_routes];
}

static size_t on_announce(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n,
			  struct path *path)
{
	struct end *e = ctx;
	size_t fresh = 0;

	for (size_t i = 0; i < n; i++) {
		const size_t at = find(e, neighbor, &nlri[i]);

		assert_true(at < WORLD_ROUTES);
		if (at == e->n_routes) {
			e->n_routes++;
			fresh++;
		} else {
			path_unref(e->paths, e->routes[at].path);
		}
		e->routes[at] = (struct heard){.prefix = nlri[i].prefix,
					       .neighbor = neighbor,
					       .path_id = nlri[i].path_id,
					       .path = path_ref(path)};
	}
	return fresh;
}

static size_t on_withdraw(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n)
{
	struct end *e = ctx;
	size_t had = 0;

	for (size_t i = 0; i < n; i++) {
		const size_t at = find(e, neighbor, &nlri[i]);

		if (at == e->n_routes)
			continue;
		forget(e, at);
		had++;
	}
	return had;
}

static void say_everything(struct end *e, uint32_t neighbor)
{
	for (size_t i = 0; i < e->n_own; i++)
		assert_true(bgp_advertise(e->core, neighbor, &e->own[i].prefix, e->own[i].path));
	for (int f = 0; f < BGP_N_FAMILIES; f++)
		bgp_advertise_end(e->core, neighbor, (enum bgp_family)f);
}

static void on_up(void *ctx, uint32_t neighbor)
{
	say_everything(ctx, neighbor);
}

static bool of_family(const struct heard *h, enum bgp_family f)
{
	return (h->prefix.addr.family == IP_V4) == (f == BGP_IPV4_UNICAST);
}

static void on_stale(void *ctx, uint32_t neighbor, enum bgp_family f)
{
	struct end *e = ctx;

	for (size_t i = 0; i < e->n_routes; i++)
		if (e->routes[i].neighbor == neighbor && of_family(&e->routes[i], f))
			e->routes[i].stale = true;
}

static size_t on_purge(void *ctx, uint32_t neighbor, enum bgp_family f, bool only_stale)
{
	struct end *e = ctx;
	size_t left = 0;

	for (size_t i = 0; i < e->n_routes;) {
		const struct heard *h = &e->routes[i];

		if (h->neighbor == neighbor && of_family(h, f) && (h->stale || !only_stale)) {
			forget(e, i);
			continue;
		}
		left += h->neighbor == neighbor && of_family(h, f);
		i++;
	}
	return left;
}

static void on_end_of_rib(void *ctx, uint32_t neighbor, enum bgp_family f)
{
	struct end *e = ctx;

	e->eors[f]++;
}

/* -------------------------------------------------------------- connections */

static struct ip_addr address(unsigned i)
{
	return ip_v4(169, 254, 10, (uint8_t)(1 + i));
}

static unsigned end_at(const struct ip_addr *a)
{
	return a->b[3] - 1u;
}

static struct half *half_of(struct world *w, unsigned end, uint32_t number, struct half **other)
{
	for (size_t i = 0; i < w->n_conns; i++) {
		for (int k = 0; k < 2; k++) {
			struct half *h = &w->conn[i][k];

			if (h->open && h->end == end && h->number == number) {
				*other = &w->conn[i][!k];
				return h;
			}
		}
	}
	fail_msg("end %u speaks of connection %u, which it does not have", end, number);
	return NULL;
}

static void put_bytes(struct world *w, struct half *to, const uint8_t *bytes, size_t size)
{
	to->bytes = realloc(to->bytes, to->n + size);
	memcpy(to->bytes + to->n, bytes, size);
	to->then = mono_add(w->now, DELAY);
	if (to->n == 0)
		to->at = to->then;
	if (mono_reached(to->at, to->then))
		to->n_first += size;
	to->n += size;
}

static unsigned connect_ends(struct world *w, unsigned from, unsigned to)
{
	const unsigned c = (unsigned)w->n_conns++;

	assert_true(c < WORLD_CONNS);
	w->conn[c][0] = (struct half){.end = from, .number = w->next_number++, .open = true};
	w->conn[c][1] = (struct half){.end = to, .number = w->next_number++, .open = true};
	w->conn[c][0].at = w->conn[c][1].at = MONO_NEVER;
	return c;
}

static void carry_out(struct world *w, unsigned i, const struct bgp_out *out);

static void step(struct world *w, unsigned i, struct bgp_event *ev)
{
	struct bgp_out out = {0};

	ev->now = w->now;
	bgp_step(w->end[i].core, ev, &out);
	assert_false(out.overflow);
	carry_out(w, i, &out);
	bgp_out_fini(&out);
}

void world_step(struct world *w, unsigned i, struct bgp_event ev)
{
	step(w, i, &ev);
}

static void do_connect(struct world *w, const struct wanted *l)
{
	const unsigned to = end_at(&l->remote);
	struct bgp_event ev = {.neighbor = l->neighbor, .conn = BGP_CONN_NONE};
	unsigned c;

	if (w->refuse || !w->end[to].core) {
		ev.type = BGP_EV_CLOSED;
		strcpy(ev.text, "connection refused");
		step(w, l->end, &ev);
		return;
	}
	c = connect_ends(w, l->end, to);
	ev.type = BGP_EV_CONNECTED;
	ev.conn = w->conn[c][0].number;
	step(w, l->end, &ev);
	ev = (struct bgp_event){.type = BGP_EV_ACCEPTED, .conn = w->conn[c][1].number};
	ev.accepted.local = l->remote;
	ev.accepted.remote = l->local;
	step(w, to, &ev);
}

static void carry_out(struct world *w, unsigned i, const struct bgp_out *out)
{
	struct end *e = &w->end[i];
	struct wanted later[16]; /* once the step is over: connections make further steps */
	size_t n_later = 0;

	for (size_t k = 0; k < out->n; k++) {
		const struct bgp_action *a = &out->actions[k];
		struct half *h, *other = NULL;

		switch (a->type) {
		case BGP_ACT_CONNECT:
			for (size_t n = 0; n < e->n_neighbors; n++) {
				if (e->neighbors[n].neighbor != a->neighbor)
					continue;
				assert_true(n_later < 16);
				later[n_later++] =
					(struct wanted){i, a->neighbor, e->neighbors[n].local,
							e->neighbors[n].remote};
			}
			break;
		case BGP_ACT_SEND:
			h = half_of(w, i, a->conn, &other);
			if (other->open)
				put_bytes(w, other, a->send.bytes, a->send.size);
			break;
		case BGP_ACT_CLOSE:
			if (a->conn == BGP_CONN_NONE)
				break;
			h = half_of(w, i, a->conn, &other);
			h->open = false;
			other->closed = true;
			other->at = mono_min(other->at, mono_add(w->now, DELAY));
			break;
		case BGP_ACT_UP: e->ups++; break;
		case BGP_ACT_DOWN: e->downs++; break;
		case BGP_ACT_EVENT:
			if (e->n_events < WORLD_EVENTS)
				e->events[e->n_events++] = a->event.name;
			break;
		}
	}
	for (size_t k = 0; k < n_later; k++) {
		if (w->starting)
			w->crossing[w->n_crossing++] = later[k];
		else
			do_connect(w, &later[k]);
	}
}

static void receive(struct world *w, struct half *h, const uint8_t *bytes, size_t size)
{
	struct end *e = &w->end[h->end];
	struct bgp_event ev = {.type = BGP_EV_DATA, .conn = h->number};

	if (!e->core) {
		e->in = realloc(e->in, e->n_in + size);
		memcpy(e->in + e->n_in, bytes, size);
		e->n_in += size;
		return;
	}
	ev.data.bytes = bytes;
	ev.data.size = size;
	step(w, h->end, &ev);
}

static void deliver(struct world *w, size_t c, int k)
{
	struct half *h = &w->conn[c][k], *other = &w->conn[c][!k];
	const size_t size = w->chunk && w->chunk < h->n_first ? w->chunk : h->n_first;
	struct bgp_event ev = {.type = BGP_EV_SENT, .conn = other->number};
	uint8_t *bytes;

	if (size) {
		bytes = malloc(size); /* its own size, for the sanitizer */
		memcpy(bytes, h->bytes, size);
		h->n -= size;
		memmove(h->bytes, h->bytes + size, h->n);
		h->n_first -= size;
		h->at = h->n_first || (!h->n && h->closed) ? w->now : h->n ? h->then : MONO_NEVER;
		h->n_first = h->n_first ? h->n_first : h->n;
		receive(w, h, bytes, size);
		free(bytes);
		ev.sent = size;
		if (other->open && w->end[other->end].core)
			step(w, other->end, &ev);
		return;
	}
	h->open = false;
	h->at = MONO_NEVER;
	if (w->end[h->end].core)
		step(w, h->end, &(struct bgp_event){.type = BGP_EV_CLOSED, .conn = h->number});
}

void world_run(struct world *w, struct mono_span d)
{
	const struct mono end = mono_add(w->now, d);

	for (unsigned rounds = 0;; rounds++) {
		struct mono next = MONO_NEVER;
		size_t conn = 0;
		int half = -1;
		unsigned core = WORLD_ENDS;

		assert_true(rounds < 1000000);
		for (size_t c = 0; c < w->n_conns && !w->cut; c++) {
			for (int k = 0; k < 2; k++) {
				if (!w->conn[c][k].open || !mono_before(w->conn[c][k].at, next))
					continue;
				next = w->conn[c][k].at;
				conn = c;
				half = k;
			}
		}
		for (unsigned i = 0; i < WORLD_ENDS; i++) {
			if (!w->end[i].core || !mono_before(bgp_deadline(w->end[i].core), next))
				continue;
			next = bgp_deadline(w->end[i].core);
			core = i;
		}
		if (mono_before(end, next) || mono_is_never(next))
			break;
		w->now = mono_before(next, w->now) ? w->now : next;
		if (core < WORLD_ENDS)
			world_step(w, core, (struct bgp_event){.type = BGP_EV_TICK});
		else
			deliver(w, conn, half);
	}
	w->now = end;
}

void world_break(struct world *w, unsigned i, unsigned j)
{
	for (size_t c = 0; c < w->n_conns; c++) {
		struct half *a = &w->conn[c][0], *b = &w->conn[c][1];

		if (!((a->end == i && b->end == j) || (a->end == j && b->end == i)))
			continue;
		for (int k = 0; k < 2; k++) {
			struct half *h = &w->conn[c][k];

			if (!h->open)
				continue;
			h->n = h->n_first = 0;
			h->closed = true;
			h->at = w->now;
		}
	}
}

/* -------------------------------------------------------------------- ends */

struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	w->rng = 88675123u;
	w->now = mono_add((struct mono){0}, span_s(1000));
	w->next_number = 3;
	for (unsigned i = 0; i < WORLD_ENDS; i++) {
		w->end[i].world = w;
		w->end[i].index = i;
	}
	return w;
}

static void new_core(struct world *w, unsigned i)
{
	struct end *e = &w->end[i];
	const struct bgp_sink sink = {
		.ctx = e,
		.announce = on_announce,
		.withdraw = on_withdraw,
		.up = on_up,
		.stale = on_stale,
		.purge = on_purge,
		.end_of_rib = on_end_of_rib,
	};

	e->core = bgp_new(e->paths, &sink, draw, w, NULL);
}

void world_core(struct world *w, unsigned i)
{
	w->end[i].paths = path_store_new(i);
	w->end[i].cfg.id = 0x0a000001u + i;
	new_core(w, i);
}

static void free_core(struct world *w, unsigned i)
{
	struct end *e = &w->end[i];

	bgp_free(e->core);
	e->core = NULL;
	while (e->n_routes)
		forget(e, 0);
}

void world_free(struct world *w)
{
	for (unsigned i = 0; i < WORLD_ENDS; i++) {
		struct end *e = &w->end[i];

		free(e->in);
		if (!e->paths)
			continue;
		free_core(w, i);
		for (size_t k = 0; k < e->n_own; k++)
			path_unref(e->paths, e->own[k].path);
		assert_int_equal(path_store_count(e->paths), 0);
		path_store_free(e->paths);
	}
	for (size_t c = 0; c < w->n_conns; c++)
		for (int k = 0; k < 2; k++)
			free(w->conn[c][k].bytes);
	free(w);
}

struct bgp_neighbor_cfg *world_neighbor(struct world *w, unsigned i, unsigned other)
{
	struct end *e = &w->end[i];
	struct bgp_neighbor_cfg *c = &e->neighbors[e->n_neighbors++];
	struct ip_addr net = address(0);

	net.b[3] = 0;
	*c = (struct bgp_neighbor_cfg){
		.name = "neighbor",
		.neighbor = 10 + other,
		.local = address(i),
		.remote = address(other),
		.next_hop = {address(i), {.family = IP_V6, .b = {0xfd, [15] = (uint8_t)(1 + i)}}},
		.inside = {{net, 24}, {{.family = IP_V6, .b = {0xfd}}, 64}},
		.local_as = 65001 + i,
		.remote_as = 65001 + other,
		.hold = span_s(30),
		.connect_retry = span_s(5),
		.stale_max = span_s(60),
		.families = {true, true},
		.role = BGP_ROLE_NONE,
	};
	return c;
}

void world_configure(struct world *w, unsigned i)
{
	struct end *e = &w->end[i];
	struct bgp_out out = {0};

	e->cfg.neighbors = e->neighbors;
	e->cfg.n_neighbors = e->n_neighbors;
	assert_true(bgp_configure(e->core, &e->cfg, w->now, &out));
	carry_out(w, i, &out);
	bgp_out_fini(&out);
}

static void start_end(struct world *w, unsigned i)
{
	struct end *e = &w->end[i];

	for (size_t n = 0; n < e->n_neighbors; n++)
		world_step(w, i,
			   (struct bgp_event){.type = BGP_EV_START,
					      .neighbor = e->neighbors[n].neighbor});
}

void world_start(struct world *w)
{
	for (unsigned i = 0; i < WORLD_ENDS; i++)
		if (w->end[i].core)
			world_configure(w, i);
	w->starting = true;
	for (unsigned i = 0; i < WORLD_ENDS; i++)
		if (w->end[i].core)
			start_end(w, i);
	w->starting = false;
	while (w->n_crossing) {
		const struct wanted first = w->crossing[0];

		memmove(w->crossing, w->crossing + 1, --w->n_crossing * sizeof(first));
		do_connect(w, &first);
	}
}

void world_restart(struct world *w, unsigned i)
{
	for (unsigned j = 0; j < WORLD_ENDS; j++)
		world_break(w, i, j);
	for (size_t c = 0; c < w->n_conns; c++)
		for (int k = 0; k < 2; k++)
			if (w->conn[c][k].end == i)
				w->conn[c][k].open = false;
	free_core(w, i);
	new_core(w, i);
	world_configure(w, i);
	start_end(w, i);
}

/* ------------------------------------------------------------------ routes */

struct path *world_path(struct world *w, unsigned i, const uint32_t *ases, uint8_t n_ases)
{
	struct path_facts f = {.origin = PATH_ORIGIN_IGP};
	uint8_t bytes[2 + 4 * 255];
	struct wr out = wr_of(bytes, sizeof(bytes));

	if (n_ases) {
		wr_u8(&out, BGP_SEGMENT_SEQUENCE);
		wr_u8(&out, n_ases);
		for (uint8_t k = 0; k < n_ases; k++)
			wr_u32(&out, ases[k]);
	}
	f.as_path_size = (uint16_t)out.n;
	f.as_path_length = n_ases;
	return path_intern(w->end[i].paths, &f, bytes);
}

static struct ip_prefix prefix_of(const char *s)
{
	struct ip_prefix p;

	if (!ip_prefix_parse(s, &p))
		fail_msg("%s is no prefix", s);
	return p;
}

void world_own(struct world *w, unsigned i, const char *prefix, struct path *path)
{
	struct end *e = &w->end[i];

	e->own[e->n_own].prefix = prefix_of(prefix);
	e->own[e->n_own++].path = path;
}

const struct heard *world_heard(const struct world *w, unsigned i, unsigned from,
				const char *prefix)
{
	const struct end *e = &w->end[i];
	const struct ip_prefix p = prefix_of(prefix);

	for (size_t k = 0; k < e->n_routes; k++)
		if (e->routes[k].neighbor == 10 + from && ip_prefix_equal(&e->routes[k].prefix, &p))
			return &e->routes[k];
	return NULL;
}

size_t world_count(const struct world *w, unsigned i, unsigned from)
{
	const struct end *e = &w->end[i];
	size_t n = 0;

	for (size_t k = 0; k < e->n_routes; k++)
		n += e->routes[k].neighbor == 10 + from;
	return n;
}

struct bgp_show_neighbor world_show(const struct world *w, unsigned i, unsigned other)
{
	struct bgp_show_neighbor s;

	assert_true(bgp_show(w->end[i].core, 10 + other, &s));
	return s;
}

enum bgp_state world_state(const struct world *w, unsigned i, unsigned other)
{
	return world_show(w, i, other).state;
}

bool world_event(const struct world *w, unsigned i, const char *name)
{
	for (size_t k = 0; k < w->end[i].n_events; k++)
		if (strcmp(w->end[i].events[k], name) == 0)
			return true;
	return false;
}

/* ----------------------------------------------------------------- scripts */

unsigned script_connect(struct world *w, unsigned script, unsigned i)
{
	const unsigned c = connect_ends(w, script, i);
	struct bgp_event ev = {.type = BGP_EV_ACCEPTED, .conn = w->conn[c][1].number};

	ev.accepted.local = address(i);
	ev.accepted.remote = address(script);
	step(w, i, &ev);
	return c;
}

void script_send(struct world *w, unsigned conn, const void *bytes, size_t size)
{
	if (w->conn[conn][1].open)
		put_bytes(w, &w->conn[conn][1], bytes, size);
}

uint8_t script_next(struct world *w, unsigned script, const uint8_t **body, size_t *size)
{
	struct end *e = &w->end[script];
	static uint8_t last[BGP_EXTENDED_MAX];
	size_t n;

	if (e->n_in < BGP_HEADER_SIZE)
		return 0;
	n = (size_t)e->in[16] << 8 | e->in[17];
	if (e->n_in < n)
		return 0;
	memcpy(last, e->in, n);
	e->n_in -= n;
	memmove(e->in, e->in + n, e->n_in);
	*body = last + BGP_HEADER_SIZE;
	*size = n - BGP_HEADER_SIZE;
	return last[18];
}

bool script_closed(const struct world *w, unsigned conn)
{
	return !w->conn[conn][1].open;
}
