/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a speaker with two neighbours, its events and its connections' bytes by the input.
 *
 * Pairs of bytes choose an event; the bytes of a stream follow it. What must hold: no crash, whole
 * messages out, a deadline in the future once a tick is done, a count of prefixes that agrees with
 * what the sink holds, and no reference to attributes left at the end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rd.h"
#include "base/wr.h"
#include "bgp/bgp.h"
#include "bgp/wire.h"

#define NEIGHBORS 2
#define ROUTES    2048
#define NUMBERS   8

struct route {
	struct path_nlri nlri;
	uint32_t neighbor;
	struct path *path;
	bool stale;
};

struct fuzz {
	struct bgp *core;
	struct path_store *paths;
	struct bgp_neighbor_cfg cfgs[NEIGHBORS];
	struct route routes[ROUTES];
	size_t n_routes;
	struct mono now;
	uint32_t seed;
	bool open[NUMBERS];
	uint32_t unsent[NUMBERS];
	bool wants[NEIGHBORS]; /* BGP_ACT_CONNECT was asked for */
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static uint32_t draw(void *ctx)
{
	struct fuzz *x = ctx;

	return x->seed = x->seed * 1664525u + 1013904223u;
}

/* -------------------------------------------------------------------- sink */

static size_t find(const struct fuzz *x, uint32_t neighbor, const struct path_nlri *n)
{
	size_t i = 0;

	while (i < x->n_routes &&
	       !(x->routes[i].neighbor == neighbor && x->routes[i].nlri.path_id == n->path_id &&
		 ip_prefix_equal(&x->routes[i].nlri.prefix, &n->prefix)))
		i++;
	return i;
}

static void forget(struct fuzz *x, size_t i)
{
	path_unref(x->paths, x->routes[i].path);
	x->routes[i] = x->routes[--x->n_routes];
}

static size_t on_announce(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n,
			  struct path *path)
{
	struct fuzz *x = ctx;
	size_t fresh = 0;

	for (size_t i = 0; i < n; i++) {
		const size_t at = find(x, neighbor, &nlri[i]);

		must(ip_prefix_is_canonical(&nlri[i].prefix));
		if (at == ROUTES)
			continue;
		if (at == x->n_routes) {
			x->n_routes++;
			fresh++;
		} else {
			path_unref(x->paths, x->routes[at].path);
		}
		x->routes[at] = (struct route){nlri[i], neighbor, path_ref(path), false};
		/* CloudHub in small: the other neighbour hears of it. */
		must(bgp_advertise(x->core, !neighbor, &nlri[i].prefix, path));
	}
	return fresh;
}

static size_t on_withdraw(void *ctx, uint32_t neighbor, const struct path_nlri *nlri, size_t n)
{
	struct fuzz *x = ctx;
	size_t had = 0;

	for (size_t i = 0; i < n; i++) {
		const size_t at = find(x, neighbor, &nlri[i]);

		if (at == x->n_routes)
			continue;
		forget(x, at);
		must(bgp_advertise(x->core, !neighbor, &nlri[i].prefix, NULL));
		had++;
	}
	return had;
}

static bool is_of(const struct route *r, uint32_t neighbor, enum bgp_family f)
{
	return r->neighbor == neighbor &&
	       (r->nlri.prefix.addr.family == IP_V4) == (f == BGP_IPV4_UNICAST);
}

static void on_up(void *ctx, uint32_t neighbor)
{
	struct fuzz *x = ctx;

	for (size_t i = 0; i < x->n_routes; i++)
		if (x->routes[i].neighbor != neighbor)
			must(bgp_advertise(x->core, neighbor, &x->routes[i].nlri.prefix,
					   x->routes[i].path));
	for (int f = 0; f < BGP_N_FAMILIES; f++)
		bgp_advertise_end(x->core, neighbor, (enum bgp_family)f);
}

static void on_stale(void *ctx, uint32_t neighbor, enum bgp_family f)
{
	struct fuzz *x = ctx;

	for (size_t i = 0; i < x->n_routes; i++)
		x->routes[i].stale |= is_of(&x->routes[i], neighbor, f);
}

static size_t on_purge(void *ctx, uint32_t neighbor, enum bgp_family f, bool only_stale)
{
	struct fuzz *x = ctx;
	size_t left = 0;

	for (size_t i = 0; i < x->n_routes;) {
		if (is_of(&x->routes[i], neighbor, f) && (x->routes[i].stale || !only_stale)) {
			forget(x, i);
			continue;
		}
		left += is_of(&x->routes[i], neighbor, f);
		i++;
	}
	return left;
}

static void on_end_of_rib(void *ctx, uint32_t neighbor, enum bgp_family f)
{
}

/* ------------------------------------------------------------------ events */

static void check_message(const uint8_t *p, size_t size)
{
	must(size >= BGP_HEADER_SIZE && size <= BGP_EXTENDED_MAX);
	must(((size_t)p[16] << 8 | p[17]) == size);
	must(p[18] >= BGP_OPEN && p[18] <= BGP_ROUTE_REFRESH);
	must(p[18] != BGP_KEEPALIVE || size == BGP_HEADER_SIZE);
}

static void carry_out(struct fuzz *x, struct bgp_out *out)
{
	for (size_t i = 0; i < out->n; i++) {
		const struct bgp_action *a = &out->actions[i];

		switch (a->type) {
		case BGP_ACT_CONNECT: x->wants[a->neighbor] = true; break;
		case BGP_ACT_SEND:
			must(a->conn < NUMBERS && x->open[a->conn]);
			check_message(a->send.bytes, a->send.size);
			x->unsent[a->conn] += (uint32_t)a->send.size;
			break;
		case BGP_ACT_CLOSE:
			if (a->conn == BGP_CONN_NONE) {
				x->wants[a->neighbor] = false;
				break;
			}
			must(a->conn < NUMBERS && x->open[a->conn]);
			x->open[a->conn] = false;
			break;
		case BGP_ACT_UP:
		case BGP_ACT_DOWN:
		case BGP_ACT_EVENT: break;
		}
	}
	bgp_out_reset(out);
}

static void check_counts(const struct fuzz *x)
{
	for (uint32_t n = 0; n < NEIGHBORS; n++) {
		uint32_t have[BGP_N_FAMILIES] = {0};
		struct bgp_show_neighbor s;

		must(bgp_show(x->core, n, &s));
		for (size_t i = 0; i < x->n_routes; i++)
			if (x->routes[i].neighbor == n)
				have[x->routes[i].nlri.prefix.addr.family == IP_V6]++;
		must(have[0] == s.received[0] && have[1] == s.received[1]);
	}
}

static void configure(struct fuzz *x, uint8_t how, struct bgp_out *out)
{
	struct bgp_cfg cfg = {.id = 0x0a000001, .neighbors = x->cfgs, .n_neighbors = NEIGHBORS};

	for (uint8_t n = 0; n < NEIGHBORS; n++) {
		x->cfgs[n] = (struct bgp_neighbor_cfg){
			.neighbor = n,
			.local = ip_v4(169, 254, n, 1),
			.remote = ip_v4(169, 254, n, 2),
			.next_hop = {ip_v4(169, 254, n, 1),
				     {.family = how & 1 ? IP_V6 : IP_NONE,
				      .b = {0xfd, n, [15] = 1}}},
			.inside = {{ip_v4(169, 254, n, 0), 30},
				   {{.family = IP_V6, .b = {0xfd, n}}, 64}},
			.local_as = 65001,
			.remote_as = how & 2 && n ? 65001 : 0,
			.hold = span_s(30),
			.connect_retry = span_s(5),
			.graceful_restart = span_s(how & 4 ? 20 : 0),
			.stale_max = span_s(60),
			.families = {true, how & 8},
			.extended_messages = how & 16,
			.add_path_receive = how & 32,
			.role = how & 64 ? BGP_ROLE_PROVIDER : BGP_ROLE_NONE,
			.prefixes = {{.max = how & 128 ? 5 : 0, .warn_percent = 80}},
		};
	}
	must(bgp_configure(x->core, &cfg, x->now, out));
}

static uint32_t free_number(const struct fuzz *x)
{
	uint32_t n = 0;

	while (n < NUMBERS && x->open[n])
		n++;
	return n;
}

/* So that most inputs get past the OPEN: the one that fits, if a bit says so. */
static void polite(struct fuzz *x, uint32_t conn, uint8_t how, struct bgp_out *out)
{
	static const uint8_t caps[] = {1,  4,  0,    1,  0,    1,    1, 4,    0,  2, 0, 1,
				       65, 4,  0,    0,  0xfd, 0xea, 2, 0,    70, 0, 6, 0,
				       64, 10, 0xc0, 20, 0,    1,    1, 0x80, 0,  2, 1, 0x80};
	uint8_t bytes[128];
	struct wr w = wr_of(bytes, sizeof(bytes));
	struct bgp_event ev = {.type = BGP_EV_DATA, .now = x->now, .conn = conn};

	for (int i = 0; i < 16; i++)
		wr_u8(&w, 0xff);
	wr_u16(&w, (uint16_t)(29 + 2 + sizeof(caps)));
	wr_u8(&w, BGP_OPEN);
	wr_u8(&w, 4);
	wr_u16(&w, 65002);
	wr_u16(&w, 30);
	wr_u32(&w, how & 1 ? 0x0a000002 : 0x09000002);
	wr_u8(&w, (uint8_t)(2 + sizeof(caps)));
	wr_u8(&w, 2);
	wr_u8(&w, (uint8_t)sizeof(caps));
	wr_bytes(&w, caps, sizeof(caps));
	for (int i = 0; i < 16; i++)
		wr_u8(&w, 0xff);
	wr_u16(&w, 19);
	wr_u8(&w, BGP_KEEPALIVE);
	ev.data.bytes = bytes;
	ev.data.size = w.n;
	bgp_step(x->core, &ev, out);
}

/* Bytes with a header of the right length in front of them. */
static void data(struct fuzz *x, uint32_t conn, uint8_t how, struct rd part, struct bgp_out *out)
{
	uint8_t bytes[512];
	struct wr w = wr_of(bytes, sizeof(bytes));
	struct bgp_event ev = {.type = BGP_EV_DATA, .now = x->now, .conn = conn};

	if (how & 0x80) {
		for (int i = 0; i < 16; i++)
			wr_u8(&w, 0xff);
		wr_u16(&w, (uint16_t)(19 + part.size));
		wr_u8(&w, how & 0x40 ? BGP_UPDATE : how % 6);
	}
	wr_bytes(&w, part.p, part.size);
	must(wr_ok(&w));
	ev.data.bytes = bytes;
	ev.data.size = w.n;
	bgp_step(x->core, &ev, out);
}

static void one(struct fuzz *x, uint8_t op, uint8_t arg, struct rd *r, struct bgp_out *out)
{
	struct bgp_event ev = {.now = x->now, .neighbor = arg % NEIGHBORS, .conn = BGP_CONN_NONE};
	const uint32_t conn = arg % NUMBERS;
	uint8_t size;
	struct rd part;

	switch (op % 16) {
	case 0: configure(x, arg, out); return;
	case 1: ev.type = BGP_EV_START; break;
	case 2: ev.type = arg & 2 ? BGP_EV_STOP : BGP_EV_RESET; break;
	case 3:
		ev.type = BGP_EV_LINK_DOWN;
		ev.by_bfd = arg & 2;
		break;
	case 4:
		ev.type = BGP_EV_REFRESH;
		ev.family = arg & 2 ? BGP_IPV6_UNICAST : BGP_IPV4_UNICAST;
		break;
	case 5:
		ev.type = BGP_EV_CLOSED;
		if (!x->wants[ev.neighbor])
			return;
		x->wants[ev.neighbor] = false;
		break;
	case 6:
		ev.type = BGP_EV_CONNECTED;
		ev.conn = free_number(x);
		if (ev.conn == NUMBERS || !x->wants[ev.neighbor])
			return;
		x->wants[ev.neighbor] = false;
		x->open[ev.conn] = true;
		break;
	case 7:
		ev.type = BGP_EV_ACCEPTED;
		ev.conn = free_number(x);
		if (ev.conn == NUMBERS)
			return;
		x->open[ev.conn] = true;
		ev.accepted.local = ip_v4(169, 254, arg % 3, 1);
		ev.accepted.remote = ip_v4(169, 254, arg % 3, 2);
		break;
	case 8:
		if (!x->open[conn])
			return;
		ev.type = BGP_EV_CLOSED;
		ev.conn = conn;
		x->open[conn] = false;
		break;
	case 9:
		if (!x->open[conn])
			return;
		ev.type = BGP_EV_SENT;
		ev.conn = conn;
		ev.sent = x->unsent[conn];
		x->unsent[conn] = 0;
		break;
	case 10:
		x->now = ev.now = mono_add(x->now, span_ms(arg * 200u));
		ev.type = BGP_EV_TICK;
		break;
	case 11:
		if (x->open[conn])
			polite(x, conn, arg >> 3, out);
		return;
	default:
		if (!rd_u8(r, &size) || !rd_sub(r, size < r->size ? size : r->size, &part))
			return;
		if (x->open[conn])
			data(x, conn, (uint8_t)(op & 0xf0) | (arg >> 3 & 0x0f), part, out);
		return;
	}
	bgp_step(x->core, &ev, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct fuzz *x = calloc(1, sizeof(*x));
	const struct bgp_sink sink = {x,        on_announce, on_withdraw,  on_up,
				      on_stale, on_purge,    on_end_of_rib};
	struct rd r = rd_of(input, size);
	struct bgp_out out = {0};
	uint8_t op, arg;

	x->paths = path_store_new(1);
	x->now = mono_add((struct mono){0}, span_s(100));
	x->core = bgp_new(x->paths, &sink, draw, x, NULL);
	configure(x, 0x1d, &out);
	carry_out(x, &out);
	while (rd_u8(&r, &op) && rd_u8(&r, &arg)) {
		struct bgp_event tick = {.type = BGP_EV_TICK, .now = x->now};

		one(x, op, arg, &r, &out);
		carry_out(x, &out);
		tick.now = x->now;
		bgp_step(x->core, &tick, &out);
		carry_out(x, &out);
		must(mono_before(x->now, bgp_deadline(x->core)));
		check_counts(x);
	}
	bgp_free(x->core);
	while (x->n_routes)
		forget(x, 0);
	must(path_store_count(x->paths) == 0);
	path_store_free(x->paths);
	bgp_out_fini(&out);
	free(x);
	return 0;
}
