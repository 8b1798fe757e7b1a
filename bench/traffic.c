/* SPDX-License-Identifier: Apache-2.0 */
/* traffic: see traffic.h. */
#include "bench/traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/sum.h"
#include "dataplane/aeads.h"

#define IN_SPI_BASE  (0x123u << DP_SLOT_BITS)
#define OUT_SPI_BASE (0x456u << DP_SLOT_BITS)
#define WINDOW       1024
#define IP_SIZE      20u
#define UDP_SIZE     8u
#define PAYLOAD_AT   (IP_SIZE + UDP_SIZE)
#define TTL          64

static uint32_t draw(struct traffic *t, uint32_t below)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return (uint32_t)((t->random >> 32) * below >> 32);
}

static void random_fill(void *arg, uint8_t *out, size_t size)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)draw(arg, 256);
}

/* The keys of an SA: `in` is what its inbound half takes. */
static void make_keys(uint32_t sa, bool in, uint8_t encr[ESP_ENCR_KEY_MAX], uint8_t integ[64])
{
	for (unsigned i = 0; i < ESP_ENCR_KEY_MAX; i++)
		encr[i] = (uint8_t)(i * 7 + in + (sa >> (i % 4 * 8)));
	for (unsigned i = 0; i < 64; i++)
		integ[i] = (uint8_t)(i * 11 + in + (sa >> (i % 4 * 8)));
}

static struct dp_addr to_wire(struct ip_addr a)
{
	struct dp_addr w = {.family = a.family};

	memcpy(w.b, a.b, sizeof(w.b));
	return w;
}

/* Slot of the SA by which `worker` sends; the inbound half has the same. */
static uint32_t slot_of(const struct traffic *t, uint32_t sa, unsigned worker)
{
	return t->o.per_worker ? sa + worker : sa;
}

static void fill_sa(const struct traffic *t, struct dp_sa *m, uint32_t slot, uint32_t tunnel,
		    bool in)
{
	const struct esp_suite *s = &t->o.suite;
	const struct dp_ts ts = {
		.local_first = to_wire(ip_v4(10, 0, 0, 0)),
		.local_last = to_wire(ip_v4(10, 0, 255, 255)),
		.remote_first = to_wire(ip_v4(0, 0, 0, 0)),
		.remote_last = to_wire(ip_v4(63, 255, 255, 255)),
		.local_port_last = UINT16_MAX,
		.remote_port_last = UINT16_MAX,
	};

	*m = (struct dp_sa){
		.slot = slot,
		.spi = (in ? IN_SPI_BASE : OUT_SPI_BASE) | slot,
		.tunnel = tunnel,
		.flags = DP_SA_ESN,
		.encr = s->encr,
		.encr_key_bits = s->encr_key_bits,
		.integ = s->integ,
		.replay_window = in ? WINDOW : 0,
		.n_ts = 1,
		.local = {.addr = to_wire(world_local())},
		.remote = {.addr = to_wire(world_remote(tunnel))},
		.first_seq = 1,
		.ts = {ts},
	};
	make_keys(slot, in, m->encr_key, m->integ_key);
}

/* The same SA from the peer's side. */
static void fill_peer(const struct esp_suite *suite, struct esp_sa_cfg *c, uint32_t slot,
		      uint32_t tunnel, bool peer_sends, uint8_t encr[ESP_ENCR_KEY_MAX],
		      uint8_t integ[64])
{
	*c = (struct esp_sa_cfg){
		.spi = (peer_sends ? IN_SPI_BASE : OUT_SPI_BASE) | slot,
		.suite = *suite,
		.esn = true,
		.replay_window = WINDOW,
		.local = {.addr = world_remote(tunnel)},
		.remote = {.addr = world_local()},
		.first_seq = 1,
		.n_ts = 1,
		.ts = {{.local_first = ip_v4(0, 0, 0, 0),
			.local_last = ip_v4(63, 255, 255, 255),
			.remote_first = ip_v4(10, 0, 0, 0),
			.remote_last = ip_v4(10, 0, 255, 255),
			.local_port_last = UINT16_MAX,
			.remote_port_last = UINT16_MAX}},
		.encr_key = encr,
		.integ_key = integ,
	};
	make_keys(slot, peer_sends, encr, integ);
}

struct esp_out *traffic_peer(struct esp_thread *thread, const struct esp_suite *suite,
			     uint32_t slot, uint32_t tunnel)
{
	uint8_t encr[ESP_ENCR_KEY_MAX], integ[64];
	struct esp_sa_cfg cfg;

	fill_peer(suite, &cfg, slot, tunnel, true, encr, integ);
	return esp_out_new(thread, &cfg);
}

static bool install_one(struct traffic *t, uint32_t slot, uint32_t tunnel, uint32_t resource,
			char *error)
{
	static struct dp_sa m;
	struct dp *dp = &t->w->dp;
	const struct dp_sa_ref ref = {.slot = slot, .tunnel = tunnel, .resource = resource};
	enum dp_status rc;

	fill_sa(t, &m, slot, tunnel, true);
	m.resource = resource;
	rc = dp_sa_add_in(dp, &m);
	fill_sa(t, &m, slot, tunnel, false);
	if (rc == DP_OK)
		rc = dp_sa_add_out(dp, &m);
	if (rc == DP_OK)
		rc = dp_sa_switch(dp, &ref);
	t->peer_out[slot] = traffic_peer(&t->peer_thread, &t->o.suite, slot, tunnel);
	if (rc == DP_OK && t->peer_out[slot])
		return true;
	snprintf(error, WORLD_ERROR, "SA %u was refused with status %d", slot, (int)rc);
	return false;
}

static bool install_sas(struct traffic *t, char *error)
{
	struct dp *dp = &t->w->dp;

	for (uint32_t i = 0; i < t->o.n_sas; i++) {
		const struct dp_group g = {.group = i, .n_tunnels = 1, .tunnels = {i}};

		if (t->o.per_worker) {
			for (unsigned k = 0; k < dp->n_workers; k++) {
				if (!install_one(t, slot_of(t, i, k), i, k + 1, error))
					return false;
			}
		} else if (!install_one(t, i, i, 0, error)) {
			return false;
		}
		if (dp_group_set(dp, &g) != DP_OK) {
			snprintf(error, WORLD_ERROR, "group %u was refused", i);
			return false;
		}
		dp_grace_run(&dp->grace);
	}
	return true;
}

static bool install_routes(struct traffic *t, char *error)
{
	for (uint32_t p = 0; p < t->o.n_prefixes; p++) {
		const struct ip_prefix prefix = world_far_prefix(p);
		const struct dp_route r = {
			.group = p % t->o.n_sas,
			.prefix = to_wire(prefix.addr),
			.len = prefix.len,
		};
		const enum dp_status rc = dp_route_set(&t->w->dp, &r);

		if (rc != DP_OK) {
			snprintf(error, WORLD_ERROR, "prefix %u was refused with status %d", p,
				 (int)rc);
			return false;
		}
	}
	return true;
}

bool traffic_init(struct traffic *t, struct world *w, const struct traffic_opts *o,
		  char error[WORLD_ERROR])
{
	*t = (struct traffic){.w = w, .o = *o, .random = 88172645463325252u};
	t->peer_thread = (struct esp_thread){.random = random_fill, .random_arg = t};
	t->check_thread = (struct esp_thread){.random = random_fill, .random_arg = t};
	random_fill(t, t->pattern, sizeof(t->pattern));
	t->peer_out = calloc(w->dp.sas.max, sizeof(struct esp_out *));
	if (!t->peer_out || !dp_aeads_init(&t->peer_thread, &w->dp.esp) ||
	    !dp_aeads_pick(&t->check_thread, "openssl")) {
		snprintf(error, WORLD_ERROR, "no memory for the peers");
		return false;
	}
	return install_sas(t, error) && install_routes(t, error);
}

const char *traffic_backend(const struct traffic *t)
{
	const struct esp_aead *a = t->w->dp.esp.aead;

	while (a->backend && !a->backend->supports(&t->o.suite))
		a++;
	return a->backend ? a->backend->name : "none";
}

uint32_t traffic_size(uint32_t size, unsigned i)
{
	if (size != TRAFFIC_IMIX)
		return size;
	/* Of the twelve kinds one after the other, large ones apart. */
	return i % 12 == 11 ? 1518 : i % 3 == 1 ? 594 : 64;
}

double traffic_mean(uint32_t size)
{
	double sum = 0;

	for (unsigned i = 0; i < 12; i++)
		sum += traffic_size(size, i);
	return sum / 12;
}

/* Which prefix and host the next packet belongs to. */
static uint32_t draw_prefix(struct traffic *t, unsigned queue)
{
	const unsigned n = t->w->dp.n_workers;
	uint32_t p;

	if (t->in_turn)
		return t->turn++ % t->o.n_sas;
	if (t->left && queue == t->queue) {
		t->left--;
		return t->prefix;
	}
	p = draw(t, t->o.n_prefixes);
	if (t->o.aligned && t->o.n_sas > 1) {
		/* Owner of prefix p is p mod n_sas mod n. */
		while (p % t->o.n_sas % n != queue)
			p = draw(t, t->o.n_prefixes);
	}
	t->prefix = p;
	t->queue = queue;
	t->left = t->o.train - 1;
	return p;
}

/* An inner packet; its payload begins with its own size, prefix and host, so that a check knows it. */
static void build_inner(const struct traffic *t, uint8_t *at, uint32_t size, struct ip_addr src,
			struct ip_addr dst)
{
	const uint8_t head[] = {0x45, 0, (uint8_t)(size >> 8), (uint8_t)size, 0, 0, 0x40, 0,
				TTL,  17};
	const uint16_t udp = (uint16_t)(size - IP_SIZE);
	uint16_t sum;

	memcpy(at, head, sizeof(head));
	at[10] = at[11] = 0;
	memcpy(at + 12, src.b, 4);
	memcpy(at + 16, dst.b, 4);
	sum = sum_finish(sum_add(0, at, IP_SIZE));
	dp_put16(at + 10, sum);
	dp_put16(at + 20, 1024);
	dp_put16(at + 22, 1025);
	dp_put16(at + 24, udp);
	dp_put16(at + 26, 0);
	memcpy(at + PAYLOAD_AT, t->pattern, size - PAYLOAD_AT);
}

static void put_ethernet(const struct traffic *t, uint8_t *at, unsigned port)
{
	static const uint8_t src[] = {0x02, 0, 0, 0, 9, 9};

	memcpy(at, t->w->dp.ports[port].mac.addr_bytes, 6);
	memcpy(at + 6, src, 6);
	dp_put16(at + 12, RTE_ETHER_TYPE_IPV4);
}

bool traffic_plain(struct traffic *t, struct rte_mbuf **m, unsigned n, uint32_t size,
		   unsigned queue)
{
	if (rte_pktmbuf_alloc_bulk(t->w->dp.pool, m, n) != 0)
		return false;
	for (unsigned i = 0; i < n; i++) {
		const uint32_t inner = traffic_size(size, i);
		uint8_t *at = (uint8_t *)rte_pktmbuf_append(m[i], (uint16_t)(DP_ETH_SIZE + inner));

		put_ethernet(t, at, WORLD_LAN);
		build_inner(t, at + DP_ETH_SIZE, inner, world_lan_host(i % WORLD_LAN_HOSTS),
			    world_far_host(draw_prefix(t, queue)));
	}
	return true;
}

bool traffic_scatter(struct traffic *t, struct rte_mbuf **m, unsigned n)
{
	const uint32_t step = t->o.pieces;

	for (unsigned i = 0; i < n && step; i++) {
		const uint32_t size = m[i]->pkt_len;

		for (uint32_t at = step; at < size; at += step) {
			const uint32_t piece = RTE_MIN(step, size - at);
			struct rte_mbuf *more = rte_pktmbuf_alloc(t->w->dp.pool);

			if (!more)
				return false;
			memcpy(rte_pktmbuf_append(more, (uint16_t)piece), dp_data(m[i]) + at,
			       piece);
			if (at == step) {
				m[i]->data_len = (uint16_t)step;
				m[i]->pkt_len = step;
			}
			if (rte_pktmbuf_chain(m[i], more) != 0)
				return false;
		}
	}
	return true;
}

/* What the peer of `sa` sends, in place of the inner packet that stands there. */
static bool encapsulate(struct traffic *t, struct rte_mbuf *m, uint32_t slot)
{
	struct esp_pkt p = {
		.data = dp_data(m),
		.size = m->pkt_len,
		.headroom = rte_pktmbuf_headroom(m),
		.tailroom = rte_pktmbuf_tailroom(m),
		.from_self = true,
	};

	if (esp_encap(&t->peer_thread, t->peer_out[slot], &p, 1) != 1)
		return false;
	m->data_off = (uint16_t)(p.data - (uint8_t *)m->buf_addr);
	m->pkt_len = p.size;
	m->data_len = (uint16_t)p.size;
	put_ethernet(t, (uint8_t *)rte_pktmbuf_prepend(m, DP_ETH_SIZE), WORLD_WAN);
	return true;
}

bool traffic_esp(struct traffic *t, struct rte_mbuf **m, unsigned n, uint32_t size, unsigned queue)
{
	if (rte_pktmbuf_alloc_bulk(t->w->dp.pool, m, n) != 0)
		return false;
	for (unsigned i = 0; i < n; i++) {
		const uint32_t inner = traffic_size(size, i), prefix = draw_prefix(t, queue);
		uint8_t *at = (uint8_t *)rte_pktmbuf_append(m[i], (uint16_t)inner);

		build_inner(t, at, inner, world_far_host(prefix),
			    world_lan_host(i % WORLD_LAN_HOSTS));
		if (!encapsulate(t, m[i], slot_of(t, prefix % t->o.n_sas, queue)))
			return false;
	}
	return true;
}

/* An inner packet that went through: one hop less, else as it was built. */
static bool check_inner(const struct traffic *t, const uint8_t *ip, uint32_t size, char *error)
{
	uint8_t want[WORLD_MTU];
	struct ip_addr src, dst;

	if (size < PAYLOAD_AT || size > sizeof(want) || dp_get16(ip + 2) != size) {
		snprintf(error, WORLD_ERROR, "a packet of %u bytes is none of ours", size);
		return false;
	}
	src = ip_from_bytes(IP_V4, ip + 12);
	dst = ip_from_bytes(IP_V4, ip + 16);
	build_inner(t, want, size, src, dst);
	want[8] = TTL - 1;
	dp_put16(want + 10, 0);
	dp_put16(want + 10, sum_finish(sum_add(0, want, IP_SIZE)));
	if (memcmp(want, ip, size) != 0) {
		snprintf(error, WORLD_ERROR, "a packet of %u bytes was changed on its way", size);
		return false;
	}
	return true;
}

bool traffic_check_plain(struct traffic *t, struct rte_mbuf *m, char error[WORLD_ERROR])
{
	return check_inner(t, dp_data(m) + DP_ETH_SIZE, m->pkt_len - DP_ETH_SIZE, error);
}

bool traffic_check_esp(struct traffic *t, struct rte_mbuf *m, char error[WORLD_ERROR])
{
	uint8_t encr[ESP_ENCR_KEY_MAX], integ[64];
	uint8_t copy[WORLD_MTU + DP_ETH_SIZE];
	struct esp_pkt p = {
		.data = copy, .size = m->pkt_len - DP_ETH_SIZE, .tailroom = DP_ETH_SIZE};
	struct esp_sa_cfg cfg;
	struct esp_in *in;
	uint32_t spi, slot;
	bool ok;

	memcpy(copy, dp_data(m) + DP_ETH_SIZE, p.size);
	if (!esp_peek_spi(copy, p.size, &spi) || (spi & ~DP_SLOT_MASK) != OUT_SPI_BASE) {
		snprintf(error, WORLD_ERROR, "a frame left that is no ESP of ours");
		return false;
	}
	slot = spi & DP_SLOT_MASK;
	fill_peer(&t->o.suite, &cfg, slot, t->o.per_worker ? 0 : slot, false, encr, integ);
	in = esp_in_new(&t->check_thread, &cfg);
	ok = in && esp_decap(&t->check_thread, in, &p, 1) == 1;
	if (ok)
		ok = check_inner(t, p.data, p.size, error);
	else
		snprintf(error, WORLD_ERROR, "the peer drops a packet: %s", esp_drop_name(p.drop));
	esp_in_free(in);
	return ok;
}
